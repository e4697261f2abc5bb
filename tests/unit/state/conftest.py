"""One suite for every keeper of the state: each test here that takes a ledger runs on SQLite and on PostgreSQL."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import postgresql
import psycopg
import pytest

from agent.redact import Redactor
from agent.state.fleet_schema import SCHEMA
from agent.state.fleet_store import FleetDatabase, FleetStore
from agent.state.ledger import Ledger
from agent.state.store import open_store

Opened = Callable[[], Ledger]


class Owner(FleetStore):
    """Has every site in hand that it writes of, as the one owner of a file has."""

    @contextmanager
    def transaction(self, site: str | None = None) -> Iterator[FleetDatabase]:
        if site is not None:
            self.take(site)
        with super().transaction(site) as database:
            yield database


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A database on a real PostgreSQL server of this test process."""
    if postgresql.binaries() is None and not os.environ.get("WPSA_REQUIRE_POSTGRESQL"):
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    with postgresql.server() as url:
        yield url


@pytest.fixture
def state_url(server_url: str) -> str:
    """The address of a database without any state yet."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    return server_url


@pytest.fixture(params=["sqlite", "postgresql"])
def open_ledger(request: pytest.FixtureRequest, state_folder: Path, redactor: Redactor) -> Opened:
    """A function: another process opens the state."""
    if request.param == "sqlite":
        return lambda: Ledger(open_store(state_folder), redactor)
    url = request.getfixturevalue("state_url")

    def opened() -> Ledger:
        store = Owner(url, worker="test")
        store.begin_work()
        return Ledger(store, redactor)

    return opened


@pytest.fixture
def ledger(open_ledger: Opened) -> Iterator[Ledger]:
    opened = open_ledger()
    yield opened
    opened.close()
