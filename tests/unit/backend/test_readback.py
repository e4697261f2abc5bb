"""Whether the backend shows what was pushed."""

import json
from typing import Any

import httpx
import pytest

from agent.backend.readback import shows
from agent.transport import Answer

DOCUMENT = {"post_types": {"post": {"count": 3, "label": "Posts"}}, "taxonomies": {}}


def shown(value: Any) -> bool:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return shows(Answer("GET", "https://b/", 200, httpx.Headers(), body), json.dumps(DOCUMENT).encode())


@pytest.mark.parametrize(
    "value",
    [
        DOCUMENT,
        {"data": DOCUMENT},
        {"post_types": {"post": {"count": 3, "synced_count": 9, "label": "Other"}}, "taxonomies": {}, "more": 1},
    ],
)
def test_equal_slugs_and_counts_are_the_same_structure(value: Any) -> None:
    assert shown(value)


@pytest.mark.parametrize(
    "value",
    [
        b"", b"<html>", [], 5, None, {}, {"data": []},
        {"post_types": [], "taxonomies": {}},
        {"post_types": {"post": {"count": 4}}, "taxonomies": {}},
        {"post_types": {"post": {"count": "3"}}, "taxonomies": {}},
        {"post_types": {"post": 3}, "taxonomies": {}},
        {"post_types": {}, "taxonomies": {}},
        {"post_types": {"post": {"count": 3}, "page": {"count": 0}}, "taxonomies": {}},
        {"post_types": {"post": {"count": 3}}},
    ],
)  # fmt: skip
def test_anything_else_is_not(value: Any) -> None:
    assert not shown(value)
