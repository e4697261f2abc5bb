"""C52 and C53: which WordPress it is, also where it is hidden, and what older ones lack.

Real releases are those that the fixture `module_wordpress_site` can have. What still older ones
lack is taken away from a real one by must-use plugins, each with what it stands for.
"""

from typing import Any

import pytest
from reading import LATEST_AND_NIGHTLY, coverage, differences, plugin, read, rules, slugs

from agent.demo.wordpress import WordPress
from agent.structure.model import Family, Structure

pytestmark = [pytest.mark.wordpress, pytest.mark.anyio]

HIDDEN_FROM_STRANGERS = {"taxonomy hidden_tax", "post_type hidden_pub label"}

NO_GENERATOR = """<?php
remove_action( 'wp_head', 'wp_generator' );
add_filter( 'the_generator', '__return_empty_string' );
foreach ( array( 'do_feed', 'do_feed_rss2', 'do_feed_atom', 'do_feed_rdf', 'do_feed_rss' ) as $feed ) {
    add_action( $feed, static fn() => wp_die( 'No feeds here.', '', array( 'response' => 404 ) ), 1 );
}
"""
NO_VERSIONS_AT_ASSETS = """
foreach ( array( 'style_loader_src', 'script_loader_src' ) as $hook ) {
    add_filter( $hook, static fn( $src ) => remove_query_arg( 'ver', $src ) );
}
"""
NO_XMLRPC = "add_filter( 'xmlrpc_enabled', '__return_false' );"
NO_ADMIN = """<?php
if ( str_contains( $_SERVER['REQUEST_URI'], '/wp-admin/' ) ) {
    http_response_code( 403 );
    return true;
}
"""

# What releases before a certain one lack, taken from what the later one has.
BEFORE_5_9 = """
foreach ( array( 'post_type', 'taxonomy' ) as $kind ) {
    add_filter( "rest_prepare_$kind", static function ( $response ) {
        $data = $response->get_data();
        unset( $data['rest_namespace'] );
        $response->set_data( $data );
        return $response;
    } );
}
"""
BEFORE_5_6 = """
add_filter( 'wp_rest_search_handlers', static fn( $handlers ) => array_filter(
    $handlers, static fn( $one ) => $one instanceof WP_REST_Post_Search_Handler
) );
add_filter( 'wp_is_application_passwords_available', '__return_false' );
"""
BEFORE_5_5 = "add_filter( 'wp_sitemaps_enabled', '__return_false' );"
# The index leaves out what a field below another one asks for.
BEFORE_5_3 = """
add_filter( 'rest_index', static function ( $response ) {
    unset( $response->data['routes'] );
    return $response;
} );
"""
BEFORE_5_0 = "add_filter( 'rest_endpoints', static fn( $routes ) => array_diff_key( $routes, array( '/wp/v2/search' => 1 ) ) );"

OLDER = {
    "5.6": (BEFORE_5_9,),
    "5.5": (BEFORE_5_9, BEFORE_5_6),
    "5.3": (BEFORE_5_9, BEFORE_5_6, BEFORE_5_5),
    "5.0": (BEFORE_5_9, BEFORE_5_6, BEFORE_5_5, BEFORE_5_3),
    "4.9": (BEFORE_5_9, BEFORE_5_6, BEFORE_5_5, BEFORE_5_3, BEFORE_5_0),
}


@pytest.fixture(scope="module")
def site(module_wordpress_site: Any) -> WordPress:
    """One common site of the latest release; each test bends it and mends it."""
    common: WordPress = module_wordpress_site.common("versions")
    return common


@pytest.fixture(scope="module", params=LATEST_AND_NIGHTLY)
def hiding(request: pytest.FixtureRequest, module_wordpress_site: Any) -> WordPress:
    """A site of each release that tells its version neither in pages nor in feeds."""
    fresh: WordPress = module_wordpress_site("hiding", release=request.param, mu_plugins={"hide.php": NO_GENERATOR})
    return fresh


async def test_c52_a_hidden_version_is_read_from_the_style_loader(hiding: WordPress, truth: Any) -> None:
    structure = await read(hiding)

    assert differences(structure, truth(hiding)) == []
    assert structure.provenance["wordpress_version"]["source"] == "etag"


async def test_c52_with_the_admin_closed_a_login_tells_it(hiding: WordPress, truth: Any) -> None:
    with rules(hiding, NO_ADMIN):
        structure = await read(hiding, username="admin", password=hiding.application_password())

    assert differences(structure, truth(hiding)) == []
    assert structure.provenance["wordpress_version"]["source"] == "xmlrpc"


async def test_c52_with_all_of_them_closed_nothing_is_made_up(hiding: WordPress, truth: Any) -> None:
    with rules(hiding, NO_ADMIN), plugin(hiding, "<?php" + NO_VERSIONS_AT_ASSETS):
        structure = await read(hiding)

    assert differences(structure, truth(hiding), except_={"wordpress_version"}) == []
    assert structure.wordpress_version is None
    said = structure.provenance["wordpress_version"]
    true_version = truth(hiding)["wordpress_version"]
    assert (said["exact"], said["probable"]) == (False, None)
    assert numbers(said["at_least"]) <= numbers(true_version)


async def test_c52_one_weak_source_is_probable_and_not_pushed(hiding: WordPress, truth: Any) -> None:
    # The login page's files carry the version; that alone is no proof.
    with rules(hiding, NO_ADMIN):
        structure = await read(hiding)

    assert structure.wordpress_version is None
    assert structure.provenance["wordpress_version"]["probable"] == truth(hiding)["wordpress_version"]


async def test_c52_an_administrator_may_ask_the_abilities(site: WordPress, true: dict[str, Any]) -> None:
    with rules(site, NO_ADMIN), plugin(site, NO_GENERATOR + NO_XMLRPC):
        structure = await read(site, username="administrator", password=site.application_password("administrator"))

    assert structure.wordpress_version == true["wordpress_version"]
    assert structure.provenance["wordpress_version"]["source"] == "abilities"


async def test_c52_the_feed_is_asked_where_the_admin_is_closed(site: WordPress, true: dict[str, Any]) -> None:
    with rules(site, NO_ADMIN):
        structure = await read(site)

    assert structure.wordpress_version == true["wordpress_version"]
    assert structure.provenance["wordpress_version"]["source"] == "feed"


@pytest.mark.parametrize("release", ["5.6", "5.5", "5.3"])
async def test_c53_what_older_releases_lack_changes_nothing_for_a_stranger(
    site: WordPress, true: dict[str, Any], release: str
) -> None:
    with plugin(site, older(release)):
        structure = await read(site)

    assert differences(structure, true, except_=lacking(release)) == []
    assert unsure(structure) == unsure_taxonomies(release)


async def test_c53_5_0_describes_its_search_by_the_route_itself(site: WordPress, true: dict[str, Any]) -> None:
    before = len(site.requests)

    with plugin(site, older("5.0")):
        structure = await read(site)

    assert differences(structure, true, except_=lacking("5.0")) == []
    assert [r["uri"].split("?")[0] for r in site.requests[before:] if r["method"] == "OPTIONS"] == ["/wp-json/wp/v2/search"]


async def test_c53_4_9_cannot_say_what_is_public_and_that_is_said(site: WordPress, true: dict[str, Any]) -> None:
    with plugin(site, older("4.9")):
        structure = await read(site)

    # Types that are in REST and not public cannot be told from those that are: they are listed, and flagged.
    guessed = {"post_type priv_rest", "post_type q_nopub"}
    # And without a search, a type whose own collection is not where it should be is not counted.
    uncounted = {"post_type nsbook", "post_type nocontroller"}
    assert differences(structure, true, except_=lacking("4.9") | guessed | uncounted) == []
    assert all(any(f"{subject.split()[1]}: the count" in warning for warning in structure.warnings) for subject in uncounted)
    assert {"priv_rest", "q_nopub", "priv_tax"} <= unsure(structure)
    assert not any(slug.startswith(("wp_", "nav_menu")) for slug in slugs(structure, Family.POST_TYPE))
    assert coverage(structure) == ("partial", {"anonymous", "no_search_route", "rest_hidden_possible"})
    assert any("not certain to be public" in warning for warning in structure.warnings)


@pytest.mark.parametrize("release", LATEST_AND_NIGHTLY)
async def test_c53_no_route_that_a_release_lacks_is_asked(wordpress_site: Any, truth: Any, release: str) -> None:
    missing = """<?php
        add_filter( 'rest_post_dispatch', static function ( $response, $server, $request ) {
            if ( 404 === $response->get_status() ) {
                error_log( 'missing: ' . $request->get_route() );
            }
            return $response;
        }, 10, 3 );"""
    site = wordpress_site("routes", release=release, mu_plugins={"missing.php": missing})

    structure = await read(site, username="admin", password=site.application_password())

    assert differences(structure, truth(site)) == []
    assert "missing: " not in site.log


def older(release: str) -> str:
    return "<?php" + "".join(OLDER[release])


def lacking(release: str) -> set[str]:
    """What a stranger cannot learn from a common site of that age, beside what is always hidden."""
    gone = {"taxonomy hidden_tax"}
    # Post formats are counted by a search that came with 5.6.
    if release != "5.6":
        gone |= {"taxonomy post_format", "taxonomy priv_tax"}
    # The core sitemap came with 5.5.
    return gone | ({"post_type hidden_pub label"} if release in ("5.6", "5.5") else {"post_type hidden_pub"})


def unsure_taxonomies(release: str) -> set[str]:
    return set() if release == "5.6" else {"genre", "priv_tax", "pub_noq_tax"}


def unsure(structure: Structure) -> set[str]:
    families = (structure.provenance["post_types"], structure.provenance["taxonomies"])
    return {slug for family in families for slug, said in family.items() if said["public"] is None}


def numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]
