"""Looking without touching."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from builders import NOW, ONE_SITE, a_post_type, a_receipt, a_structure, counted, settings

from agent.errors import DeliveryRejected, UsageError
from agent.look import changes_since, past_structures, standings
from agent.redact import Redactor
from agent.settings import Settings
from agent.state.ledger import Ledger
from agent.state.records import Result, Trigger
from agent.state.store import open_store


@pytest.fixture
def read(state_folder: Path) -> Settings:
    return settings(ONE_SITE | {"WPSA_STATE_DIR": str(state_folder), "WPSA_SITE_NAME": "shop"})


def push(ledger: Ledger, books: int, *, site: str = "shop", days: int = 0, delivered: bool = True) -> None:
    at = NOW + timedelta(days=days)
    run = ledger.begin(site, trigger=Trigger.SCHEDULE, day=at.date(), at=at)
    structure = a_structure((a_post_type("book"), counted(books)), finished_at=at)
    delivery, _ = ledger.owe(run, structure, at=at)
    if delivered:
        ledger.record_receipt(delivery, a_receipt(), at=at)


def test_before_the_first_run_a_site_was_never_synced(read: Settings, state_folder: Path) -> None:
    [standing] = standings(read, now=lambda: NOW)

    assert (standing.site, standing.freshness, standing.last_run, standing.owed) == ("shop", "never", None, None)
    assert standing.next_slot_at is not None
    assert NOW < standing.next_slot_at <= NOW + timedelta(days=1)
    assert not state_folder.exists()


@pytest.mark.parametrize(("hours", "freshness"), [(0, "fresh"), (25.9, "fresh"), (26.1, "stale"), (900, "stale")])
def test_a_day_and_some_tolerance_is_fresh(read: Settings, ledger: Ledger, hours: float, freshness: str) -> None:
    push(ledger, 1)

    [standing] = standings(read, now=lambda: NOW + timedelta(hours=hours))

    assert standing.freshness == freshness


def test_what_waits_and_why_is_told(read: Settings, ledger: Ledger) -> None:
    push(ledger, 1, delivered=False)
    owed = ledger.owed_to("shop")
    assert owed is not None
    error = DeliveryRejected("it refused", reason="be_rejected", hint="Look.")
    ledger.record_failure(owed, error, at=NOW, next_at=NOW + timedelta(hours=1))

    [standing] = standings(read, now=lambda: NOW)

    said = standing.as_json()
    assert said["last_run"]["result"] is Result.HELD
    assert said["pending"] | {"generation": 0} == {
        "generation": 0, "owed_at": "2026-11-21T10:00:00Z", "next_at": None, "tries": 1,
        "held": True, "quarantined": True, "reason": "be_rejected", "message": "it refused", "hint": "Look.",
    }  # fmt: skip


def test_a_site_that_is_no_longer_configured_shows_while_something_waits(read: Settings, ledger: Ledger) -> None:
    long = "x.example/" + "y" * 200
    push(ledger, 1, site="done")
    push(ledger, 1, site="gone", delivered=False)
    push(ledger, 1, site=long, delivered=False)

    assert [(one.site, one.next_slot_at is None) for one in standings(read, now=lambda: NOW)] == [
        ("shop", False), ("gone", True), (long, True)
    ]  # fmt: skip


def test_the_past_is_told_newest_first(read: Settings, ledger: Ledger) -> None:
    for days, books in enumerate((1, 2, 3)):
        push(ledger, books, days=days)

    past = past_structures(read, "https://shop.example")

    assert [one.document["post_types"]["book"]["count"] for one in past] == [3, 2, 1]


@pytest.mark.parametrize(
    ("since", "said"),
    [
        (None, ("Book (book): 2 → 3 (+1)",)),
        ("2026-11-22", ("Book (book): 1 → 3 (+2)",)),
        ("2026-11-23", ("Book (book): 2 → 3 (+1)",)),
        ("2020-01-01", ("Book (book): 1 → 3 (+2)",)),
        ("2030-01-01", ()),
    ],
)
def test_changes_are_between_the_newest_and_the_last_before_a_day(
    read: Settings, ledger: Ledger, since: str | None, said: tuple[str, ...]
) -> None:
    for days, books in enumerate((1, 2, 3)):
        push(ledger, books, days=days)

    assert changes_since(read, "shop", since).counts == said


@pytest.mark.parametrize("since", ["yesterday", "2026-13-01", ""])
def test_a_day_that_is_none_is_usage(read: Settings, ledger: Ledger, since: str) -> None:
    push(ledger, 1)

    with pytest.raises(UsageError):
        changes_since(read, "shop", since)


def test_a_single_structure_changed_nothing(read: Settings, ledger: Ledger) -> None:
    assert not changes_since(read, "shop", None)
    push(ledger, 1)
    assert not changes_since(read, "shop", None)
    assert not changes_since(read, "shop", date(2026, 11, 21).isoformat())


def test_an_unknown_site_is_usage(read: Settings) -> None:
    with pytest.raises(UsageError):
        past_structures(read, "nobody")


def test_looking_beside_the_owner_leaves_it_alone(read: Settings, state_folder: Path, redactor: Redactor) -> None:
    ledger = Ledger(open_store(state_folder), redactor)
    push(ledger, 1)

    assert len(past_structures(read, "shop")) == 1

    push(ledger, 2, days=1)
    assert len(past_structures(read, "shop")) == 2
    ledger.close()
