"""An outage of three days: what a fleet asks meanwhile, and how it catches up (D12). Time is virtual, the rest is real."""

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest
import respx
from builders import a_site, answers
from fakes import FakeReader, ManualClock
from figures import Proof

from agent.backend.breaker import Breaker
from agent.backend.client import BackendClient
from agent.backend.contract import Paths
from agent.backend.integrations import Target
from agent.backend.session import ApiKey
from agent.bootstrap import Agent
from agent.faults import BACKEND
from agent.redact import Redactor
from agent.rounds import Rounds
from agent.schedule import DailyMoment
from agent.state.ledger import Ledger
from agent.state.store import open_store
from agent.structure.model import Choices
from agent.sync import Ports
from agent.transport import open_transport

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("sheltered")]

BASE = "https://backend.example"
PLACES = 8
TICK_SECONDS = 15
HOURS = 72


class NoBreaker(Breaker):
    """The negative control: each site finds out for itself."""

    @contextmanager
    def asking(self, site: str) -> Iterator[bool]:
        yield False


@dataclass
class Far:
    """A backend that counts."""

    clock: ManualClock
    down: bool = False
    requests: int = 0
    taken_at: list[datetime] = field(default_factory=list)
    """When each document arrived that was taken."""
    at_once: int = 0
    most_at_once: int = 0
    latest: dict[str, bytes] = field(default_factory=dict)

    async def take(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        if self.down:
            return httpx.Response(503)
        self.taken_at.append(self.clock.at)
        self.latest[request.url.path.split("/")[-3]] = request.content
        return httpx.Response(200, json={"success": True})


@dataclass
class Fleet:
    rounds: Rounds
    clock: ManualClock
    far: Far

    @property
    def owing(self) -> list[str]:
        return self.rounds.agent.ledger.owing_sites()

    async def live(self, duration: timedelta, *, requests: int | None = None) -> None:
        """Look at each tick until then, or until so many requests were made."""
        end = self.clock.at + duration
        while self.clock.at < end and (requests is None or self.far.requests < requests):
            self.rounds.look()
            while self.rounds.in_hand or self.rounds.waiting:
                await asyncio.sleep(0)
            self.clock.advance(seconds=TICK_SECONDS)


@pytest.fixture
def ledger(state_folder: Path, redactor: Redactor) -> Iterator[Ledger]:
    """On a real file, which need not survive a power cut here."""
    store = open_store(state_folder)
    store.rows("PRAGMA synchronous = OFF")
    yield Ledger(store, redactor)
    store.close()


@asynccontextmanager
async def fleet_of(
    number: int, clock: ManualClock, ledger: Ledger, folder: Path, breaker: Breaker
) -> AsyncIterator[Fleet]:
    names = [f"site-{n:04}" for n in range(number)]
    moments = {
        name: DailyMoment((datetime.min + n * timedelta(days=1) / number).time(), ZoneInfo("UTC"))
        for n, name in enumerate(names)
    }
    far = Far(clock)
    with respx.mock() as routes:
        routes.post(url__startswith=BASE).mock(side_effect=far.take)
        tls = ssl.create_default_context()
        async with open_transport(faults=BACKEND, ssl_context=tls, clock=clock.clock) as http:
            client = BackendClient(
                http,
                base_url=BASE,
                session=ApiKey("key"),
                paths=Paths(),
                targets={name: Target(None, name) for name in names},
                verify=False,
                clock=clock.clock,
                breaker=breaker,
            )
            ledger.heed(client)
            reader = FakeReader(dict.fromkeys(names, answers()))
            ports = Ports(reader, client, ledger, clock.clock, choices_for=lambda _: Choices())
            agent = Agent(
                sites=tuple(a_site(name, f"https://{name}.example") for name in names),
                ports=ports,
                ledger=ledger,
                moments=moments,
                sites_at_once=PLACES,
                state_folder=folder,
                hub_url=None,
                told=lambda _: None,
            )
            rounds = Rounds(agent)
            yield Fleet(rounds, clock, far)
            await rounds.end(within_seconds=0)


def allowed(sites: int) -> float:
    """Requests: a tenth above those of three good days, and one look a minute."""
    return 1.10 * sites * HOURS / 24 + HOURS * 60


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("sites", [20, pytest.param(1_000, marks=pytest.mark.nightly)])
async def test_three_days_without_a_backend_cost_one_look_and_not_one_a_site(
    clock: ManualClock, ledger: Ledger, state_folder: Path, proof: Proof, sites: int
) -> None:
    async with fleet_of(sites, clock, ledger, state_folder, Breaker(clock.clock)) as fleet:
        await fleet.live(timedelta(minutes=1))
        assert fleet.owing == []
        fleet.far.requests, fleet.far.down = 0, True
        await fleet.live(timedelta(hours=HOURS))
        during = fleet.far.requests
        assert len(fleet.owing) == sites

        fleet.far.down, fleet.far.most_at_once = False, 0
        await fleet.live(timedelta(minutes=30))

        assert fleet.owing == []
        assert fleet.far.requests - during <= 1.1 * sites, "each site's newest document, once"
        assert fleet.far.most_at_once <= PLACES
        assert fleet.far.requests <= allowed(sites)
        assert during <= HOURS * 60
    minutely, afterwards = during / HOURS / 60, (fleet.far.requests - during) / sites
    reached = f"{minutely:.2f} requests a minute in all, then {afterwards:.2f} a site"
    proof("D12 K33 P8", "no backend", f"{sites:,} sites × {HOURS} hours", reached)


async def test_without_the_breaker_every_site_looks_for_itself(
    clock: ManualClock, ledger: Ledger, state_folder: Path, proof: Proof
) -> None:
    limit = int(allowed(100)) + 1
    async with fleet_of(100, clock, ledger, state_folder, NoBreaker(clock.clock)) as fleet:
        fleet.far.down = True
        await fleet.live(timedelta(hours=HOURS), requests=limit)

    assert fleet.far.requests >= limit
    proof("D12", "negative control: no breaker", "1 rule broken", "noticed")


@dataclass(frozen=True)
class Drain:
    """How what was owed arrived after an outage."""

    minutes: float
    peak: float
    """The busiest look, as a share of the mean one."""


async def drain_after(hours: int, fleet: Fleet) -> Drain:
    """Down from the first look on, at which every site is owed a document."""
    fleet.far.down = True
    await fleet.live(timedelta(hours=hours))
    fleet.far.down = False
    while fleet.owing:
        await fleet.live(timedelta(seconds=TICK_SECONDS))
    taken = fleet.far.taken_at[1:]  # the first was the look that found it back
    seconds = (taken[-1] - taken[0]).total_seconds()
    mean = len(taken) / (seconds / TICK_SECONDS + 1)
    return Drain(seconds / 60, max(Counter(taken).values()) / mean)


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize(
    ("sites", "hours"),
    [(360, 1), pytest.param(1_000, 72, marks=pytest.mark.nightly), pytest.param(10_000, 1, marks=pytest.mark.nightly)],
)
async def test_what_was_owed_arrives_evenly_and_within_half_an_hour(
    clock: ManualClock, ledger: Ledger, state_folder: Path, proof: Proof, sites: int, hours: int
) -> None:
    async with fleet_of(sites, clock, ledger, state_folder, Breaker(clock.clock)) as fleet:
        drain = await drain_after(hours, fleet)

    assert drain.minutes <= 30
    assert drain.peak <= 1.2
    proof("D12 F05", "the backend is back", f"{sites:,} sites", f"drained in {drain.minutes:.1f} minutes, peak × {drain.peak:.2f}")


async def test_without_a_line_everybody_comes_at_once(
    clock: ManualClock, ledger: Ledger, state_folder: Path, proof: Proof, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Breaker, "_line_up", lambda breaker: None)
    async with fleet_of(200, clock, ledger, state_folder, Breaker(clock.clock)) as fleet:
        drain = await drain_after(1, fleet)

    assert drain.peak > 1.2
    proof("D12 F05", "negative control: nobody lines up", "1 rule broken", "noticed")
