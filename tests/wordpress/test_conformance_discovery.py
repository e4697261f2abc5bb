"""C1–C9 and C58: wherever a site keeps its REST API, it is found, and it is this site's.

Also what a reading costs the site, and that nothing but reads arrives there.
"""

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from reading import LATEST_AND_NIGHTLY, RELEASES, coverage, differences, plugin, read, rules, slugs, unexpected

from agent.bootstrap import site_reader
from agent.config import load
from agent.demo.wordpress import WordPress
from agent.errors import RestApiNotFound, WrongSite
from agent.structure.build import build_structure
from agent.structure.model import Choices, Family
from agent.transport import USER_AGENT

pytestmark = [pytest.mark.wordpress, pytest.mark.anyio]

# A type of its own shows that the data is this site's, and not that of any fresh WordPress.
OWN_TYPE = """<?php
add_action( 'init', static fn() => register_post_type(
    'own', array( 'label' => 'Own things', 'public' => true, 'show_in_rest' => true )
) );
"""
REST_UNDER_API = """<?php
add_filter( 'rest_url_prefix', static fn() => 'api' );
add_filter( 'pre_option_rewrite_rules', '__return_empty_string' ); // made anew, as after saving the permalinks
"""
WITHOUT_LINKS = """
remove_action( 'wp_head', 'rest_output_link_wp_head' );
remove_action( 'template_redirect', 'rest_output_link_header', 11 );
remove_action( 'xmlrpc_rsd_apis', 'rest_output_rsd' );
"""
REST_IN_ENGLISH = "add_filter( 'rest_url', static fn( $url ) => add_query_arg( 'lang', 'en', $url ) );"
NO_REWRITE_RULES = """<?php
$path = (string) strtok( $_SERVER['REQUEST_URI'], '?' );
if ( '/' !== $path && ! str_starts_with( $path, '/index.php/' ) && ! file_exists( $_SERVER['DOCUMENT_ROOT'] . $path ) ) {
    http_response_code( 404 );
    echo '<!doctype html><html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>';
    return true;
}
"""


@pytest.fixture(scope="module", params=RELEASES)
def fresh(request: pytest.FixtureRequest, module_wordpress_site: Any) -> WordPress:
    """Default content, pretty permalinks, nothing added."""
    site: WordPress = module_wordpress_site("fresh", release=request.param)
    return site


@pytest.fixture(scope="module")
def bent(module_wordpress_site: Any) -> WordPress:
    """A site that tests bend and mend."""
    site: WordPress = module_wordpress_site("bent", mu_plugins={"own.php": OWN_TYPE})
    return site


@pytest.fixture(scope="module")
def folder(module_wordpress_site: Any) -> WordPress:
    """A site in a folder; the rest of the host is something else."""
    site: WordPress = module_wordpress_site("blog", path="/blog")
    return site


@pytest.fixture
def asked(bent: WordPress) -> Callable[[], list[str]]:
    """A function: the addresses that were asked since the test began."""
    before = len(bent.requests)
    return lambda: [request["uri"] for request in bent.requests[before:]]


async def test_c1_a_fresh_site_reports_its_zeros_and_nothing_internal(fresh: WordPress, truth: Any) -> None:
    structure = await read(fresh)

    assert differences(structure, truth(fresh)) == []
    assert slugs(structure, Family.POST_TYPE) == {"post", "page", "attachment"}
    assert slugs(structure, Family.TAXONOMY) == {"category", "post_tag", "post_format"}
    assert {e.content_type.slug for e in structure.entries if e.count.value == 0} == {
        "attachment", "post_tag", "post_format",
    }  # fmt: skip


async def test_a_stranger_costs_a_clean_site_as_few_requests_as_it_says(fresh: WordPress) -> None:
    before = len(fresh.requests)

    structure = await read(fresh)

    arrived = [urlsplit(request["uri"]).path for request in fresh.requests[before:]]
    # The index, the two listings, the sitemap; one for each public type and taxonomy; one for the version.
    assert len(arrived) == 4 + len(structure.entries) + 1
    assert structure.provenance["requests"] == len(arrived)
    assert len({request["uri"] for request in fresh.requests[before:]}) == len(arrived)


async def test_a_login_costs_a_clean_site_no_more_and_has_the_sum_of_the_posts_compared(fresh: WordPress) -> None:
    password = fresh.application_password()
    before = len(fresh.requests)

    structure = await read(fresh, username="admin", password=password)

    asked = [request["uri"] for request in fresh.requests[before:]]
    # The index, XML-RPC (which tells the version, the post formats and the categories), the account, the two listings;
    # one for each public type and taxonomy but these two; one for the sitemap and one for the sum.
    assert len(asked) == 5 + len(structure.entries)
    assert len([uri for uri in asked if "subtype=any" in uri]) == len([uri for uri in asked if "sitemap" in uri]) == 1


async def test_what_arrives_at_a_site_are_reads_by_a_named_agent_without_cookies(bent: WordPress) -> None:
    before = len(bent.requests)

    with plugin(bent, "<?php setcookie( 'wordpress_test_cookie', 'taste me', 0, '/' );"):
        await read(bent, username="admin", password=bent.application_password())

    arrived = bent.requests[before:]
    assert unexpected(arrived) == []  # every reading of this folder looks at that
    assert {request["user_agent"] for request in arrived} == {USER_AGENT}
    assert [request["uri"] for request in arrived if request["method"] == "POST"] == ["/xmlrpc.php"]


def test_a_write_would_be_noticed() -> None:
    request = {"method": "GET", "uri": "/wp-json/", "user_agent": USER_AGENT, "cookies": []}

    assert unexpected([request, {**request, "method": "POST", "uri": "/xmlrpc.php"}]) == []
    for bad in ({"method": "POST"}, {"method": "DELETE"}, {"user_agent": "Mozilla/5.0"}, {"cookies": ["a"]}):
        assert len(unexpected([request | bad])) == 1


@pytest.mark.parametrize("release", LATEST_AND_NIGHTLY)
async def test_c2_plain_permalinks_are_read_by_the_query(wordpress_site: Any, truth: Any, release: str) -> None:
    # /wp-json/ answers with the home page there, and with 200.
    site = wordpress_site("plain", release=release, permalinks="", mu_plugins={"own.php": OWN_TYPE})

    structure = await read(site)

    assert differences(structure, truth(site)) == []
    assert parse_qs(urlsplit(structure.provenance["rest_root"]).query) == {"rest_route": ["/"]}


async def test_c3_without_rewrite_rules_the_query_is_the_way(bent: WordPress, truth: Any) -> None:
    with rules(bent, NO_REWRITE_RULES):
        structure = await read(bent)

    assert differences(structure, truth(bent)) == []
    assert "rest_route=" in structure.provenance["rest_root"]
    # WordPress itself sends the sitemap's query to an address that this server does not know.
    assert coverage(structure) == ("partial", {"anonymous", "rest_hidden_possible"})


async def test_c4_permalinks_through_index_php(wordpress_site: Any, truth: Any) -> None:
    site = wordpress_site("index", permalinks="/index.php/%postname%/", rules=NO_REWRITE_RULES)

    structure = await read(site)

    assert differences(structure, truth(site)) == []
    assert structure.provenance["rest_root"] == f"{site.url}/index.php/wp-json/"


@pytest.mark.parametrize("release", LATEST_AND_NIGHTLY)
async def test_c5_core_in_a_folder_of_its_own_is_asked_for_what_is_core(
    wordpress_site: Any, truth: Any, release: str
) -> None:
    site = wordpress_site("core", release=release, core="wp")

    structure = await read(site, username="admin", password=site.application_password())

    assert differences(structure, truth(site)) == []
    assert (structure.site_url, structure.provenance["home"]) == (f"{site.url}/wp", site.url)
    assert structure.provenance["rest_root"] == f"{site.url}/wp-json/"
    assert "/wp/xmlrpc.php" in {request["uri"] for request in site.requests}
    anonymous = await read(site)
    assert anonymous.provenance["wordpress_version"]["source"] == "etag"
    assert "/wp/wp-admin/load-styles.php?load=x" in {request["uri"] for request in site.requests}


async def test_c6_a_site_in_a_folder_is_not_found_at_the_bare_host(folder: WordPress, truth: Any) -> None:
    structure = await read(folder)
    with pytest.raises(RestApiNotFound):
        await read(folder, url=folder.host)

    assert differences(structure, truth(folder)) == []
    assert structure.site_url == f"{folder.host}/blog"


@pytest.mark.parametrize("path", ["/shop", "/wp-content/shop", "/shop/de"])
async def test_c6_a_folder_that_is_no_site_does_not_answer_as_its_parent(bent: WordPress, path: str) -> None:
    with pytest.raises((WrongSite, RestApiNotFound)):
        await read(bent, url=f"{bent.url}{path}")


async def test_c6_a_host_that_leads_into_the_folder_is_that_site(folder: WordPress, truth: Any) -> None:
    leading = """<?php
        if ( '/' === strtok( $_SERVER['REQUEST_URI'], '?' ) ) {
            header( 'Location: /blog/', true, 302 );
            return true;
        }"""

    with rules(folder, leading):
        structure = await read(folder, url=folder.host)

    assert differences(structure, truth(folder)) == []


async def test_c6_a_wrong_path_that_leads_to_the_home_page_is_not_that_site(bent: WordPress) -> None:
    leading_home = """<?php
        add_action( 'template_redirect', static fn() => is_404() && wp_redirect( home_url( '/' ) ) && exit, 1 );"""

    with plugin(bent, leading_home), pytest.raises((WrongSite, RestApiNotFound)):
        await read(bent, url=f"{bent.url}/shop")


async def test_c7_another_rest_prefix_is_found_by_the_links(bent: WordPress, truth: Any, asked: Any) -> None:
    with plugin(bent, REST_UNDER_API):
        structure = await read(bent)

    assert differences(structure, truth(bent)) == []
    assert structure.provenance["rest_root"] == f"{bent.url}/api/"
    rest = [uri for uri in asked() if "/wp/v2/" in urlsplit(uri).path]
    assert rest
    assert all(uri.startswith("/api/wp/v2/") for uri in rest)


async def test_c8_without_links_it_is_found_by_the_query(bent: WordPress, truth: Any) -> None:
    with plugin(bent, REST_UNDER_API + WITHOUT_LINKS):
        structure = await read(bent)

    assert differences(structure, truth(bent)) == []
    assert "rest_route=" in structure.provenance["rest_root"]


async def test_c9_a_root_with_a_query_of_its_own_is_joined_to_ours(bent: WordPress, truth: Any, asked: Any) -> None:
    with plugin(bent, REST_UNDER_API + REST_IN_ENGLISH):
        structure = await read(bent)

    assert differences(structure, truth(bent)) == []
    rest = [uri for uri in asked() if "/wp/v2/" in urlsplit(uri).path]
    assert rest
    assert all(uri.count("?") == 1 and parse_qs(urlsplit(uri).query)["lang"] == ["en"] for uri in rest)


async def test_c58_two_sites_of_one_host_are_kept_apart(bent: WordPress, folder: WordPress, truth: Any) -> None:
    settings = load({"sites": [{"url": bent.url}, {"url": folder.url}]}, environ={}).settings
    reader = site_reader(settings, settings.sites)

    answers = await asyncio.gather(*(reader.read(site.as_site()) for site in settings.sites))

    assert [site.called for site in settings.sites] == [f"127.0.0.1:{bent.port}", f"127.0.0.1:{folder.port}/blog"]
    for site, answer in zip((bent, folder), answers, strict=True):
        assert differences(build_structure(answer, choices=Choices(), last_known={}), truth(site)) == []
