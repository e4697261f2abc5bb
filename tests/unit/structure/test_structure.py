"""From answers to the document: pure, and nothing made up."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from builders import NOW, a_post_type, a_structure, a_taxonomy, counted, uncounted

from agent.backend.contract import DOCUMENT_KEYS, ENTRY_KEYS, LABEL_LIMIT_CHARACTERS
from agent.structure.diff import Changes, diff
from agent.structure.label import clean_label, label_from_slug
from agent.structure.model import Choice, Choices, Family
from agent.structure.payload import digest, iso_utc, to_bytes, to_document

POST, PAGE, GENRE = a_post_type("post"), a_post_type("page"), a_taxonomy("genre")


def test_the_document_has_the_agreed_keys_and_no_other() -> None:
    document = to_document(a_structure())

    assert tuple(document) == DOCUMENT_KEYS
    for family in ("post_types", "taxonomies"):
        assert all(tuple(entry) == ENTRY_KEYS for entry in document[family].values())
    assert document["timestamp"] == "2026-11-21T10:00:00Z"
    assert document["post_types"]["post"] == {"label": "Post", "count": 123, "enabled": True, "fetch_limit": 100}


def test_an_unknown_count_is_never_zero() -> None:
    structure = a_structure((POST, uncounted("http_500")), (PAGE, counted(0)))

    assert to_document(structure)["post_types"] == {
        "page": {"label": "Page", "count": 0, "enabled": True, "fetch_limit": 100}
    }
    assert any("post type post" in warning and "left out" in warning for warning in structure.warnings)


def test_the_last_known_count_stands_in_and_says_so() -> None:
    structure = a_structure((POST, uncounted("http_500")), last_known={(Family.POST_TYPE, "post"): 5})

    [entry] = structure.entries
    assert (entry.count.value, entry.count.stale, entry.count.exact) == (5, True, False)
    assert structure.provenance["post_types"]["post"]["stale"] is True


def test_the_same_slug_may_be_a_post_type_and_a_taxonomy() -> None:
    structure = a_structure((a_post_type("event"), counted(3)), (a_taxonomy("event"), counted(4)))

    assert [structure.of(family)[0].count.value for family in Family] == [3, 4]


def test_the_order_of_answers_does_not_matter() -> None:
    pairs = ((POST, counted(1)), (GENRE, counted(2)), (PAGE, counted(3)))

    assert to_bytes(to_document(a_structure(*pairs))) == to_bytes(to_document(a_structure(*reversed(pairs))))


def test_the_time_is_no_part_of_the_digest_and_all_else_is() -> None:
    document = to_document(a_structure())

    assert digest(document) == digest(document | {"timestamp": "another"})
    for key in document.keys() - {"timestamp"}:
        assert digest(document) != digest(document | {key: None})


def test_choices_are_in_the_document() -> None:
    choices = Choices(Choice(fetch_limit=50), {(Family.POST_TYPE, "post"): Choice(enabled=False)}, False, False)

    document = to_document(a_structure(choices=choices))

    assert (document["post_types"]["post"]["enabled"], document["post_types"]["page"]["fetch_limit"]) == (False, 50)
    assert (document["plugin_connection_enabled"], document["two_way_sync_enabled"]) == (False, False)


def test_provenance_can_be_kept_and_never_travels() -> None:
    structure = a_structure()

    json.dumps(structure.provenance)
    assert "provenance" not in to_document(structure)


@pytest.mark.parametrize("moment", [NOW, NOW.astimezone(timezone(timedelta(hours=9))), NOW.replace(microsecond=5)])
def test_moments_travel_in_utc_to_the_second(moment: datetime) -> None:
    assert iso_utc(moment) == "2026-11-21T10:00:00Z"
    assert moment.astimezone(UTC).year == 2026


# --- changes ------------------------------------------------------------------------------------


def changes(before: object, after: object) -> Changes:
    return diff(to_document(before) if before else None, to_document(after))  # type: ignore[arg-type]


def test_the_first_structure_changes_nothing() -> None:
    assert not changes(None, a_structure())


def test_equal_structures_differ_in_nothing() -> None:
    assert not changes(a_structure(), a_structure(finished_at=NOW + timedelta(days=1)))


def test_what_came_and_went_is_said_as_a_site_owner_reads_it() -> None:
    before = a_structure((POST, counted(1)), (GENRE, counted(2)))
    after = a_structure((a_post_type("post", "Articles"), counted(4)), (a_post_type("book"), counted(7)))

    found = changes(before, after)

    assert found.structure == (
        "post type book is new: “Book”, 7 items",
        "post type post is now called “Articles” (was “Post”)",
        "taxonomy genre is no longer visible (was “Genre”)",
    )
    assert found.counts == ("Articles (post): 1 → 4 (+3)",)


def test_what_was_chosen_and_large_numbers_are_said_as_people_write_them() -> None:
    before = a_structure((POST, counted(1_203)), choices=Choices(Choice(fetch_limit=100)))
    after = a_structure(
        (POST, counted(999)), (GENRE, counted(1)), choices=Choices(Choice(False, 1_000), {}, False, False)
    )

    found = changes(before, after)

    assert found.structure == (
        "plugin connection: yes → no",
        "two-way sync: yes → no",
        "post type post: enabled yes → no",
        "post type post: fetch limit 100 → 1,000",
        "taxonomy genre is new: “Genre”, 1 term",
    )
    assert found.counts == ("Post (post): 1,203 → 999 (-204)",)


# --- labels -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "label"),
    [
        ("Posts", "Posts"),
        ("Caf&eacute; &amp; Bar", "Café & Bar"),
        ("It&amp;#39;s", "It's"),
        ("<b>Bold</b> <script>x</script>", "Bold x"),
        ("a < b > c", "a < b > c"),
        ("Cafe\u0301", "Café"),
        ("a\x00b\x1bc\x9bd\ne", "abcde"),
        ("كتب \u200f", "كتب \u200f"),
        ("😀", "😀"),
        ("x" * 999, "x" * LABEL_LIMIT_CHARACTERS),
        ("", None), ("  \n ", None), ("<i></i>", None), (None, None), (5, None), (["x"], None), ("\ud800", None),
    ],
)  # fmt: skip
def test_a_label_is_text_that_every_place_can_show(raw: object, label: str | None) -> None:
    assert clean_label(raw) == label


@pytest.mark.parametrize(
    ("slug", "label"), [("event-venue", "Event venue"), ("wp_block", "Wp block"), ("x", "X"), ("--", "--")]
)
def test_a_slug_without_a_label_is_made_readable(slug: str, label: str) -> None:
    assert label_from_slug(slug) == label
