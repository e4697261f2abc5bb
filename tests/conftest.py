"""What every test gets: no network beyond this machine, and for the fast folders a clean world that stays clean.

The fast folders (unit, properties) use the fixture `sheltered`: a home of their own, no WPSA_* from
outside, retries that do not wait, and nothing left behind afterwards: no task, thread or descriptor.
"""

import asyncio
import gc
import ipaddress
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import wraps
from inspect import iscoroutinefunction
from io import StringIO
from pathlib import Path
from typing import Any

import hypothesis
import mocked_peer  # noqa: F401 - respx answers where our connections would
import pytest
import stamina
import structlog
from fakes import Logs, ManualClock
from zygote import Zygote, a_zygote

from agent.redact import Redactor
from agent.state.ledger import Ledger
from agent.state.store import open_store
from agent.telemetry.lines import LineHandler
from agent.telemetry.logs import configure

pytest_plugins = ["hostility"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("hub").addoption("--hub-database", choices=("sqlite", "postgresql"), default="sqlite")


def pytest_configure(config: pytest.Config) -> None:
    """The same examples at every run, so that a red run is the change's doing; nightly ones look for new ones."""
    hypothesis.settings.register_profile("steady", derandomize=True, deadline=None)
    if "nightly" not in str(config.option.markexpr):
        hypothesis.settings.load_profile("steady")


_LONGEST = {"test_matrix", "test_hub_on_postgresql", "test_hostile_answers"}
_LONG = {"browser", "journeys", "offers", "proofs", "secrets", "wordpress", "workers"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes minutes, or fetches a base image, runs when its marker or its own name asks for it."""
    # A file that takes long, begun last, would leave the other cores without work.
    items.sort(key=lambda item: (item.path.stem not in _LONGEST, item.path.parent.name not in _LONG))
    if any("::" in argument for argument in config.args):
        return
    asked = str(config.option.markexpr)
    unasked = [marker for marker in ("nightly", "image") if marker not in asked]
    left_out = [item for item in items if any(item.get_closest_marker(marker) for marker in unasked)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


# --- the network guard --------------------------------------------------------------------------

_ASKED_OUTSIDE = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
_guard: list[list[str]] = []
"""Where a test that is being watched notes what it asked for; empty when nobody watches."""


class OffLoopback(OSError):
    """A test wanted to leave this machine."""


def _is_local(address: object) -> bool:
    host = address[0] if isinstance(address, tuple) else address
    if host is None:
        return True
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    try:
        return ipaddress.ip_address(text.split("%")[0]).is_loopback
    except ValueError:
        return text in ("", "localhost") or text.startswith(("/", "\0"))


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if not _guard or event not in _ASKED_OUTSIDE:
        return
    address = arguments[0] if event in ("socket.getaddrinfo", "socket.gethostbyname") else arguments[1]
    if not _is_local(address):
        _guard[-1].append(f"{event} {address!r}")
        raise OffLoopback(f"off loopback: {event} {address!r}")


sys.addaudithook(_watch)  # asyncio, httpx and urllib all come by here; subprocesses do not


@pytest.fixture(autouse=True)
def off_loopback(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Whatever asks for another machine fails the test, even when the code under test swallows the error.

    A foreign backend that is named is meant.
    """
    if request.config.getoption("--backend-url", default=None):
        yield []
        return
    asked: list[str] = []
    _guard.append(asked)
    yield asked
    _guard.pop()
    assert not asked, f"the test asked for another machine: {asked}"


# --- a clean world ------------------------------------------------------------------------------


@pytest.fixture
def sheltered(nothing_left: None, own_home: Path, fresh_logging: None) -> None:
    """All of it at once."""


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without settings; neither the caller's options nor proxies decide how a test ends."""
    for name in os.environ:
        if name.startswith(("WPSA_", "XDG_")) or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture
def fresh_logging() -> Iterator[None]:
    """Logging and retries as the process starts with them, except that no retry waits."""
    root = logging.getLogger()
    handlers, level, raising = root.handlers[:], root.level, logging.raiseExceptions
    stamina.set_testing(True, attempts=1_000, cap=True)
    yield
    stamina.set_testing(False)
    stamina.instrumentation.set_on_retry_hooks(None)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    for handler in root.handlers:
        if isinstance(handler, LineHandler):
            handler.close()
    root.handlers[:], root.level, logging.raiseExceptions = handlers, level, raising


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Threads and descriptors are as before; tasks are looked at by `pytest_pyfunc_call`."""
    threads, descriptors = set(threading.enumerate()), _descriptors()
    yield
    for thread in set(threading.enumerate()) - threads:
        thread.join(timeout=0.5)
        assert not thread.is_alive(), f"left running: {thread}"
    if _descriptors().keys() - descriptors.keys():
        gc.collect()  # a closed connection may wait for the collector; what is left then is a leak
    left = {number: what for number, what in _descriptors().items() if number not in descriptors}
    assert not left, f"left open: {left}"


def _descriptors() -> dict[int, str]:
    found: dict[int, str] = {}
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the one that listed the folder
            found[int(link.name)] = str(link.readlink())
    return found


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """A sheltered coroutine ends with the tasks that it began with."""
    test = pyfuncitem.obj
    if not iscoroutinefunction(test) or "sheltered" not in pyfuncitem.fixturenames:
        return

    @wraps(test)
    async def watched(**arguments: Any) -> None:
        before = asyncio.all_tasks()
        await test(**arguments)
        for _ in range(5):  # a closing connection needs a few turns of the loop
            await asyncio.sleep(0)
        left = asyncio.all_tasks() - before
        assert not left, f"left running: {left}"

    pyfuncitem.obj = watched


# --- what tests ask for by name -----------------------------------------------------------------


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    """What forks `wpsa` for every test of this process."""
    with a_zygote() as opened:
        yield opened


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def redactor() -> Redactor:
    return Redactor()


@pytest.fixture
def state_folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def ledger(state_folder: Path, redactor: Redactor) -> Iterator[Ledger]:
    """The state of an agent, in a real file."""
    opened = Ledger(open_store(state_folder), redactor)
    yield opened
    opened.close()


@pytest.fixture
def logs(redactor: Redactor, fresh_logging: None) -> Logs:
    """The log as a machine reads it, at debug."""
    stream = StringIO()
    configure(level="debug", format="json", redactor=redactor, stream=stream)
    return Logs(stream)
