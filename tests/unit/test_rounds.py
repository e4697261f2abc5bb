"""One look after another: what is due is begun, what is asked comes first, and nothing is waited for."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from builders import answers
from fakes import FakeBackend, FakeReader, Logs, ManualClock, an_agent

from agent.bootstrap import Agent
from agent.errors import BackendUnreachable, SiteUnreachable, StateBusy, StateFailed, StateFull, UsageError
from agent.ops.endpoint import Health, judge
from agent.outcome import Outcome
from agent.rounds import Rounds
from agent.state.ledger import Ledger
from agent.state.records import Result
from agent.structure.model import Answers, Site

pytestmark = pytest.mark.anyio


def down(kind: type[Any] = BackendUnreachable) -> Any:
    return kind("m", reason="r", hint="h")


class Hanging(FakeReader):
    """Never has done with the sites whose names begin with `hangs`, until it is released."""

    def __init__(self, *names: str) -> None:
        super().__init__(dict.fromkeys(names, answers()))
        self.released = asyncio.Event()
        self.begun: list[str] = []

    async def read(self, site: Site, **more: Any) -> Answers:
        self.begun.append(site.name)
        if site.name.startswith("hangs"):
            await self.released.wait()
        return await super().read(site, **more)


async def until(what: Any) -> None:
    async with asyncio.timeout(5):
        while not what():
            await asyncio.sleep(0)


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def agent(ledger: Ledger, clock: ManualClock, backend: FakeBackend, state_folder: Path) -> Agent:
    return an_agent(ledger, clock, FakeReader({"a": answers(), "b": answers()}), backend, state_folder)


@pytest.fixture
async def rounds(agent: Agent) -> Rounds:
    return Rounds(agent)


async def look(rounds: Rounds) -> None:
    """A look, and the end of all that it began."""
    rounds.look()
    async with asyncio.timeout(5):
        while rounds.in_hand or rounds.waiting:
            await asyncio.sleep(0)


async def test_new_sites_are_pushed_at_once_and_then_daily(
    rounds: Rounds, backend: FakeBackend, clock: ManualClock
) -> None:
    pushes = []
    for hours in (0, 1, 21.9, 0.1, 1, 23, 0.1):
        clock.advance(hours=hours)
        await look(rounds)
        pushes.append(len(backend.asked))

    assert pushes == [2, 2, 2, 4, 4, 6, 6]


async def test_a_restart_is_no_reason_to_push(rounds: Rounds, backend: FakeBackend) -> None:
    for _ in range(5):
        await look(rounds)
        rounds.agent.ledger.recover(at=rounds.agent.ports.clock.now())
        rounds.renew(rounds.agent)

    assert len(backend.asked) == 2


async def test_a_standstill_of_days_is_caught_up_once(rounds: Rounds, backend: FakeBackend, clock: ManualClock) -> None:
    await look(rounds)
    clock.advance(days=30)
    for _ in range(3):
        await look(rounds)

    assert len(backend.asked) == 4


async def test_what_a_standstill_made_late_comes_one_after_another_and_the_log_says_so(
    ledger: Ledger, clock: ManualClock, backend: FakeBackend, state_folder: Path, logs: Logs
) -> None:
    names = [f"site-{number}" for number in range(40)]
    reader = FakeReader(dict.fromkeys(names, answers()))
    rounds = Rounds(an_agent(ledger, clock, reader, backend, state_folder))
    await look(rounds)
    clock.advance(days=3)

    pushes = []
    for minutes in (0, 1, 20, 1):
        clock.advance(minutes=minutes)
        await look(rounds)
        pushes.append(len(backend.asked))

    assert pushes == [40 + 16, 40 + 17, 80, 80]
    assert [line["sites"] for line in logs.lines if line["event"] == "catchup.started"] == [24]


async def test_a_clock_that_goes_back_pushes_nothing(rounds: Rounds, backend: FakeBackend, clock: ManualClock) -> None:
    await look(rounds)
    clock.advance(days=-3)
    await look(rounds)

    assert len(backend.asked) == 2


async def test_a_document_that_waits_is_sent_when_its_time_has_come(
    rounds: Rounds, backend: FakeBackend, clock: ManualClock
) -> None:
    backend.failures = [down(), down()]
    await look(rounds)
    before = [rounds.agent.ledger.owed_to(site) for site in "ab"]
    await look(rounds)
    assert len(backend.asked) == 2

    clock.advance(minutes=1)
    await look(rounds)

    assert all(before)
    assert len(backend.asked) == 4
    assert backend.asked[0].body == next(one.body for one in backend.asked[2:] if one.site == backend.asked[0].site)
    assert [rounds.agent.ledger.owed_to(site) for site in "ab"] == [None, None]


async def test_a_site_that_is_down_is_asked_again_within_its_slot(
    ledger: Ledger, clock: ManualClock, backend: FakeBackend, state_folder: Path
) -> None:
    reader = FakeReader({"a": down(SiteUnreachable)})
    rounds = Rounds(an_agent(ledger, clock, reader, backend, state_folder))
    await look(rounds)
    reader.says["a"] = answers()
    await look(rounds)
    assert backend.asked == []

    clock.advance(seconds=5)
    await look(rounds)

    assert len(backend.asked) == 1


# --- nobody waits for another -------------------------------------------------------------------


async def test_a_site_that_hangs_does_not_hold_up_the_next_look(
    ledger: Ledger, clock: ManualClock, backend: FakeBackend, state_folder: Path
) -> None:
    rounds = Rounds(an_agent(ledger, clock, Hanging("hangs", "a"), backend, state_folder))
    rounds.look()
    await until(lambda: len(backend.asked) == 1)
    clock.advance(days=1)

    rounds.look()
    await until(lambda: len(backend.asked) == 2)

    assert rounds.in_hand == 1
    await rounds.end(within_seconds=0)


async def test_what_is_in_hand_is_not_begun_again(
    ledger: Ledger, clock: ManualClock, backend: FakeBackend, state_folder: Path
) -> None:
    reader = Hanging("hangs")
    rounds = Rounds(an_agent(ledger, clock, reader, backend, state_folder))
    for _ in range(5):
        rounds.look()
        rounds.ask("hangs")
        clock.advance(days=1)
    await until(lambda: reader.begun)

    assert (reader.begun, rounds.in_hand, rounds.waiting) == (["hangs"], 1, 0)
    await rounds.end(within_seconds=0)


async def test_what_is_cut_short_by_the_end_is_taken_up_at_the_next_start(
    ledger: Ledger, clock: ManualClock, backend: FakeBackend, state_folder: Path
) -> None:
    reader = Hanging("hangs")
    agent = an_agent(ledger, clock, reader, backend, state_folder)
    rounds = Rounds(agent)
    asked = rounds.ask("hangs")
    await until(lambda: reader.begun)

    await rounds.end(within_seconds=0)
    reader.released.set()
    await look(Rounds(agent))

    assert asked.cancelled()
    assert len(backend.asked) == 1


# --- on demand ----------------------------------------------------------------------------------


async def test_who_asks_has_it_done_now_whatever_the_schedule_says(rounds: Rounds, backend: FakeBackend) -> None:
    await look(rounds)

    outcome = await rounds.ask("a")

    assert outcome.result is Result.DELIVERED
    assert [one.site for one in backend.asked] == ["a", "b", "a"]
    assert rounds.agent.ledger.runs("a")[0].trigger == "demand"


async def test_who_asks_is_served_before_what_is_only_due(
    ledger: Ledger, clock: ManualClock, backend: FakeBackend, state_folder: Path
) -> None:
    names = [f"due-{number}" for number in range(30)]
    rounds = Rounds(replace(an_agent(ledger, clock, FakeReader(dict.fromkeys([*names, "asked"], answers())), backend,
                                     state_folder), sites_at_once=1))  # fmt: skip
    rounds.look()
    asked = rounds.ask("asked")

    await asked

    assert len(backend.asked) <= 3
    await rounds.end(within_seconds=0)


async def test_an_unknown_site_cannot_be_asked_for(rounds: Rounds) -> None:
    with pytest.raises(UsageError, match="'nobody'"):
        rounds.ask("nobody")


async def test_what_is_being_sent_again_is_read_after_that_for_who_asks(
    ledger: Ledger, clock: ManualClock, state_folder: Path
) -> None:
    """A waiting document is older than the question."""
    sending = asyncio.Event()

    class Slow(FakeBackend):
        async def push(self, delivery: Any) -> Any:
            if self.asked and not sending.is_set():
                await sending.wait()
            return await super().push(delivery)

    backend = Slow(down())
    rounds = Rounds(an_agent(ledger, clock, FakeReader({"a": answers()}), backend, state_folder))
    await look(rounds)
    clock.advance(hours=1)
    rounds.look()
    await until(lambda: rounds.in_hand)

    asked = rounds.ask("a")
    sending.set()
    outcome = await asked

    assert outcome.structure is not None
    assert [one.generation for one in backend.asked] == sorted(one.generation for one in backend.asked)
    assert len(backend.asked) == 3


# --- other settings -----------------------------------------------------------------------------


async def test_after_a_renewal_new_sites_begin_and_old_ones_are_gone(
    ledger: Ledger, clock: ManualClock, backend: FakeBackend, state_folder: Path
) -> None:
    before = an_agent(ledger, clock, FakeReader({"a": answers(), "gone": answers()}), backend, state_folder)
    rounds = Rounds(before)
    await look(rounds)
    after = an_agent(ledger, clock, FakeReader({"a": answers(), "new": answers()}), backend, state_folder)

    rounds.renew(after)
    await look(rounds)
    clock.advance(days=1)
    await look(rounds)

    assert [one.site for one in backend.asked] == ["a", "gone", "new", "a", "new"]
    assert not rounds.uses(before)
    with pytest.raises(UsageError):
        rounds.ask("gone")


async def test_what_is_in_hand_at_a_renewal_ends_as_it_began(
    ledger: Ledger, clock: ManualClock, state_folder: Path
) -> None:
    reader, old, new = Hanging("hangs"), FakeBackend(), FakeBackend()
    before = an_agent(ledger, clock, reader, old, state_folder)
    rounds = Rounds(before)
    asked = rounds.ask("hangs")
    await until(lambda: reader.begun)

    rounds.renew(an_agent(ledger, clock, FakeReader({"hangs": answers()}), new, state_folder))
    used = rounds.uses(before)
    rounds.look()
    reader.released.set()
    await asked

    assert used
    assert not rounds.uses(before)
    assert (len(old.asked), len(new.asked)) == (1, 0)


async def test_who_asked_for_a_site_that_leaves_is_told_that_it_is_gone(
    ledger: Ledger, clock: ManualClock, backend: FakeBackend, state_folder: Path
) -> None:
    reader = Hanging("hangs", "b")
    rounds = Rounds(replace(an_agent(ledger, clock, reader, backend, state_folder), sites_at_once=1))
    rounds.ask("hangs")
    asked = rounds.ask("b")

    rounds.renew(an_agent(ledger, clock, Hanging("hangs"), backend, state_folder))
    reader.released.set()
    await asyncio.wait({asked})

    assert asked.cancelled()


# --- a state that cannot be written -------------------------------------------------------------


@pytest.mark.parametrize("error", [StateFull("m", reason="state_full", hint="h"), StateBusy("m", reason="state_busy", hint="h")])
async def test_a_full_disk_and_a_busy_state_are_waited_for(
    rounds: Rounds, backend: FakeBackend, logs: Logs, monkeypatch: pytest.MonkeyPatch, error: StateFailed
) -> None:
    def broken(*_: object, **__: object) -> Any:
        raise error

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(rounds.agent.ledger, "begin", broken)
        for _ in range(3):
            await look(rounds)
        trouble = rounds.trouble

    assert trouble is error
    assert backend.asked == []
    await look(rounds)
    assert len(backend.asked) == 2
    await look(rounds)
    assert rounds.trouble is None
    assert of_state(logs) == ["state.degraded", "state.recovered"]


def of_state(logs: Logs) -> list[str]:
    return [line["event"] for line in logs.lines if line["event"].startswith("state.")]


FULL = StateFull("m", reason="state_full", hint="h")


async def test_a_state_that_takes_some_writes_and_not_others_is_not_told_as_mended_again_and_again(
    rounds: Rounds, clock: ManualClock, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """“state.degraded, state.recovered, state.degraded, …”: one site's structure has room, another's has none."""
    owe = rounds.agent.ledger.owe

    def only_small(run: Any, *rest: Any, **more: Any) -> Any:
        if run.site == "b":
            raise FULL
        return owe(run, *rest, **more)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(rounds.agent.ledger, "owe", only_small)
        for _ in range(5):
            await look(rounds)
            await rounds.ask("a")
            clock.advance(seconds=15)
    for _ in range(3):
        await look(rounds)

    assert of_state(logs) == ["state.degraded", "state.recovered"]


async def test_an_acknowledgement_without_room_is_the_states_matter_and_no_recovery(
    rounds: Rounds, clock: ManualClock, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> Any:
        raise FULL

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(rounds.agent.ledger, "record_receipt", full)
        for _ in range(3):
            await look(rounds)
            clock.advance(hours=1)
        trouble = rounds.trouble
    for _ in range(3):
        await look(rounds)

    assert trouble is FULL
    assert of_state(logs) == ["state.degraded", "state.recovered"]


async def test_a_state_that_cannot_be_written_for_hours_is_tried_though_nothing_is_due(
    rounds: Rounds, backend: FakeBackend, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And recovered only once something was written: an hour without a failure is no proof of room."""
    def full(*_: object, **__: object) -> Any:
        raise FULL

    await look(rounds)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(rounds.agent.ledger, "begin", full)
        asked = rounds.ask("a")
        await asyncio.wait({asked})
        meanwhile.setattr(rounds.agent.ledger, "prove_writable", full)
        for _ in range(5):
            await look(rounds)
        trouble = rounds.trouble
    for _ in range(2):
        await look(rounds)

    assert asked.cancelled()
    assert (trouble, rounds.trouble) == (FULL, None)
    assert of_state(logs) == ["state.degraded", "state.recovered"]
    assert len(backend.asked) == 2


async def test_a_broken_state_is_no_single_sites_matter(rounds: Rounds) -> None:
    rounds.agent.ledger.close()

    await look(rounds)

    assert isinstance(rounds.broken.exception(), StateFailed)


async def test_everybody_who_listens_hears_of_each_outcome(agent: Agent) -> None:
    heard: list[Outcome] = []
    rounds = Rounds(agent, told=(heard.append,))

    await look(rounds)

    assert {outcome.site for outcome in heard} == {"a", "b"}


async def test_a_state_that_breaks_while_a_site_is_read_ends_the_work(
    ledger: Ledger, clock: ManualClock, backend: FakeBackend, state_folder: Path
) -> None:
    reader = Hanging("hangs")
    rounds = Rounds(an_agent(ledger, clock, reader, backend, state_folder))
    rounds.look()
    await until(lambda: reader.begun)

    ledger.close()
    await rounds.end(within_seconds=0)

    assert isinstance(rounds.broken.exception(), StateFailed)
    assert not rounds.in_hand


async def test_a_clock_that_was_never_set_begins_nothing_and_says_so_once(
    rounds: Rounds, backend: FakeBackend, clock: ManualClock, logs: Logs
) -> None:
    right = clock.at
    clock.at = datetime(1970, 1, 1, tzinfo=UTC)
    for _ in range(3):
        await look(rounds)
        assert judge(rounds, clock.clock) == Health("ok", "adrift")
    assert backend.asked == []

    clock.at = right
    await look(rounds)

    assert len(backend.asked) == 2
    assert judge(rounds, clock.clock).ready
    assert [line["event"] for line in logs.lines if line["event"].startswith("clock")] == ["clock.wrong", "clock.set"]
