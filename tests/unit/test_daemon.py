"""The daemon: from start to stop."""

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
from agent.daemon import HEARTBEAT, keep_up, stop_on_signals
from agent.errors import StateFailed
from agent.rounds import Rounds
from agent.state.ledger import Ledger
from agent.structure.model import Answers, Site

pytestmark = pytest.mark.anyio


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def agent(ledger: Ledger, clock: ManualClock, backend: FakeBackend, state_folder: Path) -> Agent:
    return an_agent(ledger, clock, FakeReader({"a": answers(), "b": answers()}), backend, state_folder)


@asynccontextmanager
async def running(agent: Agent) -> AsyncIterator[tuple[asyncio.Task[None], asyncio.Event]]:
    stop = asyncio.Event()
    task = asyncio.create_task(keep_up(Rounds(agent), stop))
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


async def test_memory_that_was_freed_is_given_back_from_time_to_time(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    times: list[None] = []
    monkeypatch.setattr("agent.daemon.TIDY_SECONDS", 0.01)
    monkeypatch.setattr("agent.daemon.give_back_memory", lambda: times.append(None))

    async with running(agent):
        await until(lambda: len(times) > 1)


async def test_a_signal_asks_to_stop() -> None:
    stop = asyncio.Event()
    stop_on_signals(stop)

    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(stop.wait(), 1)

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().remove_signal_handler(number)
