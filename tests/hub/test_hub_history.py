"""The past of a site: what is kept of it and for how long, what changed, and counts over time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hub_browser import Browser
from hub_builders import Tenant, a_document, an_entry

from agent.backend.contract import INTEGRATIONS_PATH
from agent.hub.integrations.changes import changes_between

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def remember(tenant: Tenant, at: datetime, **changes: Any) -> None:
    from agent.hub.integrations.history import remember

    remember(tenant.integration, a_document(**changes), generation=None, received_at=at)


@pytest.fixture
def pruned_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from agent.hub.integrations import history

    monkeypatch.setattr(history, "PRUNED_EVERY", 1)


def posts(count: int) -> dict[str, Any]:
    return {"post_types": {"post": an_entry(count=count)}}


def counts(tenant: Tenant) -> list[int]:
    kept = tenant.integration.snapshots.order_by("received_at")
    return [snapshot.document["post_types"]["post"]["count"] for snapshot in kept]


def get(browser: Browser, tenant: Tenant, end: str) -> Any:
    return browser.get(f"{INTEGRATIONS_PATH}{tenant.integration.pk}/{end}", bearer=tenant.api_key)


def test_an_equal_structure_prolongs_the_newest_whatever_its_timestamp(tenant: Tenant) -> None:
    for day in range(3):
        remember(tenant, NOON + timedelta(days=day), timestamp=f"2026-11-2{day}T10:00:00Z")

    (kept,) = tenant.integration.snapshots.all()
    assert (kept.received_at, kept.confirmed_at) == (NOON, NOON + timedelta(days=2))


def test_a_structure_that_returns_is_a_new_line(tenant: Tenant) -> None:
    for hour, count in enumerate((1, 2, 1)):
        remember(tenant, NOON + timedelta(hours=hour), **posts(count))

    assert counts(tenant) == [1, 2, 1]


@pytest.mark.usefixtures("pruned_at_once")
def test_of_each_day_the_last_structure_is_kept_and_of_the_newest_days_all(tenant: Tenant) -> None:
    for hours, count in ((0, 1), (1, 2), (2, 3), (24, 4), (25, 5), (72, 6)):
        remember(tenant, NOON + timedelta(hours=hours), **posts(count))

    # Three days later the first day has its last one left, and the second day still both.
    assert counts(tenant) == [3, 4, 5, 6]
    remember(tenant, NOON + timedelta(hours=100), **posts(7))
    assert counts(tenant) == [3, 5, 6, 7]


@pytest.mark.usefixtures("pruned_at_once")
def test_after_ninety_days_a_structure_is_gone_unless_it_is_the_newest(tenant: Tenant) -> None:
    remember(tenant, NOON, **posts(1))
    remember(tenant, NOON + timedelta(days=1), **posts(2))
    remember(tenant, NOON + timedelta(days=80), **posts(2))
    remember(tenant, NOON + timedelta(days=100), **posts(3))
    assert counts(tenant) == [2, 3]

    remember(tenant, NOON + timedelta(days=400), **posts(3))
    assert counts(tenant) == [2, 3]
    remember(tenant, NOON + timedelta(days=401), **posts(4))
    assert counts(tenant) == [3, 4]


def test_however_often_somebody_syncs_the_history_is_bounded(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    from agent.hub.integrations import history

    monkeypatch.setattr(history, "PASSING_KEPT", 3)
    for minute in range(2 * history.PRUNED_EVERY):
        remember(tenant, NOON + timedelta(minutes=minute), **posts(minute))
        assert len(counts(tenant)) < history.PASSING_KEPT + 1 + history.PRUNED_EVERY

    assert counts(tenant) == [28, 29, 30, 31]


def test_a_history_that_somebody_emptied_is_begun_anew(tenant: Tenant) -> None:
    remember(tenant, NOON, **posts(1))
    tenant.integration.snapshots.all().delete()
    remember(tenant, NOON + timedelta(days=1), **posts(1))

    assert counts(tenant) == [1]


def test_the_history_is_told_newest_first_with_its_changes(browser: Browser, tenant: Tenant) -> None:
    for number in range(22):
        remember(tenant, NOON + timedelta(minutes=number), **posts(number))

    first = get(browser, tenant, "history/").json()
    assert (first["count"], len(first["results"]), first["previous"]) == (22, 20, None)
    newest = first["results"][0]
    assert newest["received_at"] == "2026-11-21T12:21:00.000Z"
    assert newest["changes"] == [
        {"kind": "count", "family": "post_types", "slug": "post", "words": "Posts (post): 20 → 21 (+1)"}
    ]
    assert first["results"][-1]["changes"], "the last line of a page is compared with the first of the next"
    second = browser.get(first["next"], bearer=tenant.api_key).json()
    assert (len(second["results"]), second["next"]) == (2, None)
    assert second["results"][-1]["changes"] == []
    shown = get(browser, tenant, f"history/{newest['id']}/").json()
    assert shown == a_document(**posts(21))


@pytest.mark.parametrize("page", ["0", "2", "x", "-1", "", "9" * 30, "１"])
def test_a_page_that_is_not_there_is_404(browser: Browser, tenant: Tenant, page: str) -> None:
    assert get(browser, tenant, f"history/?page={page}").status_code == 404


def test_a_structure_of_another_integration_is_404(browser: Browser, tenant: Tenant) -> None:
    from hub_builders import a_tenant

    other = a_tenant()
    remember(other, NOON)

    assert get(browser, tenant, f"history/{other.integration.snapshots.get().pk}/").status_code == 404


def test_the_difference_since_a_time_leaves_out_what_came_and_went(browser: Browser, tenant: Tenant) -> None:
    book = {"book": an_entry("Books", 1)}
    for hours, types in ((0, {}), (1, book), (2, {}), (3, {"page": an_entry("Pages", 2)})):
        remember(tenant, NOON + timedelta(hours=hours), post_types=types)

    told = get(browser, tenant, "diff/?since=2026-11-21T12:30:00Z").json()
    assert [change["words"] for change in told["changes"]] == ["Post type page is new: “Pages”, 2 items"]
    assert told["older_received_at"] == "2026-11-21T12:00:00.000Z"
    assert told["newer_received_at"] == "2026-11-21T15:00:00.000Z"
    assert get(browser, tenant, "diff/?since=2026-11-21T14:30:00%2B01:00").json()["changes"][1]["kind"] == "removed"
    assert get(browser, tenant, "diff/").json()["older_received_at"] == "2026-11-21T14:00:00.000Z"
    assert get(browser, tenant, "diff/?since=1999-01-01T00:00:00Z").json() == told
    assert get(browser, tenant, "diff/?since=yesterday").status_code == 400


def test_before_the_first_push_there_is_no_past(browser: Browser, tenant: Tenant) -> None:
    assert get(browser, tenant, "history/").json() == {"count": 0, "next": None, "previous": None, "results": []}
    nothing = {"older_received_at": None, "newer_received_at": None, "changes": []}
    assert (
        get(browser, tenant, "diff/").json()
        == get(browser, tenant, "diff/?since=2026-01-01T00:00:00Z").json()
        == nothing
    )


def test_counts_over_time_are_points_at_both_ends_of_each_span(tenant: Tenant) -> None:
    from agent.hub.integrations.history import counts_over_time

    later = NOON + timedelta(days=1)
    remember(tenant, NOON, **posts(1))
    remember(tenant, later, **posts(1))
    remember(
        tenant, later + timedelta(hours=1), post_types={"post": an_entry("Articles", 2), "book": an_entry("Books", 5)}
    )

    series = counts_over_time(tenant.integration)

    assert series["post_types"]["post"].label == "Articles"
    assert series["post_types"]["post"].points == [(NOON, 1), (later, 1), (later + timedelta(hours=1), 2)]
    assert series["post_types"]["book"].points == [(later + timedelta(hours=1), 5)]
    assert list(series["taxonomies"]) == ["category"]


def words(older: dict[str, Any], newer: dict[str, Any]) -> list[str]:
    return [change.words for change in changes_between(older, newer)]


def test_changes_are_said_in_words_and_counts_come_last() -> None:
    older = a_document(
        wordpress_version=None,
        post_types={"post": an_entry(count=1_200), "old": an_entry("Old", 1), "page": an_entry("Pages", 1)},
    )
    newer = a_document(
        two_way_sync_enabled=False,
        post_types={
            "post": an_entry("Articles", 2_300),
            "page": an_entry("Pages", 1, enabled=False, fetch_limit=5_000),
            "book": an_entry("Books", 3),
        },
    )

    assert words(older, newer) == [
        "WordPress version: unknown → 7.1.4",
        "Two-way sync: yes → no",
        "Post type book is new: “Books”, 3 items",
        "Post type old is no longer visible (was “Old”)",
        "Post type page: enabled yes → no",
        "Post type page: fetch limit 100 → 5,000",
        "Post type post is now called “Articles” (was “Posts”)",
        "Articles (post): 1,200 → 2,300 (+1,100)",
    ]


def test_nothing_changes_from_nothing_or_to_the_same() -> None:
    assert changes_between(None, a_document()) == ()
    assert changes_between(a_document(), a_document(timestamp="2027-01-01T00:00:00Z")) == ()
