"""The daemon: looks often, acts when due, leaves at once."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from builders import answers
from fakes import FakeBackend, FakeReader, ManualClock, an_agent

from agent.bootstrap import Agent
from agent.daemon import HEARTBEAT, catch_up, keep_up, stop_on_signals
from agent.errors import BackendUnreachable, SiteUnreachable, StateFailed
from agent.state.ledger import Ledger
from agent.structure.model import Answers, Site

pytestmark = pytest.mark.anyio


def down(kind: type[Any] = BackendUnreachable) -> Any:
    return kind("m", reason="r", hint="h")


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def agent(ledger: Ledger, clock: ManualClock, backend: FakeBackend, state_folder: Path) -> Agent:
    return an_agent(ledger, clock, FakeReader({"a": answers(), "b": answers()}), backend, state_folder)


async def test_new_sites_are_pushed_at_once_and_then_daily(
    agent: Agent, backend: FakeBackend, clock: ManualClock
) -> None:
    pushes = []
    for hours in (0, 1, 21.9, 0.1, 1, 23, 0.1):
        clock.advance(hours=hours)
        await catch_up(agent)
        pushes.append(len(backend.asked))

    assert pushes == [2, 2, 2, 4, 4, 6, 6]


async def test_a_restart_is_no_reason_to_push(agent: Agent, backend: FakeBackend) -> None:
    for _ in range(5):
        await catch_up(agent)
        agent.ledger.recover()
        agent.ledger.forget_held(at=agent.ports.clock.now())

    assert len(backend.asked) == 2


async def test_a_standstill_of_days_is_caught_up_once(agent: Agent, backend: FakeBackend, clock: ManualClock) -> None:
    await catch_up(agent)
    clock.advance(days=30)
    for _ in range(3):
        await catch_up(agent)

    assert len(backend.asked) == 4


async def test_a_clock_that_goes_back_pushes_nothing(agent: Agent, backend: FakeBackend, clock: ManualClock) -> None:
    await catch_up(agent)
    clock.advance(days=-3)
    await catch_up(agent)

    assert len(backend.asked) == 2


async def test_a_document_that_waits_is_sent_when_its_time_has_come(
    agent: Agent, backend: FakeBackend, clock: ManualClock
) -> None:
    backend.failures = [down(), down()]
    await catch_up(agent)
    before = [agent.ledger.owed_to(site) for site in "ab"]
    await catch_up(agent)
    assert len(backend.asked) == 2

    clock.advance(minutes=1)
    await catch_up(agent)

    assert all(before)
    assert len(backend.asked) == 4
    assert backend.asked[0].body == next(one.body for one in backend.asked[2:] if one.site == backend.asked[0].site)
    assert [agent.ledger.owed_to(site) for site in "ab"] == [None, None]


async def test_a_site_that_is_down_is_asked_again_within_its_slot(
    ledger: Ledger, clock: ManualClock, backend: FakeBackend, state_folder: Path
) -> None:
    reader = FakeReader({"a": down(SiteUnreachable)})
    agent = an_agent(ledger, clock, reader, backend, state_folder)
    await catch_up(agent)
    reader.says["a"] = answers()
    await catch_up(agent)
    assert backend.asked == []

    clock.advance(seconds=5)
    await catch_up(agent)

    assert len(backend.asked) == 1


async def test_a_broken_state_ends_the_look_and_leaves_nothing_running(
    agent: Agent, backend: FakeBackend, clock: ManualClock
) -> None:
    backend.failures = [down(), down()]
    await catch_up(agent)
    clock.advance(minutes=1)
    owed = agent.ledger.due(at=clock.at, sites=["a", "b"])
    assert owed
    clock.advance(days=1)

    def broken(*_: object, **__: object) -> Any:
        raise StateFailed("m", reason="state_full", hint="h")

    agent.ledger.begin = broken  # type: ignore[method-assign]

    with pytest.raises(StateFailed):
        await catch_up(agent)


# --- from start to stop -------------------------------------------------------------------------


@asynccontextmanager
async def running(agent: Agent) -> AsyncIterator[tuple[asyncio.Task[None], asyncio.Event]]:
    stop = asyncio.Event()
    task = asyncio.create_task(keep_up(agent, stop))
    try:
        yield task, stop
    finally:
        stop.set()
        await asyncio.wait({task})


async def until(what: Any) -> None:
    async with asyncio.timeout(5):
        while not what():
            await asyncio.sleep(0.001)


async def test_it_works_beats_and_stops(agent: Agent, backend: FakeBackend, state_folder: Path) -> None:
    async with running(agent) as (task, stop):
        await until(lambda: len(backend.asked) == 2 and (state_folder / HEARTBEAT).exists())
        stop.set()
        await asyncio.wait_for(task, 1)

    assert (state_folder / HEARTBEAT).stat().st_mode & 0o077 == 0


async def test_a_site_that_hangs_does_not_hold_up_the_stop(
    ledger: Ledger, clock: ManualClock, backend: FakeBackend, state_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.daemon.DRAIN_SECONDS", 0.01)

    class Hanging(FakeReader):
        async def read(self, site: Site, **_: Any) -> Answers:
            self.reading += 1
            await asyncio.Event().wait()
            raise AssertionError

    reader = Hanging({"a": answers()})
    async with running(an_agent(ledger, clock, reader, backend, state_folder)) as (task, stop):
        await until(lambda: reader.reading)
        stop.set()
        await asyncio.wait_for(task, 1)

    slot = ledger.slot("a")
    assert slot is not None
    assert slot.state == "open"


async def test_a_broken_state_ends_the_daemon(agent: Agent) -> None:
    agent.ledger.close()
    async with running(agent) as (task, _):
        with pytest.raises(StateFailed):
            await asyncio.wait_for(task, 2)


async def test_the_work_goes_on_after_a_bug_on_one_site(
    ledger: Ledger, clock: ManualClock, backend: FakeBackend, state_folder: Path
) -> None:
    agent = an_agent(ledger, clock, FakeReader({"a": KeyError("bug"), "b": answers()}), backend, state_folder)
    async with running(agent) as (task, _):
        await until(lambda: backend.asked)
        assert not task.done()

    assert [one.site for one in backend.asked] == ["b"]


async def test_a_signal_asks_to_stop() -> None:
    stop = asyncio.Event()
    stop_on_signals(stop)

    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(stop.wait(), 1)

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().remove_signal_handler(number)
