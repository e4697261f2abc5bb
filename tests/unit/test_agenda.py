"""What each site wants next: in order, from the state alone."""

from datetime import time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from builders import NOW, a_receipt, a_site, a_structure
from fakes import NINE, ManualClock

from agent.agenda import CAUGHT_UP_AT_ONCE, Agenda
from agent.errors import AgentError, BackendUnreachable, SiteUnreachable
from agent.schedule import DailyMoment
from agent.state.ledger import Ledger
from agent.state.records import Delivery, Trigger
from agent.sync import Task

DAY = NOW.date()
UTC_ZONE = ZoneInfo("UTC")
NEXT = NOW - timedelta(hours=1) + timedelta(days=1)
"""When the slot after today's begins: the moment is at nine."""


@pytest.fixture
def agenda(ledger: Ledger) -> Agenda:
    return Agenda([a_site("a"), a_site("b")], {"a": NINE, "b": NINE}, ledger)


def down(kind: type[Any]) -> AgentError:
    error: AgentError = kind("m", reason="r", hint="h")
    return error


def read(ledger: Ledger, site: str) -> Delivery:
    run = ledger.begin(site, trigger=Trigger.SCHEDULE, day=DAY, at=NOW)
    return ledger.owe(run, a_structure(), at=NOW)[0]


def delivered(ledger: Ledger, site: str) -> None:
    ledger.record_receipt(read(ledger, site), a_receipt(), at=NOW)


def test_new_sites_are_due_at_once_and_each_once(agenda: Agenda) -> None:
    assert sorted(agenda.due(NOW)) == ["a", "b"]
    assert agenda.due(NOW + timedelta(days=7)) == []


def test_a_site_that_was_delivered_is_due_at_its_next_slot(agenda: Agenda, ledger: Ledger) -> None:
    agenda.due(NOW)
    delivered(ledger, "a")
    agenda.put("a", now=NOW)

    assert agenda.due(NEXT - timedelta(seconds=1)) == []
    assert agenda.due(NEXT) == ["a"]


def test_what_could_not_be_read_comes_again_when_it_is_time(agenda: Agenda, ledger: Ledger) -> None:
    agenda.due(NOW)
    run = ledger.begin("a", trigger=Trigger.SCHEDULE, day=DAY, at=NOW)
    ledger.record_unread(run, down(SiteUnreachable), at=NOW, next_at=NOW + timedelta(minutes=5))
    agenda.put("a", now=NOW)

    assert agenda.is_doubtful("a")
    assert not agenda.is_doubtful("b")
    assert agenda.due(NOW + timedelta(minutes=4)) == []
    assert agenda.due(NOW + timedelta(minutes=5)) == ["a"]
    work = agenda.work_for("a", asked=False, now=NOW + timedelta(minutes=5))
    assert isinstance(work, Task)
    assert work.failures == 1


def test_what_could_not_be_delivered_comes_again_when_it_is_time(agenda: Agenda, ledger: Ledger) -> None:
    agenda.due(NOW)
    owed = read(ledger, "a")
    ledger.record_failure(owed, down(BackendUnreachable), at=NOW, next_at=NOW + timedelta(minutes=5))
    agenda.put("a", now=NOW)

    assert agenda.due(NOW + timedelta(minutes=4)) == []
    assert agenda.due(NOW + timedelta(minutes=5)) == ["a"]
    assert isinstance(agenda.work_for("a", asked=False, now=NOW + timedelta(minutes=5)), Delivery)
    assert agenda.work_for("a", asked=False, now=NOW) is None
    assert isinstance(agenda.work_for("a", asked=True, now=NOW), Task)


def test_after_a_clock_went_back_the_state_is_asked_anew(agenda: Agenda, ledger: Ledger, clock: ManualClock) -> None:
    """A slot that a wrong clock opened in a year to come would otherwise silence the site until then."""
    future = NOW + timedelta(days=400)
    for site in agenda.due(future):
        ledger.begin(site, trigger=Trigger.SCHEDULE, day=future.date(), at=future)
        agenda.put(site, now=future)
    agenda.due(future)

    assert agenda.due(future - timedelta(seconds=50)) == []
    assert sorted(agenda.due(NOW)) == ["a", "b"]


def test_a_long_standstill_of_many_sites_is_made_up_for_without_a_rush(ledger: Ledger) -> None:
    """After a restart ten thousand sites were read as fast as they answered."""
    late = [f"site-{number}" for number in range(150)]
    moments = {name: DailyMoment(time(number % 24), UTC_ZONE) for number, name in enumerate(late)} | {"new": NINE}
    for name in late:
        ledger.begin(name, trigger=Trigger.SCHEDULE, day=DAY - timedelta(days=3), at=NOW)
    agenda = Agenda([a_site(name) for name in moments], moments, ledger)

    looks = [agenda.due(NOW + timedelta(seconds=15 * number)) for number in range(70)]

    assert "new" in looks[0]
    assert len(looks[0]) == 1 + CAUGHT_UP_AT_ONCE
    assert {moments[name].at.hour for name in looks[0] if name != "new"} == {0, 1, 2}
    assert max(map(len, looks[1:])) <= 3
    assert sorted(name for look in looks for name in look) == sorted(moments)
    assert not any(looks[62:])


def test_the_few_that_a_short_standstill_made_late_have_their_turn_at_once(ledger: Ledger) -> None:
    late = [f"site-{number}" for number in range(CAUGHT_UP_AT_ONCE)]
    for name in late:
        ledger.begin(name, trigger=Trigger.SCHEDULE, day=DAY - timedelta(days=3), at=NOW)
    agenda = Agenda([a_site(name) for name in late], dict.fromkeys(late, NINE), ledger)

    assert sorted(agenda.due(NOW)) == sorted(late)


def test_many_sites_that_want_the_same_moment_have_it(ledger: Ledger) -> None:
    """It is the operator's choice, and no standstill."""
    names = [f"site-{number}" for number in range(2 * CAUGHT_UP_AT_ONCE)]
    for name in names:
        delivered(ledger, name)
    agenda = Agenda([a_site(name) for name in names], dict.fromkeys(names, NINE), ledger)

    assert agenda.due(NEXT - timedelta(seconds=5)) == []
    assert len(agenda.due(NEXT + timedelta(seconds=10))) == len(names)


def test_a_site_that_is_not_configured_is_no_matter_of_the_agenda(agenda: Agenda) -> None:
    agenda.put("gone", now=NOW)

    assert "gone" not in agenda
    assert "gone" not in agenda.due(NOW + timedelta(days=2))
    assert agenda.work_for("gone", asked=True, now=NOW) is None


def test_a_look_at_ten_thousand_sites_with_nothing_due_asks_the_state_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"site-{number}" for number in range(10_000)]
    agenda = Agenda([a_site(name) for name in names], dict.fromkeys(names, NINE), ledger)
    assert len(agenda.due(NOW)) == 10_000
    delivered(ledger, "site-1")
    agenda.put("site-1", now=NOW)

    monkeypatch.setattr(ledger, "slot", lambda _: pytest.fail("nobody is due"))

    assert agenda.due(NOW + timedelta(hours=1)) == []
