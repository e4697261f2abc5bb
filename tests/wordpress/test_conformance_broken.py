"""Sites that answer with rubbish, too late, too much or from a cache (C35–C39, C42–C44, C57)."""

from typing import Any

import pytest
from reading import Truth, coverage, differences, plugin, read, rules, source

from agent.demo.wordpress import WordPress
from agent.errors import SiteThrottled
from agent.sync import next_try

pytestmark = [pytest.mark.anyio, pytest.mark.wordpress]

HIDDEN = {"post_type hidden_pub label", "taxonomy hidden_tax"}
DIRTY = "the site writes something before or behind its answers"


@pytest.fixture(scope="module")
def site(module_wordpress_site: Any) -> WordPress:
    found: WordPress = module_wordpress_site.common("broken")
    return found


# PHP sends no header after these bytes, so REST loses its status, its type and its totals.
MARK_AND_STYLE = "<?php echo \"\\xEF\\xBB\\xBF<style>.x{color:red}</style>\\n\";"
COMMENT = "<?php add_action( 'shutdown', static function () { echo '<!-- cached by somebody -->'; } );"
NO_TOTALS = """<?php header_register_callback( static function () {
    header_remove( 'X-WP-Total' ); header_remove( 'X-WP-TotalPages' ); } );"""
NOTICE = """<?php add_action( 'init', static function () { $nothing = array(); return $nothing['missing']; } );"""
DEBUG = "<?php define( 'WP_DEBUG', true ); define( 'WP_DEBUG_DISPLAY', true ); ini_set( 'display_errors', '1' );"


async def test_c35_bytes_before_every_answer_lose_no_count(site: WordPress, true: Truth) -> None:
    with plugin(site, MARK_AND_STYLE):
        structure = await read(site)

    assert differences(structure, true, except_=HIDDEN) == []
    assert any(text.startswith(DIRTY) for text in structure.warnings)
    assert source(structure, "book")["count_source"] == "envelope"


async def test_c36_a_site_that_displays_its_errors_shows_us_none(site: WordPress, true: Truth) -> None:
    with plugin(site, NOTICE), rules(site, DEBUG):
        structure = await read(site)

    assert differences(structure, true, except_=HIDDEN) == []
    assert not any(text.startswith(DIRTY) for text in structure.warnings)


async def test_c37_a_comment_behind_every_answer_is_passed_over(site: WordPress, true: Truth) -> None:
    with plugin(site, COMMENT):
        structure = await read(site)

    assert differences(structure, true, except_=HIDDEN) == []
    assert any(text.startswith(DIRTY) for text in structure.warnings)


async def test_c38_totals_that_a_proxy_strips_come_by_the_envelope(site: WordPress, true: Truth) -> None:
    with rules(site, NO_TOTALS):
        structure = await read(site)

    assert differences(structure, true, except_=HIDDEN) == []
    assert source(structure, "post")["count_source"] == "envelope"


# Replays whatever the same address once answered, for ever.
CACHE = """<?php
if ( 'GET' !== $_SERVER['REQUEST_METHOD'] || isset( $_SERVER['HTTP_AUTHORIZATION'] ) ) { return; }
$kept = dirname( getenv( 'WPSA_RULES' ) ) . '/cache-' . md5( $_SERVER['REQUEST_URI'] );
if ( is_file( $kept ) ) {
    [ $headers, $body ] = unserialize( file_get_contents( $kept ) );
    array_map( 'header', $headers );
    header( 'Age: 60' );
    echo $body;
    return true;
}
ob_start( static function ( $body ) use ( $kept ) {
    if ( 200 === http_response_code() ) { file_put_contents( $kept, serialize( array( headers_list(), $body ) ) ); }
    return $body;
} );
"""


async def test_c39_what_a_cache_remembers_is_not_what_is_read(site: WordPress, truth: Any) -> None:
    with rules(site, CACHE):
        await read(site)
        added = site.run_php(
            "<?php echo wp_json_encode( array_map( static fn( $n ) => wp_insert_post( array( 'post_type' => 'book', "
            "'post_title' => $n, 'post_status' => 'publish' ) ), array( 'one', 'two' ) ) );"
        )
        try:
            structure = await read(site)
            now = truth(site)
        finally:
            site.run_php("<?php foreach ( $arguments['ids'] as $id ) { wp_delete_post( $id, true ); }", {"ids": added})

    assert differences(structure, now, except_=HIDDEN) == []


async def test_c42_five_thousand_items_cost_no_more_requests_than_five(wordpress_site: Any, truth: Any) -> None:
    site = wordpress_site.common("large")
    small = await read(site)
    site.run_php(
        """<?php global $wpdb; $wpdb->query( 'BEGIN' );
        foreach ( range( 1, 5000 ) as $n ) {
            $wpdb->query( "INSERT INTO {$wpdb->posts} (post_author, post_date, post_date_gmt, post_content, post_title,
                post_excerpt, post_status, post_name, to_ping, pinged, post_modified, post_modified_gmt,
                post_content_filtered, post_type) VALUES (1, '2026-01-01 10:00:00', '2026-01-01 10:00:00', '', 'b$n', '',
                'publish', 'b$n', '', '', '2026-01-01 10:00:00', '2026-01-01 10:00:00', '', 'book')" );
        }
        foreach ( range( 1, 500 ) as $n ) {
            $wpdb->query( "INSERT INTO {$wpdb->terms} (name, slug, term_group) VALUES ('g$n', 'g$n', 0)" );
            $wpdb->query( "INSERT INTO {$wpdb->term_taxonomy} (term_id, taxonomy, description, parent, count)
                VALUES ({$wpdb->insert_id}, 'genre', '', 0, 0)" );
        }
        $wpdb->query( 'COMMIT' ); wp_cache_flush();"""
    )

    structure = await read(site)

    assert differences(structure, truth(site), except_=HIDDEN) == []
    assert structure.provenance["requests"] == small.provenance["requests"]


async def test_c43_maintenance_is_waited_out_for_as_long_as_wordpress_asks(
    site: WordPress, true: Truth, clock: Any
) -> None:
    file = site.write(".maintenance", "<?php $upgrading = time();")
    before = len(site.requests)
    try:
        with pytest.raises(SiteThrottled) as failed:
            await read(site)
    finally:
        file.unlink()

    assert failed.value.reason == "maintenance"
    assert len(site.requests) - before == 1
    wait = next_try(failed.value, failures=1, clock=clock.clock) - clock.clock.now()
    assert wait.total_seconds() >= 600
    assert differences(await read(site), true, except_=HIDDEN) == []


BROKEN_COLLECTION = {
    "a fatal error in PHP": "<?php add_filter( 'rest_prepare_book', static function () { throw new Error( 'no' ); } );",
    "500": "<?php if ( str_contains( $_SERVER['REQUEST_URI'], '/libros' ) ) { http_response_code( 500 ); return true; }",
    "404": "<?php if ( str_contains( $_SERVER['REQUEST_URI'], '/libros' ) ) { http_response_code( 404 ); return true; }",
    "a page": "<?php if ( str_contains( $_SERVER['REQUEST_URI'], '/libros' ) ) { echo '<h1>Books</h1>'; return true; }",
}


@pytest.mark.parametrize("how", BROKEN_COLLECTION)
async def test_c44_one_broken_collection_is_counted_by_the_search_and_spoils_nothing(
    site: WordPress, true: Truth, how: str
) -> None:
    text = BROKEN_COLLECTION[how]
    with (plugin if "add_filter" in text else rules)(site, text):
        structure = await read(site)

    assert differences(structure, true, except_=HIDDEN) == []
    assert source(structure, "book")["count_source"] == "search"


async def test_c57_a_language_plugin_that_halves_the_counts_is_named(site: WordPress, true: Truth) -> None:
    halves = """<?php
    add_action( 'rest_api_init', static fn() => register_rest_route( 'wpml/v1', '/x', array(
        'callback' => '__return_true', 'permission_callback' => '__return_true' ) ) );
    add_action( 'pre_get_posts', static function ( $query ) {
        if ( defined( 'REST_REQUEST' ) && ! $query->get( 'halved' ) && 'post' === ( (array) $query->get( 'post_type' ) )[0] ) {
            $all = get_posts( array( 'halved' => 1, 'numberposts' => -1, 'fields' => 'ids', 'suppress_filters' => false ) );
            $query->set( 'post__in', array_slice( $all, 0, 4 ) );
        }
    } );"""
    with plugin(site, halves):
        structure = await read(site)

    assert structure.provenance["languages"] == "WPML is active: counts may be of the default language only"
    assert not [text for text in differences(structure, true, except_=HIDDEN) if not text.startswith("post_type post ")]
    assert coverage(structure)[0] == "partial"
