"""What the proofs share: a world of site, backend and agent, and the file of figures."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import mkdtemp

import pytest
from backend import StandIn
from commands import STRACE, Command
from figures import Proof
from promises import NOT
from world import API_KEY, MEMORY, World, growing_site, state_file
from zygote import Zygote


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("proofs").addoption("--proof-file", help="append the figures reached to this file, one JSON a line")
    parser.getgroup("proofs").addoption("--stops", type=int, default=200, help="how often a daemon is stopped, nightly")


@pytest.fixture
def proof(request: pytest.FixtureRequest) -> Iterator[Proof]:
    """Notes what was reached, with the seconds it took; a test that ends without having said so has not held."""
    file = request.config.getoption("--proof-file", default=None)
    started = time.monotonic()
    said: list[str] = []

    def note(goal: str, what: str, size: str, result: str) -> None:
        said.append(goal)
        row = {"goal": goal, "what": what, "size": size, "result": result, "seconds": time.monotonic() - started}
        if file:
            with Path(file).open("a") as figures:
                figures.write(json.dumps(row) + "\n")

    yield note
    if not said:
        note("?", request.node.name, "", NOT)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder whose syncs cost nothing, for proofs of something else than the disk."""
    if not MEMORY.is_dir():
        yield tmp_path
        return
    folder = Path(mkdtemp(dir=MEMORY))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def traceable() -> None:
    """Lets a test run where one process may trace another."""
    if STRACE is None:
        if os.environ.get("WPSA_REQUIRE_WORDPRESS") == "1":
            pytest.fail("strace is missing: config/setup test installs it", pytrace=False)
        pytest.skip("needs strace")
    tried = subprocess.run([STRACE, "-qq", "-e", "trace=none", "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"this machine lets nobody trace a process: {tried.stderr.strip()}")


@pytest.fixture
def world(traceable: None, zygote: Zygote, tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        site = stack.enter_context(growing_site())
        backend = stack.enter_context(StandIn(api_key=API_KEY))
        home = tmp_path / "home"
        home.mkdir()
        environment = {
            "HOME": str(home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8",
            "WPSA_SITE_URL": site.url, "WPSA_SITE_NAME": "shop",
            "WPSA_BACKEND_URL": backend.url, "WPSA_BACKEND_API_KEY": API_KEY, "WPSA_BACKEND_SITE_ID": "42",
            "WPSA_STATE_DIR": str(state_file(home).parent),
        }  # fmt: skip
        yield World(site, backend, Command(zygote, home, environment), tmp_path / "beginning")
