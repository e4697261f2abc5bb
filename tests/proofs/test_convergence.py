"""Many sites and a hostile backend: each ends with its own newest structure, and nobody with another's (D25, D15)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from builders import a_post_type, answers, counted
from fakes import FakeReader, ManualClock
from figures import Proof
from hostile_backend import HostileStandIn

from agent.bootstrap import Agent, open_agent
from agent.config import load
from agent.crowds import nowhere
from agent.oneshot import sync_on_demand
from agent.redact import Redactor
from agent.structure.model import Answers
from agent.sync import redeliver

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("sheltered", "logs")]

DAYS = 3
LOOKS = 60
"""Every two hours: five days after which a backend that is hostile at random has taken everything."""


def read_of(number: int, day: int) -> Answers:
    """What the site says on that day; no two sites and no two days say the same."""
    url = f"https://site-{number}.example"
    return answers((a_post_type("post"), counted(1_000 * number + day)), site_url=url, home=url)


def hostile(seed: int, sites: int, *, hostility: float = 0.35) -> HostileStandIn:
    rows = [{"id": 1_000 + number, "site": number, "platform": "wordpress"} for number in range(sites)]
    others = [{"id": 5_000 + number, "site": number, "platform": "shopify"} for number in range(0, sites, 2)]
    return HostileStandIn(api_key="key", seed=seed, hostility=hostility, integrations=rows + others)


@asynccontextmanager
async def agent_of(backend: HostileStandIn, folder: Path, clock: ManualClock, sites: int, seed: int) -> AsyncIterator[Agent]:
    by_key = {"WPSA_BACKEND_API_KEY": "key"}
    by_login = {"WPSA_BACKEND_EMAIL": "bot@backend.example", "WPSA_BACKEND_PASSWORD": backend.password}
    environ = {"WPSA_BACKEND_URL": backend.url, "WPSA_STATE_DIR": str(folder), **(by_login if seed % 2 else by_key)}
    named = [
        {"name": f"site-{number}", "url": f"https://site-{number}.example", "site_id": str(number)} for number in range(sites)
    ]
    settings = load({"sites": named}, environ=environ).settings
    opened = open_agent(
        settings, settings.all_sites, redactor=Redactor(), hub_listen="127.0.0.1:0", clock=clock.clock, observers=()
    )
    async with opened as agent:
        yield agent


async def converge(
    backend: HostileStandIn, folder: Path, clock: ManualClock, *, sites: int, seed: int, looks: int = LOOKS
) -> None:
    async with agent_of(backend, folder, clock, sites, seed) as agent:
        for day in range(DAYS):
            clock.advance(days=1)
            reader = FakeReader({f"site-{number}": read_of(number, day) for number in range(sites)})
            today = replace(agent, ports=replace(agent.ports, reader=reader), locate=nowhere)
            await sync_on_demand(today)
            for _ in range(looks):
                if not today.ledger.owing_sites():
                    break
                due = today.ledger.due(at=clock.advance(hours=2), sites=[site.name for site in agent.sites])
                await asyncio.gather(*(redeliver(delivery, today.ports) for delivery in due))
            check(backend, sites=sites, day=day)


def check(backend: HostileStandIn, *, sites: int, day: int) -> None:
    for number in range(sites):
        held = backend.stored.get(str(1_000 + number), {}).get("post_types", {})
        assert held.get("post", {}).get("count") == 1_000 * number + day, f"site {number} did not converge"
    assert not any(integration.startswith("5") for integration in backend.stored), "pushed to another platform"
    newest: dict[str, int] = {}
    keys: dict[tuple[str, int], str] = {}
    for push in backend.pushes:
        number = int(push.integration) - 1_000
        assert json.loads(push.body)["site_url"] == f"https://site-{number}.example", "one site's structure in another's place"
        assert push.generation >= newest.get(push.integration, 0), "an older document over a newer one"
        newest[push.integration] = push.generation
        assert keys.setdefault((push.integration, push.generation), push.key) == push.key, "two keys of one document"
    assert len(set(keys.values())) == len(keys), "one key of two documents"


@pytest.mark.parametrize(
    ("seeds", "sites"), [(range(6), 12), pytest.param(range(100, 200), 100, marks=pytest.mark.nightly)]
)
@pytest.mark.timeout(3_600)
async def test_every_site_converges(memory: Path, proof: Proof, clock: ManualClock, seeds: range, sites: int) -> None:
    moods = 0
    for seed in seeds:
        with hostile(seed, sites) as backend:
            try:
                await converge(backend, memory / str(seed), clock, sites=sites, seed=seed)
            except AssertionError as error:
                raise AssertionError(f"seed {seed}: {error}") from error
            moods += backend.moods.total() - backend.moods[""]

    assert moods > 2 * len(seeds) * sites, "hardly a mood was met"
    size = f"{sites} sites × {len(seeds)} seeds × {DAYS} days, {moods:,} faults"
    proof("D25 D15 P2 P3", "a hostile backend", size, "all converged, 0 regressed, 0 mixed up")


async def test_an_agent_that_does_not_come_back_is_noticed(memory: Path, proof: Proof, clock: ManualClock) -> None:
    with hostile(0, 12, hostility=0.7) as backend:
        with pytest.raises(AssertionError, match="did not converge"):
            await converge(backend, memory / "state", clock, sites=12, seed=0, looks=0)

    proof("D25", "negative control: nothing is sent again", "1 rule broken", "noticed")
