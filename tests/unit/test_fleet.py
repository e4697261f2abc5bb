"""Many sites: so many at once, and none that can harm another."""

import asyncio
from datetime import date, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from builders import NOW, a_site, answers
from fakes import FakeBackend, FakeReader, ManualClock, ports

from agent.agenda import due_task
from agent.errors import BackendUnreachable, SiteUnreachable, StateBusy, StateFailed
from agent.oneshot import redeliver_all, sync_all
from agent.outcome import Outcome
from agent.schedule import DailyMoment
from agent.state.ledger import Ledger
from agent.state.records import Result, SlotRow, SlotState, Trigger
from agent.structure.model import Answers, Site
from agent.sync import Task

pytestmark = pytest.mark.anyio

DAY = date(2026, 11, 21)
MOMENT = DailyMoment(time(9), ZoneInfo("UTC"))


def tasks(*names: str) -> list[Task]:
    return [Task(a_site(name), DAY, Trigger.DEMAND) for name in names]


def nobody(_: Outcome) -> None: ...


def down() -> SiteUnreachable:
    return SiteUnreachable("m", reason="refused", hint="h")


async def test_each_site_has_its_outcome_in_the_order_it_was_asked(ledger: Ledger, clock: ManualClock) -> None:
    reader = FakeReader({"a": answers(), "b": down(), "c": answers()})
    told: list[str] = []

    outcomes = await sync_all(
        tasks("a", "b", "c"), ports(reader, FakeBackend(), ledger, clock), at_once=2, told=lambda o: told.append(o.site)
    )

    assert [(one.site, one.result) for one in outcomes] == [
        ("a", Result.DELIVERED), ("b", Result.UNREADABLE), ("c", Result.DELIVERED)
    ]
    assert sorted(told) == ["a", "b", "c"]


async def test_a_bug_on_one_site_is_that_sites_outcome(ledger: Ledger, clock: ManualClock) -> None:
    reader = FakeReader({"a": answers(), "b": ZeroDivisionError("bug"), "c": answers()})

    outcomes = await sync_all(
        tasks("a", "b", "c"), ports(reader, FakeBackend(), ledger, clock), at_once=3, told=nobody
    )

    assert [one.result for one in outcomes] == [Result.DELIVERED, Result.CRASHED, Result.DELIVERED]
    error = outcomes[1].error
    assert error is not None
    assert error.exit_code == 70
    assert "ZeroDivisionError" in getattr(error, "traceback", "")
    slot = ledger.slot("b")
    assert slot is not None
    assert (slot.state, slot.next_at) == (SlotState.OPEN, NOW + timedelta(hours=1))


async def test_a_site_that_took_the_last_memory_is_said_to_and_the_others_go_on(ledger: Ledger, clock: ManualClock) -> None:
    reader = FakeReader({"a": answers(), "b": MemoryError(), "c": answers()})

    outcomes = await sync_all(
        tasks("a", "b", "c"), ports(reader, FakeBackend(), ledger, clock), at_once=3, told=nobody
    )

    assert [one.result for one in outcomes] == [Result.DELIVERED, Result.CRASHED, Result.DELIVERED]
    error = outcomes[1].error
    assert error is not None
    assert (error.reason, error.exit_code) == ("oom_guard", 70)
    assert "WPSA_READING_SITES_AT_ONCE" in error.hint


async def test_a_bug_in_the_delivery_puts_it_off_for_an_hour(ledger: Ledger, clock: ManualClock) -> None:
    with_ports = ports(FakeReader({"a": answers()}), FakeBackend(KeyError("bug")), ledger, clock)

    [outcome] = await sync_all(tasks("a"), with_ports, at_once=1, told=nobody)

    assert outcome.result is Result.CRASHED
    assert ledger.due(at=NOW, sites=["a"]) == []
    assert ledger.due(at=NOW + timedelta(hours=1), sites=["a"])


async def test_a_state_that_cannot_be_written_stops_everything(ledger: Ledger, clock: ManualClock) -> None:
    reader = FakeReader({"a": answers(), "b": answers()})
    ledger.close()

    with pytest.raises(StateFailed):
        await sync_all(tasks("a", "b"), ports(reader, FakeBackend(), ledger, clock), at_once=2, told=nobody)


async def test_a_full_disk_is_not_taken_for_a_bug_of_the_site(ledger: Ledger, clock: ManualClock) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise StateFailed("m", reason="state_full", hint="h")

    ledger.owe = full  # type: ignore[method-assign]

    with pytest.raises(StateFailed):
        await sync_all(
            tasks("a"), ports(FakeReader({"a": answers()}), FakeBackend(), ledger, clock), at_once=1, told=nobody
        )


async def test_no_more_sites_at_once_than_allowed(ledger: Ledger, clock: ManualClock) -> None:
    names = [f"site-{number}" for number in range(20)]
    reader = FakeReader(dict.fromkeys(names, answers()))

    await sync_all(tasks(*names), ports(reader, FakeBackend(), ledger, clock), at_once=4, told=nobody)

    assert reader.most_at_once == 4


async def test_a_site_that_hangs_does_not_hold_up_the_others(ledger: Ledger, clock: ManualClock) -> None:
    class Hanging(FakeReader):
        async def read(self, site: Site, **_: Any) -> Answers:
            if site.name == "hangs":
                await asyncio.Event().wait()
            return await super().read(site)

    reader, done = Hanging({"a": answers(), "b": answers()}), set[str]()
    with_ports = ports(reader, FakeBackend(), ledger, clock)

    running = asyncio.create_task(
        sync_all(tasks("hangs", "a", "b"), with_ports, at_once=2, told=lambda outcome: done.add(outcome.site))
    )
    while done != {"a", "b"}:
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_owed_documents_are_sent_again(ledger: Ledger, clock: ManualClock) -> None:
    backend = FakeBackend(*(BackendUnreachable("m", reason="be_5xx", hint="h") for _ in range(2)))
    with_ports = ports(FakeReader({"a": answers(), "b": answers()}), backend, ledger, clock)
    await sync_all(tasks("a", "b"), with_ports, at_once=1, told=nobody)
    now = clock.advance(hours=1)

    outcomes = await redeliver_all(ledger.due(at=now, sites=["a", "b"]), with_ports, at_once=2, told=nobody)

    assert [one.result for one in outcomes] == [Result.DELIVERED] * 2
    assert ledger.due(at=now, sites=["a", "b"]) == []


async def test_nothing_to_do_is_done(ledger: Ledger, clock: ManualClock) -> None:
    assert await sync_all([], ports(FakeReader({}), FakeBackend(), ledger, clock), at_once=1, told=nobody) == []


@pytest.mark.parametrize(
    ("row", "due"),
    [
        (None, True),
        (SlotRow("s", DAY - timedelta(days=1), SlotState.CLOSED, 0, None), True),
        (SlotRow("s", DAY - timedelta(days=30), SlotState.OPEN, 3, NOW + timedelta(hours=1)), True),
        (SlotRow("s", DAY, SlotState.CLOSED, 0, None), False),
        (SlotRow("s", DAY, SlotState.OWED, 0, None), False),
        (SlotRow("s", DAY, SlotState.OPEN, 0, None), True),
        (SlotRow("s", DAY, SlotState.OPEN, 1, NOW + timedelta(seconds=1)), False),
        (SlotRow("s", DAY, SlotState.OPEN, 1, NOW), True),
        (SlotRow("s", DAY + timedelta(days=1), SlotState.CLOSED, 0, None), False),
    ],
)
async def test_a_site_is_due_by_its_newest_slot(row: SlotRow | None, due: bool) -> None:
    task = due_task(a_site(), MOMENT, row, now=NOW)

    assert (task is not None) is due


async def test_failures_go_along_within_a_slot_and_end_with_it() -> None:
    again = due_task(a_site(), MOMENT, SlotRow("s", DAY, SlotState.OPEN, 4, NOW), now=NOW)
    anew = due_task(a_site(), MOMENT, SlotRow("s", DAY - timedelta(days=1), SlotState.OPEN, 4, NOW), now=NOW)

    assert again is not None
    assert anew is not None
    assert (again.failures, again.day, anew.failures, anew.day) == (4, DAY, 0, DAY)


async def test_a_busy_state_is_the_states_matter_too(clock: ManualClock) -> None:
    class Busy:
        def __getattr__(self, name: str) -> object:
            raise StateBusy("m", reason="state_busy", hint="h")

    with_ports = ports(FakeReader({"a": answers()}), FakeBackend(), Busy(), clock)  # type: ignore[arg-type]

    with pytest.raises(StateBusy):
        await sync_all(tasks("a"), with_ports, at_once=1, told=nobody)
