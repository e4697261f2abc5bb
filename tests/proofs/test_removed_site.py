"""A site that was taken out of the settings while a document of it waited: nobody pushes it, and for thirty days nothing is lost (F11)."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from builders import answers
from fakes import FakeBackend, FakeReader, Logs, ManualClock, an_agent
from figures import Proof

from agent.bootstrap import Agent
from agent.errors import BackendUnreachable
from agent.oneshot import sync_on_demand
from agent.rounds import Rounds
from agent.state.ledger import Ledger
from agent.state.removed import Removed

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("sheltered")]

DAYS = 29
"""One less than it is kept."""


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend(*(BackendUnreachable("m", reason="r", hint="h") for _ in range(2)))


@pytest.fixture
async def agent(ledger: Ledger, clock: ManualClock, backend: FakeBackend, state_folder: Path) -> Agent:
    """Both of its sites are owed a document."""
    agent = an_agent(ledger, clock, FakeReader({"stays": answers(), "goes": answers()}), backend, state_folder)
    await sync_on_demand(agent)
    assert ledger.owing_sites() == ["goes", "stays"]
    return agent


async def live(agent: Agent, clock: ManualClock, *, days: int) -> None:
    rounds = Rounds(agent)
    for _ in range(days):
        rounds.look()
        while rounds.in_hand or rounds.waiting:
            await asyncio.sleep(0)
        clock.advance(days=1)
    await rounds.end(within_seconds=1)


async def test_what_waits_for_a_removed_site_is_kept_and_never_pushed(
    agent: Agent, ledger: Ledger, clock: ManualClock, backend: FakeBackend, proof: Proof
) -> None:
    without = replace(agent, sites=tuple(site for site in agent.sites if site.name == "stays"))
    waiting = ledger.owed_to("goes")

    await live(without, clock, days=DAYS)
    await sync_on_demand(without)

    later = backend.asked[2:]
    assert {one.site for one in later} == {"stays"}
    assert len(later) >= DAYS
    assert ledger.owed_to("goes") == waiting

    # It comes back: what is read then takes the place of what waited.
    await sync_on_demand(agent)
    assert waiting
    assert [one.generation for one in backend.asked if one.site == "goes"][-1] > waiting.generation
    assert ledger.owing_sites() == []
    proof("F11", "a removed site that was owed a document", f"{DAYS} days", "0 pushes in its name; superseded on return")


async def test_after_thirty_days_nothing_is_known_of_it_and_all_of_the_others(
    agent: Agent, ledger: Ledger, clock: ManualClock, logs: Logs
) -> None:
    without = replace(agent, sites=tuple(site for site in agent.sites if site.name == "stays"))

    await live(without, clock, days=DAYS + 3)

    assert ledger.known_sites() == ["stays"]
    assert len(ledger.structures("stays", limit=99)) >= DAYS
    assert ledger.owed_to("goes") is None
    for table in ("run", "structure", "last_count"):
        assert ledger.store.rows(f"SELECT * FROM {table} WHERE site = ?", "goes") == []  # noqa: S608 - written here
    assert [line["site"] for line in logs.lines if line["event"] == "site.forgotten"] == ["goes"]


async def test_a_standstill_however_long_costs_no_site_that_is_named(
    agent: Agent, ledger: Ledger, clock: ManualClock
) -> None:
    before = {site: ledger.owed_to(site) for site in ("goes", "stays")}
    clock.advance(days=10 * DAYS)

    Removed(ledger.store).forget(lambda: ("goes", "stays"), at=clock.at)

    assert {site: ledger.owed_to(site) for site in ("goes", "stays")} == before
