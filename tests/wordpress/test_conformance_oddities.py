"""C17 and C49–C51: labels that break naive code, one name for two things, a collection that does not count."""

import unicodedata
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from reading import LATEST_AND_NIGHTLY, differences, plugin, read_now, source

from agent.demo.wordpress import WordPress
from agent.structure.model import Family, LabelSource, Structure
from agent.structure.payload import to_bytes, to_document

pytestmark = pytest.mark.wordpress

FIXTURE = (Path(__file__).parent / "fixtures" / "oddities.php").read_text("utf-8")
CONTENT = """<?php
foreach ( array( 'event' => 3, 'bare' => 12, 'album' => 1, 'clip' => 2, 'rtl' => 4 ) as $type => $number ) {
    for ( $i = 1; $i <= $number; $i++ ) {
        wp_insert_post( array( 'post_type' => $type, 'post_title' => "$type $i", 'post_status' => 'publish' ), true );
    }
}
for ( $i = 1; $i <= 5; $i++ ) {
    wp_insert_term( "event $i", 'event' );
}
"""
DIFFERENT_ON_PURPOSE = {f"post_type {slug} label" for slug in ("decomposed", "no_label-at-all", "tagged", "twice")}


@dataclass(frozen=True)
class Odd:
    site: WordPress
    truth: dict[str, Any]
    anonymous: Structure

    def true_label(self, slug: str) -> str:
        return str(self.truth["post_types"][slug]["label"])

    def label(self, slug: str) -> str:
        [kind] = [e.content_type for e in self.anonymous.of(Family.POST_TYPE) if e.content_type.slug == slug]
        return kind.label


@pytest.fixture(scope="module", params=LATEST_AND_NIGHTLY)
def odd(request: pytest.FixtureRequest, module_wordpress_site: Any, truth: Any) -> Odd:
    site = module_wordpress_site(
        "odd", release=request.param, title="Tom & Jerry's “shop”", mu_plugins={"oddities.php": FIXTURE}
    )
    site.run_php(CONTENT)
    return Odd(site, truth(site), read_now(site))


def test_everything_else_is_as_the_site_says(odd: Odd) -> None:
    assert differences(odd.anonymous, odd.truth, except_=DIFFERENT_ON_PURPOSE) == []
    assert odd.anonymous.warnings == ()


def test_c17_a_collection_without_totals_is_counted_by_search(odd: Odd, truth: Any) -> None:
    with plugin(odd.site, "<?php add_filter( 'pre_option_with_bare_arrays', '__return_true' );"):
        structure = read_now(odd.site)
        there = truth(odd.site)

    assert differences(structure, there, except_=DIFFERENT_ON_PURPOSE) == []
    assert there["post_types"]["bare"]["count"] > 0
    assert source(structure, "bare")["count_source"] == "search"


def test_c49_a_label_that_was_encoded_twice_is_decoded_twice(odd: Odd) -> None:
    assert odd.label("twice") == unescape(odd.true_label("twice")) != odd.true_label("twice")


def test_c49_tags_are_left_out_of_a_label_and_comparisons_are_not(odd: Odd) -> None:
    assert odd.label("tagged") == odd.true_label("tagged").replace("<b>", "").replace("</b>", "")
    assert odd.label("lesser") == odd.true_label("lesser")


def test_c49_a_label_is_in_its_composed_form(odd: Odd) -> None:
    assert odd.label("decomposed") == unicodedata.normalize("NFC", odd.true_label("decomposed"))
    assert odd.label("decomposed") != odd.true_label("decomposed")


def test_c49_three_hundred_characters_survive_the_way_into_the_document(odd: Odd) -> None:
    assert len(odd.true_label("long")) == 300
    assert odd.true_label("long").encode() in to_bytes(to_document(odd.anonymous))


def test_c49_without_a_label_the_slug_stands_in_and_says_so(odd: Odd) -> None:
    assert odd.true_label("no_label-at-all") == ""
    assert odd.label("no_label-at-all") == "No label at all"
    assert source(odd.anonymous, "no_label-at-all")["label_source"] == LabelSource.SLUG


def test_c50_the_title_of_the_site_is_decoded(odd: Odd) -> None:
    assert odd.anonymous.provenance["title"] == odd.site.blueprint.title


def test_c51_one_name_for_a_post_type_and_a_taxonomy_means_two_things(odd: Odd) -> None:
    # In REST, /wp/v2/event answers for the post type alone.
    sources = odd.anonymous.provenance

    assert odd.truth["post_types"]["event"]["count"] != odd.truth["taxonomies"]["event"]["count"]
    assert sources["post_types"]["event"]["count_source"] == "collection"
    assert sources["taxonomies"]["event"]["count_source"] == "search"


def test_c51_two_post_types_at_one_address_are_not_counted_as_one(odd: Odd) -> None:
    assert odd.truth["post_types"]["album"]["count"] != odd.truth["post_types"]["clip"]["count"]
    assert source(odd.anonymous, "clip")["count_source"] == "search"
