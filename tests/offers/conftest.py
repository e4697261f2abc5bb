"""A real hub in a process of its own, and agents that push to it or to a backend that offers nothing."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from builders import answers, settings
from fakes import FakeReader
from hostility import Hostility
from offers_working import SECRET, At, Hub, Working
from served_hub import served_hub

from agent.bootstrap import open_agent
from agent.crowds import nowhere
from agent.errands import Errands
from agent.exchange import Exchange
from agent.redact import Redactor
from agent.rounds import Rounds
from agent.telemetry.observers import log_exchange

MORE_SITES = 50


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iterator[tuple[str, str, str]]]:
    """One hub, and on it site after site that nothing has been pushed to: (url, API key, site id)."""
    with served_hub(tmp_path_factory.mktemp("hub"), more_sites=MORE_SITES) as facts:
        first = int(facts["site_id"])
        yield ((facts["url"], facts["api_key"], str(first + number)) for number in range(MORE_SITES + 1))


@pytest.fixture
def hub(places: Iterator[tuple[str, str, str]]) -> Iterator[Hub]:
    """With a site of the test's own."""
    with Hub(*next(places)) as served:
        yield served


@pytest.fixture(scope="module")
def one_hub(places: Iterator[tuple[str, str, str]]) -> Iterator[Hub]:
    """With the same site for all tests of a module, for those that leave nothing open there."""
    with Hub(*next(places)) as served:
        yield served


@pytest.fixture
def working(own_home: Path, tmp_path: Path, hostility: Hostility) -> At:
    """An agent with one site, that works at what the test says and keeps its state from one block to the next."""

    @asynccontextmanager
    async def at(url: str, api_key: str, site_id: str, **environ: str) -> AsyncIterator[Working]:
        asked: list[Exchange] = []

        def note(exchange: Exchange) -> None:
            log_exchange(exchange)
            asked.append(exchange)

        read = settings({
            "WPSA_SITE_URL": "https://shop.example", "WPSA_SITE_NAME": "shop", "WPSA_BACKEND_URL": hostility.in_front_of(url),
            "WPSA_BACKEND_API_KEY": api_key, "WPSA_BACKEND_SITE_ID": site_id, "WPSA_STATE_DIR": str(tmp_path / "state"),
        } | environ)  # fmt: skip
        redactor = Redactor()
        redactor.add(SECRET)
        opened = open_agent(read, read.all_sites, redactor=redactor, hub_listen="127.0.0.1:0", observers=(note,))
        async with opened as agent:
            reader = FakeReader({"shop": answers()})
            rounds = Rounds(replace(agent, ports=replace(agent.ports, reader=reader), locate=nowhere))
            yield Working(rounds, reader, asked, Errands(rounds, wanted=asyncio.Event()))
            await rounds.end(within_seconds=0)

    return at
