"""Pushing a structure and reading it back."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hub_browser import Browser
from hub_builders import Tenant, a_document, an_entry

from agent.backend.contract import (
    BODY_LIMIT_BYTES,
    ENTRIES_LIMIT,
    GENERATION_HEADER,
    IDEMPOTENCY_KEY_HEADER,
)


def push(browser: Browser, tenant: Tenant, document: Any = None, **headers: str) -> Any:
    named = {"key": IDEMPOTENCY_KEY_HEADER, "generation": GENERATION_HEADER}
    return browser.post(
        tenant.push_path,
        bearer=tenant.api_key,
        content=json.dumps(document or a_document()),
        headers={"Content-Type": "application/json", **{named[name]: value for name, value in headers.items()}},
    )


def read(browser: Browser, tenant: Tenant) -> dict[str, Any]:
    answer = browser.get(tenant.read_path, bearer=tenant.api_key)
    assert answer.status_code == 200
    result: dict[str, Any] = answer.json()
    return result


def test_a_pushed_structure_is_read_back_with_synced_counts(browser: Browser, tenant: Tenant) -> None:
    from agent.hub.integrations.contents import record_contents

    record_contents(tenant.integration, family="post_type", type_slug="post", external_ids=range(50))
    record_contents(tenant.integration, family="taxonomy", type_slug="category", external_ids=["a", "b", "a"])

    answer = push(browser, tenant)

    assert answer.status_code == 200
    assert answer.json()["success"] is True
    assert answer.json()["integration_id"] == tenant.integration.pk
    assert answer.json()["counts"] == {"post_types": 2, "taxonomies": 1}
    known = read(browser, tenant)
    assert known["post_types"]["post"] == an_entry(synced_count=50)
    assert known["post_types"]["page"] == an_entry("Pages", 12, synced_count=0)
    assert known["taxonomies"]["category"] == an_entry("Categories", 9, synced_count=2)
    fetched = datetime.fromisoformat(known["last_structure_fetch"])
    assert abs(datetime.now(UTC) - fetched) < timedelta(seconds=30)
    assert answer.json()["last_structure_fetch"] == known["last_structure_fetch"]


def test_the_document_is_stored_under_content_types(browser: Browser, tenant: Tenant) -> None:
    push(browser, tenant)

    tenant.integration.refresh_from_db()
    stored = tenant.integration.config_json
    assert set(stored["content_types"]) == {"post_types", "taxonomies", "last_structure_fetch"}
    assert stored["content_types"]["post_types"] == a_document()["post_types"]
    assert stored["structure"]["wordpress_version"] == "7.1.4"


def test_before_the_first_push_everything_is_empty(browser: Browser, tenant: Tenant) -> None:
    assert read(browser, tenant) == {"post_types": {}, "taxonomies": {}, "last_structure_fetch": None}


def test_content_of_another_site_is_not_counted(browser: Browser, tenant: Tenant) -> None:
    from hub_builders import a_tenant

    from agent.hub.integrations.contents import record_contents

    record_contents(a_tenant().integration, family="post_type", type_slug="post", external_ids=range(9))
    push(browser, tenant)

    assert read(browser, tenant)["post_types"]["post"]["synced_count"] == 0


def test_synced_counts_take_one_query_however_many_types(hub: object, tenant: Tenant) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from agent.hub.integrations.contents import count_synced, record_contents

    for slug in ("post", "page", "book"):
        record_contents(tenant.integration, family="post_type", type_slug=slug, external_ids=range(3))
    with CaptureQueriesContext(connection) as queries:
        counts = count_synced(tenant.integration)

    assert counts == {"post_type": {"post": 3, "page": 3, "book": 3}}
    assert len(queries) == 1


def test_an_equal_document_under_a_new_key_moves_the_time_of_fetching(browser: Browser, tenant: Tenant) -> None:
    first = push(browser, tenant, key="slot-1", generation="1").json()["last_structure_fetch"]

    second = push(browser, tenant, key="slot-2", generation="2").json()["last_structure_fetch"]

    assert second > first
    assert read(browser, tenant)["last_structure_fetch"] == second


def test_a_repeated_key_gets_its_first_answer_and_changes_nothing(browser: Browser, tenant: Tenant) -> None:
    first = push(browser, tenant, key="k", generation="1")
    again = push(browser, tenant, key="k", generation="1")

    assert again.status_code == 200
    assert again.json() == first.json()
    tenant.integration.refresh_from_db()
    assert tenant.integration.snapshots.count() == len(tenant.integration.receipts) == 1


def test_a_late_repeat_does_not_bring_the_older_structure_back(browser: Browser, tenant: Tenant) -> None:
    older, newer = a_document(), a_document(post_types={"book": an_entry("Books", 1)})
    push(browser, tenant, older, key="a")
    push(browser, tenant, newer, key="b")

    late = push(browser, tenant, older, key="a")

    assert late.status_code == 200
    assert list(read(browser, tenant)["post_types"]) == ["book"]


def test_a_key_with_other_bytes_is_422(browser: Browser, tenant: Tenant) -> None:
    push(browser, tenant, key="k")

    answer = push(browser, tenant, a_document(wordpress_version=None), key="k")

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_same_key_of_another_site_is_another_key(browser: Browser, tenant: Tenant) -> None:
    from hub_builders import a_tenant

    push(browser, tenant, key="k")

    assert push(browser, a_tenant(), a_document(post_types={}), key="k").status_code == 200


def test_an_older_generation_is_409_and_changes_nothing(browser: Browser, tenant: Tenant) -> None:
    push(browser, tenant, generation="7", key="new")

    answer = push(browser, tenant, a_document(post_types={}), generation="6", key="late")

    assert answer.status_code == 409
    assert answer.json()["status"] == 409
    assert set(read(browser, tenant)["post_types"]) == {"post", "page"}


@pytest.mark.parametrize("generation", ["-1", "1.0", "", "1_000", "9" * 19, "x"])
def test_a_generation_is_plain_digits(browser: Browser, tenant: Tenant, generation: str) -> None:
    assert push(browser, tenant, generation=generation).status_code == 400


@pytest.mark.parametrize("key", ["", "x" * 256, "two words"])
def test_an_idempotency_key_is_short_and_visible(browser: Browser, tenant: Tenant, key: str) -> None:
    assert push(browser, tenant, key=key).status_code == 400


def test_receipts_are_pruned_to_their_bound(browser: Browser, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    from agent.hub.integrations import intake

    monkeypatch.setattr(intake, "RECEIPTS_KEPT", 3)
    for number in range(5):
        push(browser, tenant, key=f"k{number}")

    tenant.integration.refresh_from_db()
    assert [receipt["key"] for receipt in tenant.integration.receipts] == ["k2", "k3", "k4"]


def test_a_push_costs_few_statements(tenant: Tenant) -> None:
    """The key, the row with its lock, the structure, the row: putting statements together is most of what a push costs."""
    from datetime import timedelta

    from django.db import connection
    from django.test.utils import CaptureQueriesContext
    from django.utils import timezone

    from agent.hub.integrations.intake import Push, take_in
    from agent.hub.integrations.models import ApiKey, SiteIntegration

    yesterday = timezone.now() - timedelta(days=1)

    def one(count: int, at: datetime) -> int:
        push = Push(a_document(post_types={"post": an_entry(count=count)}), "0" * 64, f"key {count}", count)
        owned = SiteIntegration.objects.filter(site__owner=tenant.user)
        with CaptureQueriesContext(connection) as queries:
            assert ApiKey.find(tenant.api_key) is not None
            take_in(owned, tenant.integration.pk, push, received_at=at)
        return len([query for query in queries if query["sql"].split()[0] not in ("BEGIN", "COMMIT")])

    assert one(1, yesterday) == 4
    assert one(2, yesterday + timedelta(days=1)) == 4
    assert one(3, yesterday + timedelta(days=1)) <= 5


WRONG = {
    "unknown top-level field": {"owner": 1},
    "unknown entry field": {"post_types": {"post": an_entry(rest_base="x")}},
    "count below zero": {"post_types": {"post": an_entry(count=-1)}},
    "count as text": {"post_types": {"post": an_entry(count="12")}},
    "count as a truth value": {"post_types": {"post": an_entry(count=True)}},
    "count as a fraction": {"post_types": {"post": an_entry(count=1.0)}},
    "count too large": {"post_types": {"post": an_entry(count=10**15)}},
    "no count": {"post_types": {"post": an_entry(count=None)}},
    "enabled as a number": {"taxonomies": {"c": an_entry(enabled=1)}},
    "fetch limit as text": {"taxonomies": {"c": an_entry(fetch_limit="100")}},
    "label too long": {"post_types": {"post": an_entry("x" * 301)}},
    "label not text": {"post_types": {"post": an_entry(label=["x"])}},
    "slug too long": {"post_types": {"x" * 65: an_entry()}},
    "empty slug": {"post_types": {"": an_entry()}},
    "entry not an object": {"post_types": {"post": 3}},
    "types as PHP's empty array": {"post_types": []},
    "types null": {"taxonomies": None},
    "too many entries": {"post_types": {f"t{n}": {} for n in range(ENTRIES_LIMIT + 1)}},
    "version not text": {"wordpress_version": 7.1},
    "naive time": {"timestamp": "2026-11-21T10:00:00"},
    "no time": {"timestamp": "yesterday"},
    "address with a script": {"site_url": "javascript:alert(1)"},
    "address without a host": {"site_url": "https://"},
    "flag as text": {"two_way_sync_enabled": "true"},
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_document_is_400_and_stores_nothing(browser: Browser, tenant: Tenant, changes: dict[str, Any]) -> None:
    answer = push(browser, tenant, a_document(**changes))

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"]
    assert read(browser, tenant)["last_structure_fetch"] is None


@pytest.mark.parametrize("key", sorted(a_document()))
def test_every_key_is_required(browser: Browser, tenant: Tenant, key: str) -> None:
    document = a_document()
    del document[key]

    answer = push(browser, tenant, document)

    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [key]


def test_a_long_list_of_mistakes_is_told_shortly(browser: Browser, tenant: Tenant) -> None:
    answer = push(browser, tenant, a_document(post_types={f"t{n}": {} for n in range(ENTRIES_LIMIT)}))

    assert answer.status_code == 400
    assert len(answer.content) < 10_000


@pytest.mark.parametrize("version", [None, "6.5-beta1"])
def test_the_version_may_be_unknown(browser: Browser, tenant: Tenant, version: str | None) -> None:
    assert push(browser, tenant, a_document(wordpress_version=version)).status_code == 200


def test_a_document_at_the_limits_is_taken(browser: Browser, tenant: Tenant) -> None:
    many = {f"type_{n}": an_entry("é" * 300, n) for n in range(ENTRIES_LIMIT)}
    document = a_document(post_types=many, taxonomies=dict(many))
    body = json.dumps(document, ensure_ascii=False).encode()
    assert len(body) < BODY_LIMIT_BYTES

    answer = browser.post(
        tenant.push_path, bearer=tenant.api_key, content=body, headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == 200
