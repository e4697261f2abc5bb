"""What a worker has begun and cannot go on with is given back: nobody waits for it until the worker dies."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from builders import answers
from fakes import FakeBackend, FakeReader, ManualClock, an_agent

from agent.agenda import work_for
from agent.bulkhead import Work
from agent.crowds import SITES_PER_SERVER
from agent.errors import StateBusy
from agent.redact import Redactor
from agent.rounds import Rounds
from agent.state.fleet_store import FleetStore, open_fleet_store
from agent.state.ledger import Ledger
from agent.structure.model import Answers, Site

pytestmark = pytest.mark.anyio
NAMES = [f"site-{number}" for number in range(SITES_PER_SERVER + 2)]


@pytest.fixture
def store(state_url: str, fresh_logging: None) -> Iterator[FleetStore]:
    opened = open_fleet_store(state_url, worker="w")
    yield opened
    opened.close()


class HangingReader(FakeReader):
    async def read(self, site: Site, **_: Any) -> Answers:
        await anyio.sleep_forever()
        raise AssertionError


class Agenda:
    """Everything is due, as long as the database is there."""

    catching_up = 0
    away: str = ""
    """What it is asked for when the database is no longer there."""

    def __init__(self) -> None:
        self.rounds: Rounds

    def __contains__(self, site: str) -> bool:
        return True

    def due(self, now: datetime) -> list[str]:
        return []

    def is_doubtful(self, site: str) -> bool:
        return False

    def work_for(self, site: str, *, asked: bool, now: datetime) -> Work | None:
        self._ask("work")
        agent = self.rounds.agent
        known = {one.name: one for one in agent.sites}[site]
        return work_for(known, agent.moments[site], agent.ledger, asked=asked, now=now)

    def put(self, site: str, *, now: datetime) -> None:
        self._ask("put")

    def _ask(self, what: str) -> None:
        if self.away == what:
            raise StateBusy("x", reason="state_unreachable", hint="x")


def rounds_of(store: FleetStore, folder: Path, *, hang: bool = False) -> tuple[Rounds, Agenda]:
    reader = (HangingReader if hang else FakeReader)(dict.fromkeys(NAMES, answers()))
    agent = an_agent(Ledger(store, Redactor()), ManualClock(), reader, FakeBackend(), folder)
    agent = replace(agent, sites_at_once=2 * len(NAMES))  # their server alone has no room for all of them
    agenda = Agenda()
    rounds = agenda.rounds = Rounds(agent, agenda=agenda)
    return rounds, agenda


def in_hand(store: FleetStore) -> int:
    """By the database, after the next sign of life."""
    assert store.live_on()
    return len(store.rows("SELECT * FROM claim"))


@pytest.mark.parametrize("away", ["work", "put"])
async def test_a_site_whose_state_cannot_be_asked_is_given_back(store: FleetStore, tmp_path: Path, away: str) -> None:
    rounds, agenda = rounds_of(store, tmp_path)
    agenda.away = away

    turn = rounds.take_turn(NAMES[0])
    with anyio.move_on_after(10):
        while not turn.done():
            await anyio.lowlevel.checkpoint()

    assert turn.done()
    assert in_hand(store) == 0
    await rounds.end(within_seconds=0)


async def test_sites_that_wait_at_their_server_are_given_back_when_the_state_is_away(
    store: FleetStore, tmp_path: Path
) -> None:
    rounds, agenda = rounds_of(store, tmp_path, hang=True)
    for name in NAMES:
        rounds.take_turn(name)
    with anyio.move_on_after(10):
        while rounds.in_hand < SITES_PER_SERVER or rounds.waiting < 2:
            await anyio.lowlevel.checkpoint()
    assert in_hand(store) == len(NAMES)

    agenda.away = "work"
    rounds.take_turn("another")

    assert in_hand(store) == SITES_PER_SERVER
    await rounds.end(within_seconds=0)
