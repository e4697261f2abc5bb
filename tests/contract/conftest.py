"""One suite for every backend: the hub in its three list shapes, or any backend that is named.

    pytest tests/contract --backend-url https://backend.example --backend-site-id 42 \\
        --backend-api-key-file key.txt

The key may also be in WPSA_BACKEND_API_KEY, e-mail and password in WPSA_BACKEND_EMAIL and
WPSA_BACKEND_PASSWORD: a command line is no place for secrets. The suite pushes made-up structures
to that site's integration, so name one that nobody looks at.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import postgresql
import pytest
from served_hub import served_hub

from agent.backend.contract import Paths

SHAPES = ("page", "list", "envelope")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("contract", "a foreign backend proves itself")
    group.addoption("--backend-url", help="prove this backend instead of the hub")
    group.addoption("--backend-site-id", help="the site whose integration receives made-up structures")
    group.addoption("--backend-api-key-file", help="file with the API key; else WPSA_BACKEND_API_KEY")


@dataclass(frozen=True)
class Backend:
    """A backend as its operator hands it to an agent."""

    url: str
    site_id: str
    api_key: str = field(repr=False)
    email: str = ""
    password: str = field(default="", repr=False)
    is_hub: bool = False
    """The hub keeps every rule; of a foreign backend some are only hoped for."""
    shape: str = ""
    client: httpx.Client = field(repr=False, default_factory=lambda: httpx.Client(timeout=30, trust_env=False))
    """One for all requests: each new one loads the system's certificates anew."""

    def request(self, method: str, path: str, *, bearer: str | None = None, **options: Any) -> httpx.Response:
        headers = {"Accept": "application/json", **options.pop("headers", {})}
        if bearer := self.api_key if bearer is None else bearer:
            headers["Authorization"] = f"Bearer {bearer}"
        return self.client.request(method, self.url + path, headers=headers, **options)

    def integrations(self, **query: str) -> list[dict[str, Any]]:
        """The rows of the first page, whatever its shape."""
        answer = self.request("GET", Paths().integrations, params=query)
        assert answer.status_code == 200
        return rows_of(answer.json())

    @property
    def integration_id(self) -> str:
        (row,) = self.integrations(site=self.site_id, platform="wordpress")
        return str(row["id"])

    def push(self, document: Any, **options: Any) -> httpx.Response:
        return self.request("POST", Paths().update_structure(self.integration_id), json=document, **options)

    def read(self) -> dict[str, Any]:
        answer = self.request("GET", Paths().content_types(self.integration_id))
        assert answer.status_code == 200
        result: dict[str, Any] = answer.json()
        return result


def rows_of(listing: Any) -> list[dict[str, Any]]:
    if isinstance(listing, dict) and "data" in listing:
        assert listing.get("success", True) is True
        listing = listing["data"]
    if isinstance(listing, dict):
        listing = listing["results"]
    assert isinstance(listing, list)
    return listing


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        which: tuple[str, ...] = SHAPES
        if metafunc.config.getoption("--backend-url", default=None):
            which = ("foreign",)
        elif metafunc.config.getoption("--hub-database") != "sqlite":
            which = SHAPES[:1]  # they know no database
        metafunc.parametrize("backend", which, indirect=True, scope="session")


@pytest.fixture(scope="session")
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    if request.param == "foreign":
        foreign = foreign_backend(request.config)
        with foreign.client:
            yield foreign
        return
    with ExitStack() as stack:
        options = {"WPSA_HUB_LIST_SHAPE": request.param}
        if request.config.getoption("--hub-database") == "postgresql":
            options["WPSA_HUB_DATABASE_URL"] = stack.enter_context(postgresql.server())
        yield from hub_backend(tmp_path_factory.mktemp("hub") / "state", options)


def foreign_backend(config: pytest.Config) -> Backend:
    key_file, site_id = config.getoption("--backend-api-key-file"), config.getoption("--backend-site-id")
    key = Path(key_file).read_text().strip() if key_file else os.environ.get("WPSA_BACKEND_API_KEY", "")
    if not key or not site_id:
        raise pytest.UsageError("--backend-url needs --backend-site-id and an API key")
    email, password = os.environ.get("WPSA_BACKEND_EMAIL", ""), os.environ.get("WPSA_BACKEND_PASSWORD", "")
    return Backend(config.getoption("--backend-url").rstrip("/"), site_id, key, email, password)


def hub_backend(directory: Path, options: dict[str, str]) -> Iterator[Backend]:
    with served_hub(directory, options=options) as facts:
        backend = Backend(**facts, is_hub=True, shape=options["WPSA_HUB_LIST_SHAPE"])
        with backend.client:
            yield backend
