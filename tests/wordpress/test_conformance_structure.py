"""C10–C16, C18–C26 and C65: what is public, and how much of it there is, where the two could be mistaken.

One site of each release with the common fixture, read as a stranger, a contributor and an administrator;
what they read is compared with that site's own answer.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from reading import LATEST_AND_OLDEST, coverage, differences, plugin, read, read_now, rules, slugs, source

from agent.demo.wordpress import WordPress
from agent.structure.model import Family, Structure
from agent.structure.payload import to_document

pytestmark = [pytest.mark.wordpress, pytest.mark.anyio]

HIDDEN_FROM_STRANGERS = {"taxonomy hidden_tax", "post_type hidden_pub label"}


@dataclass(frozen=True)
class Common:
    """A site with the common fixture, what it says of itself, and three readings of it."""

    site: WordPress
    truth: dict[str, Any]
    anonymous: Structure
    contributor: Structure
    administrator: Structure
    requests: list[dict[str, Any]]
    """Of the stranger's reading."""

    @property
    def paths(self) -> set[str]:
        return {urlsplit(request["uri"]).path.removeprefix("/wp-json/") for request in self.requests}


@pytest.fixture(scope="module", params=LATEST_AND_OLDEST)
def common(request: pytest.FixtureRequest, module_wordpress_site: Any, truth: Any) -> Common:
    site = module_wordpress_site.common("common", release=request.param)
    passwords = {role: site.application_password(role) for role in ("contributor", "administrator")}
    anonymous = read_now(site)
    return Common(
        site=site,
        truth=truth(site),
        anonymous=anonymous,
        requests=site.requests,
        **{role: read_now(site, username=role, password=password) for role, password in passwords.items()},
    )


@pytest.fixture(scope="module")
def latest(module_wordpress_site: Any) -> WordPress:
    """A site of the latest release alone, for what is not a matter of releases; tests bend and mend it."""
    site: WordPress = module_wordpress_site.common("latest")
    return site


def test_a_stranger_reads_all_that_rest_and_the_sitemap_show(common: Common) -> None:
    assert differences(common.anonymous, common.truth, except_=HIDDEN_FROM_STRANGERS) == []


def test_an_administrator_reads_everything(common: Common) -> None:
    assert differences(common.administrator, common.truth) == []
    assert coverage(common.administrator) == ("full", set())


def test_c10_a_renamed_collection_is_asked_by_its_own_name(common: Common) -> None:
    assert "wp/v2/libros" in common.paths
    assert "wp/v2/book" not in common.paths


def test_c11_a_type_with_its_own_namespace_is_counted_there(common: Common) -> None:
    assert "acme/v1/nsbook" in common.paths
    assert "wp/v2/nsbook" not in common.paths
    assert source(common.anonymous, "nsbook")["count_source"] == "collection"


def test_c12_a_type_hidden_from_rest_is_counted_by_the_sitemap(common: Common) -> None:
    said = source(common.anonymous, "hidden_pub")

    # Plugins take items out of the sitemap that search engines shall not see, so its number is never sure.
    assert (said["count_source"], said["exact"], said["label_source"]) == ("sitemap", False, "slug")
    assert coverage(common.anonymous) == ("partial", {"anonymous", "rest_hidden_found"})


def test_c12_an_administrators_login_gives_it_its_label_and_count(common: Common) -> None:
    said = source(common.administrator, "hidden_pub")

    assert (said["count_source"], said["exact"], said["label_source"]) == ("xmlrpc", True, "xmlrpc")


async def test_c12_without_sitemap_and_xmlrpc_it_is_absent_and_the_reading_says_so(
    latest: WordPress, truth: Any
) -> None:
    password = latest.application_password("administrator")

    with plugin(latest, "<?php foreach ( ['wp_sitemaps_enabled', 'xmlrpc_enabled'] as $f ) add_filter( $f, '__return_false' );"):
        structure = await read(latest, username="administrator", password=password)

    assert differences(structure, truth(latest), except_={"post_type hidden_pub", "taxonomy hidden_tax"}) == []
    assert coverage(structure) == ("partial", {"xmlrpc_unavailable", "rest_hidden_possible"})


def test_c13_c15_c19_what_rest_lists_and_is_not_public_is_absent(common: Common) -> None:
    listed = {
        slug
        for route in ("types", "taxonomies")
        for slug in httpx.get(f"{common.site.url}/wp-json/wp/v2/{route}", trust_env=False, timeout=20).json()
    }

    for structure in (common.anonymous, common.contributor, common.administrator):
        shown = slugs(structure, Family.POST_TYPE) | slugs(structure, Family.TAXONOMY)
        assert shown.isdisjoint({"priv_rest", "q_nopub", "priv_tax", "nav_menu_item", "nav_menu"})
        assert not any(slug.startswith("wp_") for slug in shown)
    assert {"priv_rest", "q_nopub", "priv_tax", "nav_menu_item", "wp_block"} <= listed


def test_c14_what_is_public_and_not_queryable_is_present(common: Common) -> None:
    assert "pub_noq" in slugs(common.anonymous, Family.POST_TYPE)
    assert "pub_noq_tax" in slugs(common.anonymous, Family.TAXONOMY)


def test_c16_a_type_whose_controller_is_missing_is_counted_by_search(common: Common) -> None:
    assert source(common.anonymous, "nocontroller")["count_source"] == "search"


def test_c18_a_hidden_taxonomy_is_counted_for_who_may_assign_its_terms(common: Common) -> None:
    assert source(common.administrator, "hidden_tax")["count_source"] == "xmlrpc"
    assert source(common.contributor, "hidden_tax")["count_source"] == "xmlrpc"
    assert "hidden_tax" not in slugs(common.anonymous, Family.TAXONOMY)


def test_c20_empty_terms_are_counted(common: Common) -> None:
    assert source(common.anonymous, "genre")["count_source"] == "collection"
    assert common.truth["taxonomies"]["genre"]["count"] > 0
    assert "wp-sitemap-taxonomies-genre-1.xml" not in httpx.get(f"{common.site.url}/wp-sitemap.xml", trust_env=False).text


def test_c21_post_formats_are_counted_by_their_own_search(common: Common) -> None:
    said = source(common.anonymous, "post_format")

    assert (said["count_source"], said["label_source"]) == ("search", "builtin")


def test_c22_attachments_are_counted_as_inherited(common: Common) -> None:
    statuses = common.truth["post_types"]["attachment"]["statuses"]
    [counted] = [e.count.value for e in common.anonymous.entries if e.content_type.slug == "attachment"]

    assert statuses == {"inherit": counted}


def test_c23_a_post_with_a_password_is_counted(common: Common) -> None:
    protected = "<?php echo wp_json_encode( count( get_posts( ['has_password' => true, 'fields' => 'ids'] ) ) );"
    [counted] = [e.count.value for e in common.anonymous.entries if e.content_type.slug == "post"]

    assert common.site.run_php(protected) == 1
    assert counted == common.truth["post_types"]["post"]["statuses"]["publish"]


def test_c24_what_is_not_published_is_neither_counted_nor_asked_for(common: Common) -> None:
    statuses = common.truth["post_types"]["post"]["statuses"]
    document = to_document(common.anonymous)

    assert {"draft", "private", "future", "pending", "trash"} <= statuses.keys()
    assert {key for entry in document["post_types"].values() for key in entry} == {
        "label", "count", "enabled", "fetch_limit",
    }  # fmt: skip
    assert not any("status" in parse_qs(urlsplit(request["uri"]).query) for request in common.requests)


def test_c25_a_contributor_reads_the_published_items_of_all_authors(common: Common) -> None:
    # The document has one count for each type, so other statuses are never asked for.
    assert differences(common.contributor, common.truth) == []
    assert coverage(common.contributor) == ("rest_only", {"role_too_weak"})


async def test_c26_a_collection_that_refuses_its_parameters_is_left_out_and_named(
    latest: WordPress, truth: Any
) -> None:
    refusing = """<?php
        if ( str_contains( $_SERVER['REQUEST_URI'], '/wp/v2/media' ) ) {
            http_response_code( 400 );
            header( 'Content-Type: application/json' );
            echo '{"code":"rest_invalid_param","message":"Invalid parameter(s): status","data":{"status":400}}';
            return true;
        }"""
    before = len(latest.requests)

    with rules(latest, refusing):
        structure = await read(latest)

    assert differences(structure, truth(latest), except_=HIDDEN_FROM_STRANGERS | {"post_type attachment"}) == []
    assert any("attachment" in warning and "rest_invalid_param" in warning for warning in structure.warnings)
    media = [request["uri"] for request in latest.requests[before:] if "/media" in request["uri"]]
    assert media
    assert not any("status=" in uri for uri in media)


def test_c65_parts_that_add_up_to_the_total_of_search_pass_in_silence(common: Common) -> None:
    # One type is counted by another route than its own, so the sum is looked at.
    totals = [request["uri"] for request in common.requests if "subtype=any" in request["uri"]]

    assert len(totals) == len(Family)
    assert common.anonymous.warnings == tuple(w for w in common.anonymous.warnings if "add up" not in w)


async def test_c65_a_collection_that_hides_items_is_counted_once_more_and_then_by_search_and_is_doubted(
    latest: WordPress, truth: Any
) -> None:
    before = len(latest.requests)

    with plugin(latest, ONE_ITEM_OF.format(hook="rest_book_query", condition="true")):
        structure = await read(latest)

    assert differences(structure, truth(latest), except_=HIDDEN_FROM_STRANGERS) == []
    said = source(structure, "book")
    assert (said["count_source"], said["exact"]) == ("search", False)
    assert source(structure, "post")["exact"] is True
    assert any("hide items from REST" in warning for warning in structure.warnings)
    asked = [request["uri"] for request in latest.requests[before:]]
    assert len([uri for uri in asked if "/wp/v2/libros" in uri]) == 2


async def test_c65_parts_that_never_add_up_are_doubted(latest: WordPress, truth: Any) -> None:
    with plugin(latest, ONE_ITEM_OF.format(hook="rest_post_search_query", condition="'any' === current( (array) $request['subtype'] )")):
        structure = await read(latest)

    assert differences(structure, truth(latest), except_=HIDDEN_FROM_STRANGERS) == []
    assert any("do not add up" in warning for warning in structure.warnings)
    assert source(structure, "book")["exact"] is False


ONE_ITEM_OF = """<?php
add_filter( '{hook}', static function ( $query, $request ) {{
    $books = get_posts( array( 'post_type' => 'book', 'fields' => 'ids', 'numberposts' => 1 ) );
    return {condition} ? array( 'post__in' => $books ) + $query : $query;
}}, 10, 2 );
"""
