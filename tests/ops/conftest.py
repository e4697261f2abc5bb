"""Every test of the endpoint runs in a clean world; see `sheltered`."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from builders import answers
from fakes import FakeBackend, FakeReader, ManualClock, an_agent
from hostility import Hostility
from ops_visitor import SECRET, TOKEN, Visitor, visiting

from agent.ops.endpoint import Endpoint
from agent.ops.metrics import Metrics
from agent.redact import Redactor
from agent.rounds import Rounds
from agent.state.ledger import Ledger


@pytest.fixture(autouse=True)
def _sheltered(sheltered: None) -> None:
    pass


@pytest.fixture
def backend(hostility: Hostility) -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def reader() -> FakeReader:
    return FakeReader({"shop": answers(), "example.com/blog": answers()})


@pytest.fixture
async def rounds(
    ledger: Ledger, clock: ManualClock, reader: FakeReader, backend: FakeBackend, state_folder: Path
) -> AsyncIterator[Rounds]:
    rounds = Rounds(an_agent(ledger, clock, reader, backend, state_folder))
    yield rounds
    await rounds.end(within_seconds=0)


@pytest.fixture
def metrics(clock: ManualClock) -> Iterator[Metrics]:
    return Metrics(now=clock.clock.now)


@pytest.fixture
async def visitor(rounds: Rounds, metrics: Metrics, clock: ManualClock, redactor: Redactor) -> AsyncIterator[Visitor]:
    redactor.add(SECRET)
    endpoint = Endpoint(rounds, metrics, token=TOKEN, clock=clock.clock, redactor=redactor)
    async with visiting(endpoint) as visitor:
        yield visitor
