"""One hub for all tests of this folder: Django can be set up once a process. Tenants keep tests apart.

On SQLite, or with `--hub-database postgresql` on a real PostgreSQL server; `test_hub_on_postgresql.py` runs
the folder a second time with that.
"""

from collections.abc import Iterator
from pathlib import Path

import postgresql
import pytest
from hub_browser import Browser
from hub_builders import Tenant, a_tenant

from agent.hub import embedded


@pytest.fixture(scope="session")
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """The kind of database; where it is a server, the hub's environment names it."""
    kind = request.config.getoption("--hub-database")
    if kind == "sqlite":
        yield kind
        return
    with postgresql.server() as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("WPSA_HUB_DATABASE_URL", url)
        yield kind


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory, database: str) -> Iterator[embedded.Embedded]:
    directory = tmp_path_factory.mktemp("hub") / "state"
    prepared = embedded.prepare(directory, sites={"first": "https://first.example"}, listen="127.0.0.1:8765")
    from quick_hashing import quick_hashing

    with quick_hashing():
        yield prepared
    from django.db import connection, connections

    connections.close_all()
    if database == "postgresql":
        connection.close_pool()


@pytest.fixture
def hub_directory(hub: embedded.Embedded) -> Path:
    from django.conf import settings

    return Path(settings.WPSA_HUB_DIR)


@pytest.fixture
def browser(hub: embedded.Embedded) -> Browser:
    return Browser(hub.application)


@pytest.fixture
def tenant(hub: embedded.Embedded) -> Tenant:
    return a_tenant()


@pytest.fixture
def closed_pages(hub: embedded.Embedded) -> Iterator[None]:
    from django.test.utils import override_settings

    with override_settings(WPSA_HUB_OPEN_PAGES=False):
        yield


@pytest.fixture(scope="session")
def only_sqlite(database: str) -> None:
    if database != "sqlite":
        pytest.skip("this is about SQLite's file")
