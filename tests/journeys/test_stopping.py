"""One owner of a state folder at a time, and a stop that is prompt whatever is in hand."""

import os
import socket
from collections.abc import Callable, Iterator

import pytest
from backend import StandIn
from journey import PATIENCE_SECONDS, Wpsa, free_port

PROMPT_SECONDS = 2.0


@pytest.fixture
def hanging_site() -> Iterator[socket.socket]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_SECONDS)
        yield listener


@pytest.fixture
def waiting(new_user: Callable[..., Wpsa], hanging_site: socket.socket) -> Wpsa:
    host, port = hanging_site.getsockname()
    return new_user(SITE_URL=f"http://{host}:{port}", HUB_LISTEN=f"127.0.0.1:{free_port()}")


def test_a_stop_while_a_site_hangs_is_prompt_and_clean(waiting: Wpsa, hanging_site: socket.socket) -> None:
    with waiting.start("run") as daemon:
        connection, _ = hanging_site.accept()
        with connection:
            stopped = daemon.end()

    assert (stopped.code, stopped.seconds < PROMPT_SECONDS) == (0, True)
    assert stopped.said == []
    assert stopped.log[-1]["event"] == "agent.stopped"


def test_a_stop_while_the_backend_hangs_is_prompt_and_loses_nothing(wpsa: Wpsa, backend: StandIn) -> None:
    backend.listing_fault = "hang"

    with wpsa.start("run") as daemon:
        assert backend.listed.wait(PATIENCE_SECONDS)
        stopped = daemon.end()

    assert (stopped.code, stopped.seconds < PROMPT_SECONDS) == (0, True)
    assert wpsa.run("status", "--json").json[0]["pending"] is not None


def test_a_second_agent_on_the_same_state_is_turned_away(waiting: Wpsa, hanging_site: socket.socket) -> None:
    with waiting.start("run") as daemon:
        connection, _ = hanging_site.accept()
        with connection:
            second = waiting.run("run")
            status = waiting.run("status")

    assert second.code == 73
    [line] = second.said
    assert f"process {daemon.process.pid}" in line
    assert "WPSA_STATE_DIR" in line
    assert status.code == 0


@pytest.fixture
def open_umask(waiting: Wpsa) -> Iterator[None]:
    """What is made without a mode of its own is everybody's."""
    waiting.zygote = None  # it has the umask that it was begun with
    before = os.umask(0)
    yield
    os.umask(before)


def test_nobody_else_can_read_what_is_kept_whatever_the_umask(
    waiting: Wpsa, hanging_site: socket.socket, open_umask: None
) -> None:
    """The state, its log and shared memory, and the embedded hub's database and keys (L31)."""
    with waiting.start("run") as daemon:
        connection, _ = hanging_site.accept()
        with connection:
            daemon.wait_for("agent.started")
            kept = list(waiting.state.rglob("*"))
            modes = {path.name: path.stat().st_mode & 0o777 for path in kept}
            folders = {path.name for path in kept if path.is_dir()}
            daemon.end()

    assert modes.keys() > {"state.sqlite3", "state.sqlite3-wal", "state.sqlite3-shm", "lock", "hub.sqlite3", "agent-api-key"}
    assert {name: oct(mode) for name, mode in modes.items() if mode != (0o700 if name in folders else 0o600)} == {}
    assert waiting.state.stat().st_mode & 0o777 == 0o700
