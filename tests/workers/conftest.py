"""A fleet for each test: one PostgreSQL and one world for all of them, a database and machines of its own."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import postgresql
import pytest
from fleets import Machines, NewFleet, World, a_world
from zygote import Zygote, a_zygote

_numbers = count()
ON_THE_WAY = (
    "agent.workers.worker", "agent.state.fleet_store", "agent.ops.endpoint", "procrastinate", "psycopg_pool",
    "zoneinfo._zoneinfo",
)  # fmt: skip
"""What a worker imports when it needs it, besides what every command does."""


@pytest.fixture(scope="session")
def fleet_zygote() -> Iterator[Zygote]:
    with a_zygote(*ON_THE_WAY) as opened:
        yield opened


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
    return postgresql.new_database(server_url, f"fleet-{next(_numbers)}")


@pytest.fixture
def new_fleet(state_url: str, tmp_path: Path, fleet_zygote: Zygote) -> Iterator[NewFleet]:
    """A function: so many sites that a fleet knows, of a world that answers after so many seconds."""
    with ExitStack() as stack:

        def begin(sites: int, *, seconds: float = 0.0, **settings: str) -> Machines:
            world: World = stack.enter_context(a_world(seconds=seconds))
            machines = Machines(tmp_path, state_url, world, settings, fleet_zygote)
            stack.callback(machines.stop)
            done = machines.wpsa("fleet", "import", "-", "--format", "csv", stdin=world.sites_csv(sites))
            assert done.returncode == 0, done.stderr
            return machines

        yield begin
