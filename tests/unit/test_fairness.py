"""What one site does changes nobody else's turn: paired runs in virtual time, with and without hostile sites."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import count
from random import Random
from typing import Any

import pytest
from builders import a_delivery, answers
from fakes import TIME_ALONE, FakeBackend

from agent import fleet as fleets
from agent.clock import Clock
from agent.crowds import SITES_PER_SERVER
from agent.errors import SiteUnreachable
from agent.fleet import Fleet
from agent.outcome import Outcome
from agent.state.records import Run, Trigger
from agent.structure.diff import Changes
from agent.structure.model import Answers, Choices, Site
from agent.sync import Ports, Task

pytestmark = pytest.mark.anyio

HANG_SECONDS = 120.0
DAY = date(2026, 11, 21)


@pytest.fixture
def anyio_backend() -> object:
    return TIME_ALONE


class Forgetful:
    """A state that remembers nothing: here it is about who has his turn, not about what is kept."""

    def __init__(self) -> None:
        self._ids = count(1)

    def begin(self, site: str, **_: Any) -> Run:
        return Run(next(self._ids), site, {})

    def owe(self, run: Run, *_: Any, **__: Any) -> tuple[Any, Changes]:
        return a_delivery(run.site), Changes()

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None


class Reader:
    """Takes about a second of virtual time for an ordinary site; a hostile one never answers before its deadline."""

    def __init__(self, *, seed: int, hostile: Iterable[str] = (), usual_seconds: float = 1.0) -> None:
        self.hostile, self.usual_seconds, self._random = set(hostile), usual_seconds, Random(seed)
        self.reading: set[str] = set()
        self.most = 0

    async def read(self, site: Site, **_: Any) -> Answers:
        seconds = self.usual_seconds * (0.5 + self._random.random())
        self.reading.add(site.name)
        self.most = max(self.most, len(self.reading))
        try:
            if site.name in self.hostile:
                await asyncio.sleep(HANG_SECONDS)
                raise SiteUnreachable("m", reason="deadline", hint="h")
            await asyncio.sleep(seconds)
            return answers()
        finally:
            self.reading.discard(site.name)


def ports(reader: Reader) -> Ports:
    loop = asyncio.get_running_loop()
    begin = loop.time()
    now = lambda: datetime(2026, 11, 21, tzinfo=UTC) + timedelta(seconds=loop.time() - begin)  # noqa: E731
    clock = Clock(now, loop.time, asyncio.sleep, Random(1).random)
    return Ports(reader, FakeBackend(), Forgetful(), clock, choices_for=lambda _: Choices())  # type: ignore[arg-type]


def a_fleet(
    reader: Reader, told: Callable[[Outcome], None], *, places: int = 16, hosts: int = 0, **more: Any
) -> Fleet:
    with_ports = ports(reader)

    def find(name: str, _: bool) -> tuple[Task, Ports]:
        host = f"h{hash(name) % hosts}" if hosts else name
        return Task(Site(name, f"https://{host}.example"), DAY, Trigger.SCHEDULE), with_ports

    def failed(error: Exception) -> None:
        raise error

    return Fleet(find, places=places, told=told, failed=failed, **more)


async def finished_after(names: list[str], *, hostile: set[str], seed: int, doubtful: bool = False) -> dict[str, float]:
    """{ordinary site: seconds from the moment at which all were due to its end}"""
    begin, ends = asyncio.get_running_loop().time(), dict[str, float]()
    loop = asyncio.get_running_loop()
    fleet = a_fleet(Reader(seed=seed, hostile=hostile), lambda outcome: ends.setdefault(outcome.site, loop.time() - begin))
    for name in names:
        fleet.add(name, doubtful=doubtful and name in hostile)
    while len(ends.keys() - hostile) < len(set(names) - hostile):
        await asyncio.sleep(0.5)
    await fleet.drain(0)
    return {name: seconds for name, seconds in ends.items() if name not in hostile}


def p99(values: Iterable[float]) -> float:
    ordered = sorted(values)
    return ordered[int(len(ordered) * 0.99)]


@pytest.mark.parametrize("doubtful", [False, True], ids=["never seen before", "known to be down"])
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_hostile_sites_delay_no_other_by_a_tenth(seed: int, doubtful: bool) -> None:
    """A thousand sites due at one moment, one in twenty of which hangs until its deadline."""
    names = [f"site-{number}" for number in range(1000)]
    hostile = set(Random(seed).sample(names, 50))
    # The same ordinary sites in both runs: what the others add is what is measured.
    ordinary = [name for name in names if name not in hostile]

    without = await finished_after(ordinary, hostile=set(), seed=seed)
    beside = await finished_after(names, hostile=hostile, seed=seed, doubtful=doubtful)

    assert beside.keys() == without.keys()
    assert p99(beside.values()) <= 1.10 * p99(without.values())
    assert max(beside.values()) <= 1.10 * max(without.values())


async def test_without_room_beside_the_places_they_would(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the test above: it can see what it looks for."""
    monkeypatch.setattr(fleets, "SLOW_PER_PLACE", 0)
    names = [f"site-{number}" for number in range(300)]
    hostile = set(names[::20])

    without = await finished_after([name for name in names if name not in hostile], hostile=set(), seed=1)
    beside = await finished_after(names, hostile=hostile, seed=1)

    assert p99(beside.values()) > 1.5 * p99(without.values())


async def test_honest_slow_sites_are_still_read_and_in_bounds() -> None:
    reader, ended = Reader(seed=1, usual_seconds=8.0), set[str]()
    fleet = a_fleet(reader, lambda outcome: ended.add(outcome.site), places=4)
    outcomes = [fleet.add(f"site-{number}") for number in range(200)]

    await asyncio.wait(outcomes)

    assert len(ended) == 200
    assert reader.most <= 4 * (1 + fleets.SLOW_PER_PLACE)


async def test_a_site_that_was_slow_and_is_quick_again_takes_a_place_again() -> None:
    reader, heard = Reader(seed=1, hostile={"a"}), list[Outcome]()
    fleet = a_fleet(reader, heard.append, places=1)
    await fleet.add("a")
    reader.hostile.clear()
    await fleet.add("a")
    reader.hostile.add("b")

    first, second = fleet.add("b"), fleet.add("a")
    await asyncio.sleep(0.1)
    waits = not reader.reading & {"a"}
    await second
    await fleet.drain(0)

    assert waits  # behind the one that hangs, until that one is put aside
    assert first.cancelled()


async def test_no_host_is_asked_for_many_sites_at_once() -> None:
    reader, ended = Reader(seed=1), list[str]()
    fleet = a_fleet(reader, lambda outcome: ended.append(outcome.site), places=64, hosts=1)
    outcomes = [fleet.add(f"site-{number}") for number in range(40)]

    await asyncio.wait(outcomes)

    assert (len(ended), reader.most) == (40, SITES_PER_SERVER)


async def test_a_crowded_host_holds_up_no_other() -> None:
    """Forty sites that hang on one server; the one elsewhere comes after them in the queue."""
    names = [f"site-{number}" for number in range(40)]
    reader, with_ports = Reader(seed=1, hostile=names), None
    heard: list[str] = []
    fleet = a_fleet(reader, lambda outcome: heard.append(outcome.site), places=8)
    find = fleet._find  # noqa: SLF001 - all but one are moved to one server

    def crowded(name: str, asked: bool) -> Any:
        work, its_ports = find(name, asked) or (None, with_ports)
        assert isinstance(work, Task)
        return (work if name == "alone" else replace(work, site=Site(name, "https://crowded.example"))), its_ports

    fleet._find = crowded  # noqa: SLF001
    for name in names:
        fleet.add(name)
    outcome = await fleet.add("alone")
    await fleet.drain(0)

    assert outcome.site == "alone"
    assert heard == ["alone"]


class Names:
    """Hosts and the servers behind them; looking one up takes a tenth of a second."""

    def __init__(self, **servers: str) -> None:
        self.servers = servers

    async def locate(self, host: str) -> str | None:
        await asyncio.sleep(0.1)
        return self.servers.get(host.removesuffix(".example"))


async def test_no_server_is_asked_for_many_sites_at_once_however_many_names_it_has() -> None:
    names = [f"shared{number}" for number in range(60)]
    reader, ended = Reader(seed=1), list[str]()
    servers = Names(**dict.fromkeys(names, "192.0.2.1:"))
    fleet = a_fleet(reader, lambda outcome: ended.append(outcome.site), places=64, locate=servers.locate)
    for name in names:
        fleet.add(name)
    await asyncio.sleep(0.2)
    for name in names[30:35]:
        fleet.add(name, asked=True)

    at_once = []
    while len(ended) < len(names):
        at_once.append(len(reader.reading))
        await asyncio.sleep(0.05)

    assert max(at_once) == reader.most == SITES_PER_SERVER
    assert sorted(ended) == sorted(names)
    assert max(map(ended.index, names[30:35])) < 20


async def test_a_crowd_behind_one_address_takes_no_place_from_others() -> None:
    """Sixty sites that hang, each under a name of its own; the one elsewhere comes after them in the queue."""
    names = [f"shared{number}" for number in range(60)]
    reader = Reader(seed=1, hostile=names)
    servers = Names(**dict.fromkeys(names, "192.0.2.1:"))
    began = asyncio.get_running_loop().time()
    fleet = a_fleet(reader, lambda _: None, places=8, locate=servers.locate)
    for name in names:
        fleet.add(name)
    await fleet.add("alone")
    seconds = asyncio.get_running_loop().time() - began
    await fleet.drain(0)

    assert seconds < 10
    assert (fleet.in_hand, fleet.waiting) == (0, 0)


async def test_who_waits_for_a_server_is_let_in_when_another_before_him_has_gone_or_moved() -> None:
    names = [f"shared{number}" for number in range(12)]
    reader, ended = Reader(seed=1), set[str]()
    servers = Names(**dict.fromkeys(names, "192.0.2.1:"))
    fleet = a_fleet(reader, lambda outcome: ended.add(outcome.site), places=16, locate=servers.locate)
    find, gone = fleet._find, set[str]()  # noqa: SLF001
    fleet._find = lambda name, asked: None if name in gone else find(name, asked)  # noqa: SLF001
    outcomes = [fleet.add(name) for name in names]
    await asyncio.sleep(0.2)

    gone |= set(names[4:8])
    servers.servers |= dict.fromkeys(names[8:10], "192.0.2.2:")
    async with asyncio.timeout(60):
        await asyncio.wait(outcomes)

    assert ended == set(names) - gone


async def test_what_is_looked_up_at_the_end_is_not_begun_after_it() -> None:
    names = [f"shared{number}" for number in range(8)]
    reader = Reader(seed=1)
    fleet = a_fleet(reader, lambda _: None, places=8, locate=Names(**dict.fromkeys(names, "192.0.2.1:")).locate)
    outcomes = [fleet.add(name) for name in names]

    await asyncio.sleep(0.05)
    await fleet.drain(30)

    assert sum(not outcome.cancelled() for outcome in outcomes) == SITES_PER_SERVER
    assert (fleet.in_hand, fleet.waiting) == (0, 0)
    assert all(outcome.done() for outcome in outcomes)


async def test_no_more_are_in_hand_than_there_are_descriptors_for() -> None:
    names = [f"site-{number}" for number in range(60)]
    reader, ended = Reader(seed=1, hostile=names[:6]), set[str]()
    fleet = a_fleet(reader, lambda outcome: ended.add(outcome.site), places=16, most=8)
    for name in names:
        fleet.add(name, doubtful=name in names[:6])

    while len(ended) < 54:
        await asyncio.sleep(1)
    await fleet.drain(0)

    assert reader.most == 8
    assert ended == set(names[6:])


async def test_the_schedule_keeps_its_share_however_much_is_asked_for() -> None:
    reader, ended = Reader(seed=1), list[str]()
    fleet = a_fleet(reader, lambda outcome: ended.append(outcome.site), places=1)
    for number in range(40):
        fleet.add(f"due-{number}")
    asked = [fleet.add(f"asked-{number}", asked=True) for number in range(40)]

    await asyncio.wait(asked)
    await fleet.drain(0)

    due = sum(name.startswith("due") for name in ended)
    assert 10 <= due <= 20


async def test_who_asks_for_a_site_that_waits_moves_it_to_the_front() -> None:
    reader, ended = Reader(seed=1), list[str]()
    fleet = a_fleet(reader, lambda outcome: ended.append(outcome.site), places=1)
    due = [fleet.add(f"site-{number}") for number in range(20)]

    asked = fleet.add("site-19", asked=True)
    await asked
    await asyncio.wait(due)

    assert asked is due[19]
    assert ended.index("site-19") <= 1
    assert sorted(ended) == sorted({f"site-{number}" for number in range(20)})
