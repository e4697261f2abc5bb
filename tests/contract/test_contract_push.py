"""Pushing a structure and reading it back, over a real socket."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contract_builders import a_document, an_entry, keyed, pushed

from agent.backend.contract import (
    BODY_LIMIT_BYTES,
    ENTRIES_LIMIT,
    ENTRY_KEYS,
    LABEL_LIMIT_CHARACTERS,
)


def without_synced(entries: dict[str, Any]) -> dict[str, Any]:
    return {slug: {key: entry[key] for key in ENTRY_KEYS} for slug, entry in entries.items()}


def last_fetch(backend: Any) -> datetime:
    return datetime.fromisoformat(backend.read()["last_structure_fetch"])


def test_a_pushed_structure_is_read_back(backend: Any) -> None:
    document = a_document()
    before = datetime.now(UTC)

    answer = pushed(backend, document)

    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json().get("success", True) is True
    known = backend.read()
    assert without_synced(known["post_types"]) == document["post_types"]
    assert without_synced(known["taxonomies"]) == document["taxonomies"]
    for entry in [*known["post_types"].values(), *known["taxonomies"].values()]:
        assert type(entry["synced_count"]) is int
        assert entry["synced_count"] >= 0
    fetched = last_fetch(backend)
    assert fetched.tzinfo is not None
    assert abs(fetched - before) < timedelta(minutes=5)


def test_an_equal_structure_of_the_next_slot_moves_the_time_of_fetching(backend: Any) -> None:
    document = a_document()
    pushed(backend, document)
    before = last_fetch(backend)

    time_passes(backend)
    pushed(backend, document)

    assert last_fetch(backend) > before


def time_passes(backend: Any) -> None:
    """A foreign clock may count whole seconds; the hub's counts milliseconds."""
    if not backend.is_hub:
        time.sleep(1.1)


def test_a_push_replaces_the_whole_structure(backend: Any) -> None:
    pushed(backend, a_document())
    pushed(backend, a_document(post_types={"book": an_entry("Books", 1)}, taxonomies={}))

    known = backend.read()
    assert list(known["post_types"]) == ["book"]
    assert known["taxonomies"] == {}


def test_the_day_a_site_goes_there_and_back_ends_where_it_is(backend: Any) -> None:
    first, second = a_document(), a_document(post_types={"book": an_entry("Books", 1)})
    for document in (first, second, first):
        pushed(backend, document)

    assert set(backend.read()["post_types"]) == {"post", "page"}


def test_an_unknown_version_is_welcome(backend: Any) -> None:
    pushed(backend, a_document(wordpress_version=None))


@pytest.mark.parametrize("label", ["", "Käse & “Brot”", "كتب", "😀", "<b>x</b>", "é" * LABEL_LIMIT_CHARACTERS])
def test_labels_come_back_as_they_went(backend: Any, label: str) -> None:
    pushed(backend, a_document(post_types={"post": an_entry(label, 1)}))

    assert backend.read()["post_types"]["post"]["label"] == label


def test_the_largest_document_is_taken(backend: Any) -> None:
    many = {f"type_{number}": an_entry("x" * LABEL_LIMIT_CHARACTERS, number) for number in range(ENTRIES_LIMIT)}
    document = a_document(post_types=many, taxonomies=many)
    assert len(json.dumps(document)) < BODY_LIMIT_BYTES

    pushed(backend, document)

    assert len(backend.read()["post_types"]) == ENTRIES_LIMIT


def test_a_repeated_delivery_is_answered_as_a_success(backend: Any) -> None:
    headers, document = keyed(), a_document()

    first = pushed(backend, document, **headers)
    again = pushed(backend, document, **headers)

    assert again.json() == first.json() or not backend.is_hub
    assert set(backend.read()["post_types"]) == {"post", "page"}


def test_a_late_repeat_does_not_bring_an_older_structure_back(backend: Any) -> None:
    late, older = keyed(), a_document()
    pushed(backend, older, **late)
    pushed(backend, a_document(post_types={"book": an_entry("Books", 1)}))

    backend.push(older, headers=late)

    if list(backend.read()["post_types"]) != ["book"] and not backend.is_hub:
        pytest.skip("this backend keeps no memory of keys; the agent reads back and pushes again")
    assert list(backend.read()["post_types"]) == ["book"]


def test_an_older_generation_is_409(backend: Any) -> None:
    older = keyed()
    pushed(backend, a_document(post_types={"book": an_entry("Books", 1)}))

    answer = backend.push(a_document(), headers=older)

    if answer.status_code == 200 and not backend.is_hub:
        pytest.skip("this backend knows no generations; the agent reads back and pushes again")
    assert answer.status_code == 409
    assert list(backend.read()["post_types"]) == ["book"]


def test_a_key_with_another_body_is_422(backend: Any) -> None:
    headers = keyed()
    pushed(backend, a_document(), **headers)

    answer = backend.push(a_document(post_types={}), headers=headers)

    if answer.status_code == 200 and not backend.is_hub:
        pytest.skip("this backend keeps no memory of keys")
    assert answer.status_code == 422
