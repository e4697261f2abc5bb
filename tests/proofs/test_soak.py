"""Years of daily work in one process: what it holds at the end is what it held at the beginning."""

import asyncio
import ctypes
import gc
import os
import re
import sys
import threading
from array import array
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from io import StringIO
from math import sqrt
from pathlib import Path
from random import Random
from tempfile import TemporaryFile

import pytest
from fake_wordpress import FakeWordPress
from fakes import TIME_ALONE, Asked, RawServer, answer, served
from figures import Proof

from agent.bootstrap import move_in
from agent.clock import Clock
from agent.config import Loaded, load
from agent.memory import give_back_memory
from agent.ops.metrics import Metrics
from agent.premises import open_premises
from agent.redact import Redactor
from agent.reload import Moves
from agent.rounds import Rounds
from agent.telemetry.logs import configure

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("sheltered", "fresh_logging"), pytest.mark.timeout(1800)]

BYTES_A_CYCLE = 100.0
"""Of memory in use, as the allocators count it to the byte; and over many cycles as the system counts pages, after the
daemon has given back what it freed. Of few cycles the pages say little: twenty of them, at the right moment, are more
than that, and in pages that are there already a leak hides for a while."""
LEAK, OBJECT_BYTES = 200, 48
"""A day, and what of it is the object's own and its place in a list."""
STATE_BYTES = 32 * 1024 * 1024
WARM_UP = 250
"""Cycles until everything that is kept for a while is kept: the history of 90 days, the 200 last structures. From then
on a sample is taken at the end of ten, which are all alike."""


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
    in_use: "array[int]" = field(default_factory=partial(array, "q"))
    resident: "array[int]" = field(default_factory=partial(array, "q"))
    descriptors: "array[int]" = field(default_factory=partial(array, "q"))
    tasks: "array[int]" = field(default_factory=partial(array, "q"))
    threads: "array[int]" = field(default_factory=partial(array, "q"))

    def take(self, cycle: int) -> None:
        gc.collect()
        give_back_memory()
        self.cycles.append(cycle)
        self.in_use.append(python_bytes() + c_bytes())
        self.resident.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
        self.descriptors.append(len(list(Path("/proc/self/fd").iterdir())))
        self.tasks.append(len(asyncio.all_tasks()))
        self.threads.append(threading.active_count())


def python_bytes() -> int:
    """In use, in Python's own allocator of small objects: as it tells the standard error."""
    with TemporaryFile() as said:
        stderr = os.dup(2)
        os.dup2(said.fileno(), 2)
        try:
            sys._debugmallocstats()  # type: ignore[attr-defined]  # noqa: SLF001 - nobody else counts its bytes
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
        said.seek(0)
        [counted] = re.findall(rb"# bytes in allocated blocks +=\s*([0-9,]+)", said.read())
        return int(counted.replace(b",", b""))


class Mallinfo(ctypes.Structure):
    """mallinfo(3)."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    ]


def c_bytes() -> int:
    """In use, of all that the C library has given out: larger objects, SQLite, OpenSSL."""
    ask = ctypes.CDLL(None).mallinfo2
    ask.restype = Mallinfo
    told = ask()
    return int(told.uordblks + told.hblkhd)


def slope_at_most(cycles: Sequence[int], values: Sequence[int]) -> tuple[float, float]:
    """How much more it is with each cycle, by least squares; and the upper end of what that may be, at 97.5 percent."""
    middle, mean = sum(cycles) / len(cycles), sum(values) / len(values)
    spread = sum((cycle - middle) ** 2 for cycle in cycles)
    slope = sum((cycle - middle) * (value - mean) for cycle, value in zip(cycles, values, strict=True)) / spread
    errors = (value - mean - slope * (cycle - middle) for cycle, value in zip(cycles, values, strict=True))
    return slope, slope + 1.96 * sqrt(sum(error**2 for error in errors) / (len(cycles) - 2) / spread)


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
    clock, metrics = Clock(now, loop.time, asyncio.sleep, Random(1).random), Metrics(now=now)
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
                    kept.append(bytes(LEAK - OBJECT_BYTES))
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


@pytest.mark.parametrize(
    ("cycles", "resident_bytes"), [(1_000, 10 * BYTES_A_CYCLE), pytest.param(10_000, BYTES_A_CYCLE, marks=pytest.mark.nightly)]
)
async def test_nothing_grows_with_the_days(memory: Path, proof: Proof, cycles: int, resident_bytes: float) -> None:
    held, pushes = await live(cycles, memory)

    in_use, resident = slope_at_most(held.cycles, held.in_use), slope_at_most(held.cycles, held.resident)
    size = sum(file.stat().st_size for file in memory.iterdir())
    assert in_use[1] < BYTES_A_CYCLE
    assert resident[1] < resident_bytes
    assert [len(set(each)) for each in (held.descriptors, held.tasks, held.threads)] == [1, 1, 1]
    assert size < STATE_BYTES
    assert pushes >= cycles - 2
    said = f"in use {in_use[0]:.1f} (at most {in_use[1]:.1f}), resident {resident[0]:.1f} (at most {resident[1]:.1f}) bytes a cycle"
    proof("D9", "daily cycles in one process", f"{cycles:,}", said)


async def test_two_hundred_bytes_a_day_are_noticed(memory: Path, proof: Proof) -> None:
    """And are what is noticed: without them the same days stay within the bound."""
    held, _ = await live(500, memory, kept=[])

    growth, at_most = slope_at_most(held.cycles, held.in_use)
    assert at_most > BYTES_A_CYCLE
    assert growth - LEAK < BYTES_A_CYCLE
    proof("D9", f"a planted leak of {LEAK} bytes a day", "500", f"{growth:.0f} bytes in use a cycle")
