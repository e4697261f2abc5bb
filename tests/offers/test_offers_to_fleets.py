"""“Sync now” for the sites of a fleet: found in its table, and taken up by one worker of all."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import postgresql
import psycopg
import pytest
from builders import NOW, answers, settings
from fakes import FakeReader
from offers_working import Hub, Working

from agent.bootstrap import OFFERED_BY_HUB, move_in
from agent.crowds import nowhere
from agent.errands import Errands
from agent.errors import StateBusy
from agent.exchange import Exchange
from agent.premises import open_premises
from agent.redact import Redactor
from agent.roster import TableRoster
from agent.rounds import Rounds
from agent.state.fleet_schema import SCHEMA
from agent.state.fleet_store import FleetStore
from agent.state.sites import Entry, Sites
from agent.workers.agenda import SharedAgenda

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("fresh_logging")]

Fleet = Callable[[str], AbstractAsyncContextManager[Working]]
"""A worker of this name, at work."""


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    if postgresql.binaries() is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    with postgresql.server() as url:
        yield url


@pytest.fixture
def state_url(server_url: str) -> str:
    """The address of a state that knows no site yet."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    store = FleetStore(server_url)
    store.bring_up_to_date()
    store.close()
    return server_url


@pytest.fixture
def fleet(own_home: Path, tmp_path: Path, state_url: str, one_hub: Hub) -> Fleet:
    @asynccontextmanager
    async def worker(name: str) -> AsyncIterator[Working]:
        asked: list[Exchange] = []
        read = settings({
            "WPSA_BACKEND_URL": one_hub.url, "WPSA_BACKEND_API_KEY": one_hub.api_key,
            "WPSA_STATE_URL": state_url, "WPSA_STATE_DIR": str(tmp_path / name),
        })  # fmt: skip
        redactor = Redactor()
        async with open_premises(read, (), redactor=redactor, hub_listen="127.0.0.1:0") as premises:
            premises.ledger.record_offers(one_hub.url, OFFERED_BY_HUB)
            sites = Sites(premises.ledger.store)
            roster = TableRoster(sites, redactor)
            async with move_in(premises, read, (), observers=(asked.append,), roster=roster) as agent:
                reader = FakeReader({"shop": answers()})
                agenda = SharedAgenda(sites, roster, agent.moments, agent.ledger)
                at_work = replace(agent, ports=replace(agent.ports, reader=reader), locate=nowhere)
                rounds = Rounds(at_work, agenda=agenda)
                yield Working(rounds, reader, asked, Errands(rounds, wanted=asyncio.Event()))
                await rounds.end(within_seconds=0)

    return worker


def imported(state_url: str, **ids: str) -> None:
    """The site of the hub, among others."""
    def entry(name: str, **ids: str) -> Entry:
        return Entry(name, f"{name}.example", json.dumps({"url": f"https://{name}.example", "name": name, **ids}))

    store = FleetStore(state_url)
    Sites(store).put([entry("shop", **ids), *(entry(f"other-{n}", site_id=f"no-{n}") for n in range(50))], at=NOW)
    store.close()


def said(working: Working) -> list[str]:
    return [json.loads(one.request_body)["state"] for one in working.exchanges if one.method == "PATCH"]


async def test_what_somebody_asked_for_is_found_in_the_table_by_either_id(
    one_hub: Hub, fleet: Fleet, state_url: str
) -> None:
    async with fleet("one") as worker:
        for ids in ({"site_id": one_hub.site_id}, {"integration_id": one_hub.integration_id}):
            imported(state_url, **ids)
            one_hub.press_sync_now()
            await worker.look()
            assert one_hub.request is None

    assert said(worker) == ["running", "done"] * 2
    assert worker.asked.count("POST update-structure") == 2


async def test_one_worker_of_all_takes_it_up_and_the_next_one_when_that_is_gone(
    one_hub: Hub, fleet: Fleet, state_url: str
) -> None:
    imported(state_url, site_id=one_hub.site_id)
    async with fleet("two") as other:
        async with fleet("one") as first:
            one_hub.press_sync_now()
            taken_up = await first.errands.look()
            left = await other.errands.look()
            await asyncio.gather(*taken_up)
            in_hand = [row.sites for row in Sites(other.rounds.agent.ledger.store).workers()]
            assert one_hub.request is None
            one_hub.press_sync_now()
        await other.look()

    assert one_hub.request is None
    assert (len(taken_up), left) == (1, [])
    assert in_hand == [0, 0], "to ask for errands is no site"
    assert said(first) == said(other) == ["running", "done"]
    assert [one.asked.count("POST update-structure") for one in (first, other)] == [1, 1]


async def test_a_look_without_the_state_is_made_again(
    one_hub: Hub, fleet: Fleet, state_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.errands.IDLE_SECONDS", 0.01)
    imported(state_url, site_id=one_hub.site_id)
    one_hub.press_sync_now()
    async with fleet("one") as worker:
        worker.rounds.agent = replace(worker.rounds.agent, poll_seconds=0.01)
        with psycopg.connect(state_url, autocommit=True) as operator:
            operator.execute(f"ALTER TABLE {SCHEMA}.site RENAME TO gone")
            running = asyncio.create_task(worker.errands.run())
            await until(lambda: worker.asked.count("GET poll") > 1)
            operator.execute(f"ALTER TABLE {SCHEMA}.gone RENAME TO site")
        await until(lambda: one_hub.request is None)
        running.cancel()
        await asyncio.wait({running})

    assert said(worker) == ["running", "done"]


async def test_a_request_stays_open_while_nobody_can_say_whose_it_is(
    one_hub: Hub, fleet: Fleet, state_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(site: str) -> Any:
        raise StateBusy("m", reason="state_unreachable", hint="h")

    imported(state_url, site_id=one_hub.site_id)
    one_hub.press_sync_now()
    async with fleet("one") as worker:
        with monkeypatch.context() as without:
            without.setattr(worker.rounds, "ask", away)
            await worker.look()
        meanwhile = one_hub.request
        await worker.look()

    assert meanwhile["state"] == "running"
    assert one_hub.request is None
    assert said(worker) == ["running", "running", "done"]


async def until(what: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not what():
            await asyncio.sleep(0.01)
