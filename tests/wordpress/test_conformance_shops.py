"""C56: a shop, whose plugin keeps public taxonomies out of REST. The plugin is played by what it registers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from reading import LATEST_AND_NIGHTLY, coverage, differences, read_now, slugs, source

from agent.demo.wordpress import WordPress
from agent.structure.model import Family, Structure

pytestmark = pytest.mark.wordpress

PLUGIN = (Path(__file__).parent / "fixtures" / "shop.php").read_text("utf-8")
CONTENT = """<?php
$insert = static fn( $type, $status, $i ) => wp_insert_post(
    array( 'post_type' => $type, 'post_title' => "$type $i", 'post_status' => $status ), true
);
for ( $i = 1; $i <= 9; $i++ ) {
    $products[] = $insert( 'product', 'publish', $i );
}
$insert( 'product', 'draft', 10 );
$insert( 'product_variation', 'publish', 1 );
$insert( 'shop_order', 'publish', 1 );
$terms = array(
    'product_cat' => 4, 'product_tag' => 1, 'product_shipping_class' => 2, 'pa_color' => 3, 'product_visibility' => 1,
);
foreach ( $terms as $taxonomy => $number ) {
    for ( $i = 1; $i <= $number; $i++ ) {
        wp_insert_term( "$taxonomy $i", $taxonomy );
    }
}
// Two products are hidden from the catalogue, as WooCommerce marks it; one has a colour.
wp_set_object_terms( $products[0], 'product_visibility 1', 'product_visibility' );
wp_set_object_terms( $products[1], 'product_visibility 1', 'product_visibility' );
wp_set_object_terms( $products[2], 'pa_color 1', 'pa_color' );
"""
HIDDEN = {"taxonomy product_shipping_class", "taxonomy pa_color"}


@dataclass(frozen=True)
class Shop:
    site: WordPress
    truth: dict[str, Any]
    anonymous: Structure
    administrator: Structure


@pytest.fixture(scope="module", params=LATEST_AND_NIGHTLY)
def shop(request: pytest.FixtureRequest, module_wordpress_site: Any, truth: Any) -> Shop:
    site = module_wordpress_site("shop", release=request.param, mu_plugins={"shop.php": PLUGIN})
    site.run_php(CONTENT)
    login = {"username": "admin", "password": site.application_password()}
    return Shop(site, truth(site), read_now(site), read_now(site, **login))


def test_c56_an_administrator_sees_the_whole_shop(shop: Shop) -> None:
    assert differences(shop.administrator, shop.truth) == []
    assert coverage(shop.administrator) == ("full", set())
    assert {slug: source(shop.administrator, slug)["count_source"] for slug in ("product_shipping_class", "pa_color")} == {
        "product_shipping_class": "xmlrpc",
        "pa_color": "xmlrpc",
    }


def test_c56_a_stranger_misses_what_rest_hides_and_is_told_its_name(shop: Shop) -> None:
    assert differences(shop.anonymous, shop.truth, except_=HIDDEN) == []
    assert coverage(shop.anonymous) == ("partial", {"anonymous", "taxonomies_hidden"})
    # One is known from the plugin's namespace, the other from the sitemap.
    for slug in ("product_shipping_class", "pa_color"):
        assert any(f"taxonomy {slug} exists and is hidden" in warning for warning in shop.anonymous.warnings)


def test_c56_products_are_counted_whatever_their_catalogue_says_and_variations_are_not(shop: Shop) -> None:
    [products] = [e.count.value for e in shop.anonymous.entries if e.content_type.slug == "product"]

    assert products == shop.truth["post_types"]["product"]["statuses"]["publish"]
    for structure in (shop.anonymous, shop.administrator):
        assert slugs(structure, Family.POST_TYPE).isdisjoint({"product_variation", "shop_order"})
        assert "product_visibility" not in slugs(structure, Family.TAXONOMY)
