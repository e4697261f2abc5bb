"""Sites that were being read when the agent died, of which one may be why it did."""

from datetime import datetime, timedelta

import pytest
from builders import NOW, a_structure

from agent.errors import SiteUnreachable
from agent.state.interrupted import APART, FIRST_HOLD, LONGEST_HOLD
from agent.state.ledger import Ledger
from agent.state.records import Trigger

DAY = NOW.date()


def die(ledger: Ledger, *sites: str, at: datetime = NOW) -> list[tuple[str, int]]:
    """The agent dies while it reads these sites, and starts again. Who waits for it, and how often it was there."""
    for site in sites:
        ledger.take(site)
        ledger.begin(site, trigger=Trigger.SCHEDULE, day=DAY, at=at)
    return [(one.site, one.times) for one in ledger.recover(at=at)]


def waits(ledger: Ledger, site: str) -> timedelta | None:
    slot = ledger.slot(site)
    assert slot is not None
    return slot.next_at and slot.next_at - NOW


def test_once_is_chance(ledger: Ledger) -> None:
    assert die(ledger, "a", "b") == []

    assert [waits(ledger, site) for site in ("a", "b")] == [None, None]
    assert [run.result for run in ledger.runs("a")] == ["interrupted"]


def test_the_second_time_the_suspects_are_read_apart_from_each_other(ledger: Ledger) -> None:
    die(ledger, "a", "b", "c")

    assert die(ledger, "a", "b", "c") == []

    assert [waits(ledger, site) for site in ("a", "b", "c")] == [0 * APART, 1 * APART, 2 * APART]


def test_who_is_there_the_third_time_waits_longer_each_time(ledger: Ledger) -> None:
    for _ in range(2):
        die(ledger, "poison", "z")

    found = []
    for times in range(3, 9):
        assert die(ledger, "poison") == [("poison", times)]
        found.append(waits(ledger, "poison"))

    assert found == [FIRST_HOLD, 4 * FIRST_HOLD, 16 * FIRST_HOLD, 64 * FIRST_HOLD, LONGEST_HOLD, LONGEST_HOLD]
    assert waits(ledger, "z") == APART


@pytest.mark.parametrize("between", ["read", "failed", "stopped"])
def test_a_run_that_ended_otherwise_clears_a_site(ledger: Ledger, between: str) -> None:
    for _ in range(2):
        die(ledger, "a")
    run = ledger.begin("a", trigger=Trigger.DEMAND, day=DAY, at=NOW)
    match between:
        case "read":
            ledger.owe(run, a_structure(), at=NOW)
        case "failed":
            ledger.record_unread(run, SiteUnreachable("m", reason="r", hint="h"), at=NOW, next_at=NOW)
        case "stopped":
            ledger.leave()

    assert die(ledger, "a") == []


def test_an_end_on_purpose_is_nobodys_fault(ledger: Ledger) -> None:
    for _ in range(5):
        ledger.take("a")
        ledger.begin("a", trigger=Trigger.SCHEDULE, day=DAY, at=NOW)
        ledger.leave()

    assert waits(ledger, "a") is None
    assert {run.result for run in ledger.runs("a")} == {"interrupted"}


def test_to_leave_when_nothing_is_in_hand_writes_nothing(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    die(ledger, "a")
    monkeypatch.setattr(ledger.store, "transaction", None)

    ledger.leave()
