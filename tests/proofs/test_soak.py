"""Years of daily work in one process: what it holds at the end is what it held at the beginning."""

import asyncio
import gc
import os
import sys
import threading
from array import array
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from io import StringIO
from pathlib import Path
from random import Random

import pytest
from fake_wordpress import FakeWordPress
from fakes import TIME_ALONE, Asked, RawServer, answer, served
from figures import Proof

from agent.bootstrap import move_in
from agent.clock import Clock
from agent.config import Loaded, load
from agent.ops.metrics import Metrics
from agent.premises import open_premises
from agent.redact import Redactor
from agent.reload import Moves
from agent.rounds import Rounds
from agent.telemetry.logs import configure

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("sheltered", "fresh_logging"), pytest.mark.timeout(1800)]

BLOCKS_A_CYCLE = 0.5
"""Of Python's memory; whatever keeps as little as a number of each day keeps one."""
RSS_BYTES_A_CYCLE = 2_000
"""What the system counts moves by pages and by the allocator's own reserves; hence a bound that is only rough."""
STATE_BYTES = 32 * 1024 * 1024
WARM_UP = 60
"""Cycles until everything that is kept once is kept; from then on a sample is taken at the end of ten, which are all alike."""


@pytest.fixture
def anyio_backend() -> object:
    # All peers are in this process and this thread: what one has sent is there when the other looks.
    return TIME_ALONE


@dataclass
class Neighbour(RawServer):
    """A WordPress, a backend and a dead-man's switch, each of which has its bad days."""

    day: int = 0
    pushes: int = 0

    def say(self, asked: Asked) -> bytes:
        self.asked.clear()
        if asked.target.startswith("/ping"):
            return answer(200)
        if asked.target.startswith("/api/"):
            return self._say_as_backend(asked)
        if self.day % 10 == 3:
            return answer(503)
        said = FakeWordPress(self.url).answer(asked.method, asked.target, asked.body)
        return answer(said.status, said.body, **said.headers)

    def _say_as_backend(self, asked: Asked) -> bytes:
        if self.day % 10 == 5:
            return answer(500)
        if asked.method == "GET":
            return answer(200, [{"id": 7, "site": 42, "platform": "wordpress"}])
        self.pushes += 1
        return answer(200, {"success": True, "message": "Structure updated"})


class Nobody(StringIO):
    """Reads the log, and keeps nothing of it."""

    def write(self, text: str) -> int:
        return len(text)


@dataclass
class Held:
    """What the process holds, sample by sample, from the end of the warm-up on; in arrays, which are no new objects."""

    cycles: "array[int]" = field(default_factory=partial(array, "q"))
    blocks: "array[int]" = field(default_factory=partial(array, "q"))
    rss: "array[int]" = field(default_factory=partial(array, "q"))
    descriptors: "array[int]" = field(default_factory=partial(array, "q"))
    tasks: "array[int]" = field(default_factory=partial(array, "q"))
    threads: "array[int]" = field(default_factory=partial(array, "q"))

    def take(self, cycle: int) -> None:
        gc.collect()
        self.cycles.append(cycle)
        self.blocks.append(sys.getallocatedblocks())
        self.rss.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
        self.descriptors.append(len(list(Path("/proc/self/fd").iterdir())))
        self.tasks.append(len(asyncio.all_tasks()))
        self.threads.append(threading.active_count())


def slope(cycles: Sequence[int], values: Sequence[int]) -> float:
    """How much more it is with each cycle, by least squares."""
    middle, mean = sum(cycles) / len(cycles), sum(values) / len(values)
    above = sum((cycle - middle) * (value - mean) for cycle, value in zip(cycles, values, strict=True))
    return above / sum((cycle - middle) ** 2 for cycle in cycles)


def settings_for(neighbour: Neighbour, folder: Path) -> Loaded:
    environ = {
        "WPSA_SITE_URL": neighbour.url, "WPSA_SITE_NAME": "shop", "WPSA_SITE_PING_URL": f"{neighbour.url}/ping/shop",
        "WPSA_BACKEND_URL": neighbour.url, "WPSA_BACKEND_API_KEY": "key", "WPSA_BACKEND_SITE_ID": "42",
        "WPSA_NOTIFY_PING_URL": f"{neighbour.url}/ping/all", "WPSA_STATE_DIR": str(folder),
    }  # fmt: skip
    return load({}, environ=environ)


@asynccontextmanager
async def at_work(loaded: Loaded, metrics: Metrics, clock: Clock) -> AsyncIterator[tuple[Rounds, Moves]]:
    settings, redactor = loaded.settings, Redactor()
    async with (
        open_premises(settings, settings.all_sites, redactor=redactor, hub_listen="127.0.0.1:0") as premises,
        Moves(partial(move_in, premises, clock=clock, observers=(metrics.exchange,))) as moves,
    ):
        rounds = Rounds(await moves.to(settings, settings.all_sites), told=(metrics.outcome,))
        async with metrics.fed_by(rounds):
            yield rounds, moves
            await rounds.end(within_seconds=1)


async def live(cycles: int, folder: Path, *, kept: list[bytes] | None = None) -> tuple[Held, int]:
    """So many days, with a reload in each ten; what was held, and how often was pushed.

    kept   a leak, planted
    """
    # Pytest keeps each line until the test ends.
    configure(level="info", format="json", redactor=Redactor(), stream=Nobody())
    loop, begin, held = asyncio.get_running_loop(), asyncio.get_running_loop().time(), Held()
    now = lambda: datetime(2026, 11, 21, tzinfo=UTC) + timedelta(seconds=loop.time() - begin)  # noqa: E731
    clock, metrics = Clock(now, loop.time, asyncio.sleep, Random(1).random), Metrics(now=now)  # noqa: S311 - no secret
    async with served(Neighbour([b""])) as neighbour:
        loaded = settings_for(neighbour, folder)
        async with at_work(loaded, metrics, clock) as (rounds, moves):
            for neighbour.day in range(cycles):
                await a_day(rounds)
                if neighbour.day % 10 == 7:
                    rounds.renew(await moves.to(loaded.settings, loaded.settings.all_sites))
                    await moves.leave_unless(rounds.uses)
                metrics.exposition()
                if kept is not None:
                    kept.append(bytes(200))
                if neighbour.day >= WARM_UP and neighbour.day % 10 == 9:
                    held.take(neighbour.day)
        return held, neighbour.pushes


async def a_day(rounds: Rounds) -> None:
    """Four looks; what each begins has hours to end."""
    for _ in range(4):
        rounds.look()
        while rounds.in_hand or rounds.waiting:
            await asyncio.sleep(1)
        await asyncio.sleep(6 * 3_600)


@pytest.mark.parametrize("cycles", [365, pytest.param(10_000, marks=pytest.mark.nightly)])
async def test_nothing_grows_with_the_days(memory: Path, proof: Proof, cycles: int) -> None:
    held, pushes = await live(cycles, memory)

    blocks, rss = slope(held.cycles, held.blocks), slope(held.cycles, held.rss)
    size = sum(file.stat().st_size for file in memory.iterdir())
    assert blocks < BLOCKS_A_CYCLE
    assert rss < RSS_BYTES_A_CYCLE
    assert [len(set(each)) for each in (held.descriptors, held.tasks, held.threads)] == [1, 1, 1]
    assert size < STATE_BYTES
    assert pushes >= cycles - 2
    proof("D9", "daily cycles in one process", f"{cycles:,}", f"{rss:.0f} bytes and {blocks:.2f} blocks of memory a cycle")


async def test_two_hundred_bytes_a_day_are_noticed(memory: Path, proof: Proof) -> None:
    held, _ = await live(120, memory, kept=[])

    leak = slope(held.cycles, held.blocks)
    assert leak > BLOCKS_A_CYCLE
    proof("D9", "a planted leak of 200 bytes a day", "120", f"{leak:.2f} blocks a cycle")
