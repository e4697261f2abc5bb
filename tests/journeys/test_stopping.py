"""One owner of a state folder at a time, and a stop that is prompt whatever is in hand."""

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
