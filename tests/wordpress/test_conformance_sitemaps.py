"""C12, C63 and C64: what a sitemap tells, core's own and an SEO plugin's, beside an open REST API and a closed one."""

from pathlib import Path
from typing import Any

import pytest
from reading import LATEST_AND_OLDEST, differences, plugin, read, source

from agent.demo.wordpress import WordPress
from agent.structure.model import CountSource, Family, Structure

pytestmark = [pytest.mark.wordpress, pytest.mark.anyio]

HIDDEN_FROM_STRANGERS = {"taxonomy hidden_tax", "post_type hidden_pub label"}
REST_CLOSED = """<?php
add_filter( 'rest_authentication_errors', static fn() => new WP_Error(
    'rest_not_logged_in', 'You are not logged in.', array( 'status' => 401 )
) );
"""
THREE_A_PAGE = "<?php add_filter( 'wp_sitemaps_max_urls', static fn() => 3 );"
SEO = (Path(__file__).parent / "fixtures" / "seo.php").read_text("utf-8")
PAGES = """<?php
for ( $i = 1; $i <= $arguments['number']; $i++ ) {
    wp_insert_post( array( 'post_type' => 'page', 'post_title' => "page $i", 'post_status' => 'publish' ), true );
}
"""


# The releases differ here: until 7.1.0 core sends later pages of a sitemap with status 404.
@pytest.fixture(scope="module", params=LATEST_AND_OLDEST)
def site(request: pytest.FixtureRequest, module_wordpress_site: Any) -> WordPress:
    common: WordPress = module_wordpress_site.common("sitemaps", release=request.param)
    return common


async def test_c63_a_closed_site_is_told_from_its_sitemap_without_the_home_page(site: WordPress, truth: Any) -> None:
    true = truth(site)

    with plugin(site, REST_CLOSED):
        structure = await read(site)

    counted = counts(structure)
    assert counted == {slug: true["post_types"][slug]["count"] for slug in counted}
    # Types that are not queryable and attachments are on no sitemap; taxonomies are not told at all.
    assert true["post_types"].keys() - counted.keys() == {"attachment", "pub_noq"}
    assert structure.of(Family.TAXONOMY) == ()
    assert structure.provenance["coverage"] == {"completeness": "fallback", "reasons": ["rest_not_logged_in"]}
    assert not any(source(structure, slug)["exact"] for slug in counted)


@pytest.mark.parametrize("more", [2, 4, 3])
async def test_c63_pages_on_several_sitemap_pages_are_counted_without_the_home_page(
    site: WordPress, truth: Any, more: int
) -> None:
    # Each time some more pages: one, two, three and more sitemap pages, full and not.
    site.run_php(PAGES, {"number": more})

    with plugin(site, THREE_A_PAGE), plugin(site, REST_CLOSED, name="closed.php"):
        structure = await read(site)

    true = truth(site)["post_types"]
    assert counts(structure) == {slug: true[slug]["count"] for slug in counts(structure)}


async def test_c63_a_page_that_is_the_front_page_is_counted_as_one(site: WordPress, truth: Any) -> None:
    site.run_php(PAGES, {"number": 1})
    newest = site.run_php("<?php echo wp_json_encode( max( get_all_page_ids() ) );")
    static = f"""<?php add_filter( 'pre_option_show_on_front', static fn() => 'page' );
        add_filter( 'pre_option_page_on_front', static fn() => '{newest}' );"""

    with plugin(site, REST_CLOSED), plugin(site, static, name="static.php"):
        structure = await read(site)

    assert counts(structure)["page"] == truth(site)["post_types"]["page"]["count"]
    assert source(structure, "page")["exact"] is False


async def test_c12_a_sitemap_is_read_as_the_site_is_reached_whatever_scheme_wordpress_writes(
    site: WordPress, truth: Any
) -> None:
    # As behind a proxy that has taken the encryption off: nothing there redirects.
    by_https = """<?php add_filter( 'redirect_canonical', '__return_false' );
        foreach ( array( 'option_home', 'option_siteurl' ) as $name ) {
        add_filter( $name, static fn( $it ) => str_replace( 'http:', 'https:', $it ) ); }"""

    with plugin(site, by_https):
        structure = await read(site)

    assert source(structure, "hidden_pub")["count_source"] == CountSource.SITEMAP
    except_ = HIDDEN_FROM_STRANGERS | {"site_url"}
    assert differences(structure, truth(site), except_=except_) == []


async def test_c12_items_on_several_sitemap_pages_are_all_counted(site: WordPress, truth: Any) -> None:
    with plugin(site, THREE_A_PAGE):
        structure = await read(site)

    assert differences(structure, truth(site), except_=HIDDEN_FROM_STRANGERS) == []


async def test_c64_an_seo_plugins_sitemap_names_hidden_types_and_counts_them_about(site: WordPress, truth: Any) -> None:
    with plugin(site, SEO):
        structure = await read(site)

    assert differences(structure, truth(site), except_=HIDDEN_FROM_STRANGERS) == []
    said = source(structure, "hidden_pub")
    assert (said["count_source"], said["exact"]) == (CountSource.SITEMAP, False)


async def test_c64_beside_a_closed_rest_it_names_the_types_without_their_archives(site: WordPress, truth: Any) -> None:
    with plugin(site, SEO), plugin(site, REST_CLOSED, name="closed.php"):
        structure = await read(site)

    true = truth(site)["post_types"]
    counted = counts(structure)
    assert counted == {slug: true[slug]["count"] for slug in counted}
    assert {"post", "page", "book", "hidden_pub"} <= counted.keys()
    assert not any(source(structure, slug)["exact"] for slug in counted)


def counts(structure: Structure) -> dict[str, int | None]:
    return {entry.content_type.slug: entry.count.value for entry in structure.of(Family.POST_TYPE)}
