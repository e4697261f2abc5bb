"""Many sites and the hub under chaos: 5 % of valid tokens are refused, 5 % of pushes are kept and their answers lost,
5 % of requests come too often, lists change their shape and their pages; every site ends with its newest structure (D25)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import stamina
from backend import LISTING, Handler
from builders import a_post_type, answers, counted
from fakes import FakeReader, ManualClock
from hostile_front import FrontHandler, HostileFront
from served_hub import served_hub

from agent.backend.contract import Paths
from agent.bootstrap import Agent, open_agent
from agent.config import load
from agent.oneshot import sync_on_demand
from agent.redact import Redactor
from agent.structure.model import Answers
from agent.sync import redeliver

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("sheltered", "logs"), pytest.mark.timeout(3_600)]

EACH = 0.05
DAYS = 2
LOOKS = 24


@dataclass
class Chaos(HostileFront):
    """In front of the hub. Each of its faults is drawn for itself."""

    def handler(self) -> type[Handler]:
        return ChaosHandler

    def mood(self, what: str, *, keeps: bool, tokened: bool) -> str:
        drawn = self.chance(what).random() / EACH
        mood = {0: "429", 1: "401" if tokened else "", 2: "drop after commit" if keeps else ""}.get(int(drawn), "")
        with self._lock:
            self.moods[mood] += 1
        return mood


class ChaosHandler(FrontHandler):
    def _tokened(self) -> bool:
        # An API key is refused for good, and nothing renews it: only access tokens are.
        return not (self.headers["Authorization"] or "").startswith("Bearer wpsa_")

    def pass_on(self) -> None:
        """As often as not the rows are on a later page than the first."""
        parts = urlsplit(self.path)
        if parts.path == LISTING and "page=" not in parts.query and self.hostile.chance(self.path).random() < 0.5:
            following = f"http://proxy.invalid{self.path}&page=1"
            self._answer(200, {"count": 1, "previous": None, "results": [], "next": following})
        else:
            super().pass_on()


@dataclass(frozen=True)
class Served:
    """A hub that knows so many sites, and who may push to them."""

    url: str
    api_key: str
    email: str
    password: str
    sites: tuple[str, ...]
    """Their ids."""

    def counts(self) -> list[int | None]:
        """What the hub shows of each site's posts."""
        bearer = {"Authorization": f"Bearer {self.api_key}"}
        with httpx.Client(base_url=self.url, headers=bearer, trust_env=False, timeout=30) as http:
            found = []
            for site in self.sites:
                (row,) = http.get(f"{Paths().integrations}?site={site}&platform=wordpress").json()["results"]
                types = http.get(Paths().content_types(str(row["id"]))).json()["post_types"]
                found.append(types["post"]["count"] if types else None)
        return found


@contextmanager
def a_hub(folder: Path, sites: int) -> Iterator[Served]:
    with served_hub(folder / "hub", more_sites=sites) as facts:
        first = int(facts.pop("site_id")) + 1
        yield Served(**facts, sites=tuple(str(first + number) for number in range(sites)))


def url_of(number: int) -> str:
    """One of this machine's own: the agent looks at the address beforehand."""
    return f"https://127.0.{number // 250}.{number % 250 + 1}"


def read_of(number: int, day: int) -> Answers:
    url = url_of(number)
    return answers((a_post_type("post"), counted(1_000 * number + day)), site_url=url, home=url)


@asynccontextmanager
async def agent_of(hub: Served, url: str, folder: Path, clock: ManualClock) -> AsyncIterator[Agent]:
    environ = {"WPSA_BACKEND_URL": url, "WPSA_BACKEND_EMAIL": hub.email, "WPSA_BACKEND_PASSWORD": hub.password,
               "WPSA_STATE_DIR": str(folder / "state")}  # fmt: skip
    named = [
        {"name": f"site-{number}", "url": url_of(number), "site_id": site} for number, site in enumerate(hub.sites)
    ]
    settings = load({"sites": named}, environ=environ).settings
    opened = open_agent(
        settings, settings.all_sites, redactor=Redactor(), hub_listen="127.0.0.1:0", clock=clock.clock, observers=()
    )
    async with opened as agent:
        yield agent


async def synced(hub: Served, chaos: Chaos, folder: Path, clock: ManualClock, *, looks: int) -> list[int | None]:
    """What the hub shows after some days of syncing, each followed by so many looks for what is owed."""
    sites = range(len(hub.sites))
    async with agent_of(hub, chaos.url, folder, clock) as agent:
        for day in range(DAYS):
            clock.advance(days=1)
            reader = FakeReader({f"site-{number}": read_of(number, day) for number in sites})
            today = replace(agent, ports=replace(agent.ports, reader=reader))
            await sync_on_demand(today)
            for _ in range(looks):
                if not today.ledger.owing_sites():
                    break
                due = today.ledger.due(at=clock.advance(hours=2), sites=[site.name for site in agent.sites])
                await asyncio.gather(*(redeliver(delivery, today.ports) for delivery in due))
    return hub.counts()


@pytest.fixture
def under_chaos(tmp_path: Path) -> Iterator[Callable[[int], tuple[Served, Chaos]]]:
    with ExitStack() as ends:

        def begin(sites: int) -> tuple[Served, Chaos]:
            hub = ends.enter_context(a_hub(tmp_path, sites))
            return hub, ends.enter_context(Chaos(api_key="", seed=25, behind=hub.url))

        yield begin


@pytest.mark.parametrize("sites", [20, pytest.param(500, marks=pytest.mark.nightly)])
async def test_every_site_of_a_hub_under_chaos_converges(
    under_chaos: Any, tmp_path: Path, clock: ManualClock, sites: int
) -> None:
    hub, chaos = under_chaos(sites)

    shown = await synced(hub, chaos, tmp_path, clock, looks=LOOKS)

    assert shown == [1_000 * number + DAYS - 1 for number in range(sites)]
    assert all(chaos.moods[mood] for mood in ("401", "429", "drop after commit")), chaos.moods


async def test_an_agent_that_tries_nothing_again_is_noticed(
    under_chaos: Any, tmp_path: Path, clock: ManualClock
) -> None:
    """The negative control: what is refused once is lost."""
    hub, chaos = under_chaos(20)
    stamina.set_testing(False)
    stamina.set_active(False)
    try:
        shown = await synced(hub, chaos, tmp_path, clock, looks=0)
    finally:
        stamina.set_active(True)

    assert shown != [1_000 * number + DAYS - 1 for number in range(20)]
