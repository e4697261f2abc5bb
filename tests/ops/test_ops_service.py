"""How the endpoint is offered, found on this machine, and followed; and who watches over the loop."""

import asyncio
import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import ONE_SITE
from fakes import FakeBackend, FakeReader, Logs, answer, raw_server, then_close

from agent.clock import SYSTEM
from agent.config import Loaded, load
from agent.errors import ConfigError, SiteUnreachable, UsageError
from agent.ops.access import ADDRESS_FILE, TOKEN_FILE, Access, announce, find_access, token_of, withdraw
from agent.ops.following import DaemonLost, follow
from agent.ops.metrics import Metrics
from agent.ops.service import offer_operations
from agent.ops.systemd import tell_systemd
from agent.ops.watchdog import watched
from agent.redact import Redactor
from agent.rounds import Rounds

pytestmark = pytest.mark.anyio


def loaded(folder: Path, **environ: str) -> Loaded:
    named = {f"WPSA_{name}": value for name, value in environ.items()}
    return load({}, environ=ONE_SITE | {"WPSA_STATE_DIR": str(folder)} | named)


def nobody(_: object) -> None: ...


# --- access -------------------------------------------------------------------------------------


def test_a_token_is_made_once_and_is_nobody_elses(state_folder: Path) -> None:
    state_folder.mkdir()
    settings = loaded(state_folder).settings

    first, second = token_of(settings, state_folder), token_of(settings, state_folder)

    assert first == second
    assert len(first) >= 43
    assert (state_folder / TOKEN_FILE).stat().st_mode & 0o777 == 0o600


def test_a_configured_token_is_not_written_down(state_folder: Path) -> None:
    state_folder.mkdir()
    settings = loaded(state_folder, OPS_TOKEN="of-the-operator").settings

    assert token_of(settings, state_folder) == "of-the-operator"
    assert list(state_folder.iterdir()) == []


def test_the_endpoint_is_found_while_it_is_announced(state_folder: Path) -> None:
    state_folder.mkdir()
    settings = loaded(state_folder).settings
    before = find_access(settings, state_folder)
    announce(state_folder, "http://127.0.0.1:9464")
    without_token = find_access(settings, state_folder)
    token = token_of(settings, state_folder)
    during = find_access(settings, state_folder)
    withdraw(state_folder)
    withdraw(state_folder)

    assert (before, without_token, find_access(settings, state_folder)) == (None, None, None)
    assert during == Access("http://127.0.0.1:9464", token)
    assert token not in repr(during)


@pytest.mark.parametrize("name", [f"{TOKEN_FILE}.new", TOKEN_FILE])
def test_a_planted_link_is_not_written_through(state_folder: Path, tmp_path: Path, name: str) -> None:
    state_folder.mkdir()
    target = tmp_path / "elsewhere"
    (state_folder / name).symlink_to(target)
    try:
        token_of(loaded(state_folder).settings, state_folder)
    except Exception as error:  # noqa: BLE001 - refused, or put in the link's place
        assert getattr(error, "exit_code", None) == 73
    assert not target.exists()


# --- offered ------------------------------------------------------------------------------------


async def test_it_is_served_announced_and_withdrawn(
    rounds: Rounds, metrics: Metrics, redactor: Redactor, state_folder: Path, logs: Logs
) -> None:
    given = loaded(state_folder, OPS_LISTEN="127.0.0.1:0")
    async with offer_operations(given, rounds, metrics, redactor=redactor):
        access = find_access(given.settings, state_folder)
        assert access
        outcomes = await follow(access, ["shop"], heard=nobody)
        mode = (state_folder / ADDRESS_FILE).stat().st_mode & 0o777

    assert outcomes
    assert mode == 0o600
    assert redactor.hide(access.token) == "***"
    assert find_access(given.settings, state_folder) is None
    assert logs.lines[0]["event"] == "operations.started"


async def test_off_is_off(rounds: Rounds, metrics: Metrics, redactor: Redactor, state_folder: Path) -> None:
    announce(state_folder, "http://127.0.0.1:1")  # by one that was killed
    async with offer_operations(loaded(state_folder, OPS_LISTEN="off"), rounds, metrics, redactor=redactor):
        assert not (state_folder / ADDRESS_FILE).exists()
        assert not (state_folder / TOKEN_FILE).exists()


@pytest.fixture
def taken() -> Any:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


async def test_an_address_that_somebody_chose_must_be_had(
    rounds: Rounds, metrics: Metrics, redactor: Redactor, state_folder: Path, taken: str
) -> None:
    with pytest.raises(ConfigError, match="WPSA_OPS_LISTEN") as failed:
        async with offer_operations(loaded(state_folder, OPS_LISTEN=taken), rounds, metrics, redactor=redactor):
            pytest.fail("it cannot be served")

    assert failed.value.exit_code == 78


async def test_without_the_default_address_the_work_goes_on(
    rounds: Rounds, metrics: Metrics, redactor: Redactor, state_folder: Path, logs: Logs, taken: str
) -> None:
    given = loaded(state_folder, OPS_LISTEN=taken)
    unchosen = Loaded(given.settings, {}, ())
    async with offer_operations(unchosen, rounds, metrics, redactor=redactor):
        assert find_access(given.settings, state_folder) is None

    [line] = logs.lines
    assert (line["event"], line["level"]) == ("operations.missing", "warning")
    assert taken in line["error"]


# --- followed -----------------------------------------------------------------------------------


@pytest.fixture
async def access(rounds: Rounds, metrics: Metrics, redactor: Redactor, state_folder: Path) -> Any:
    given = loaded(state_folder, OPS_LISTEN="127.0.0.1:0")
    async with offer_operations(given, rounds, metrics, redactor=redactor):
        yield find_access(given.settings, state_folder)


async def test_whoever_follows_hears_of_each_and_has_all_in_his_order(
    access: Access, reader: FakeReader, backend: FakeBackend
) -> None:
    reader.says["shop"] = SiteUnreachable("m", reason="refused", hint="h")
    heard: list[str] = []

    outcomes = await follow(access, ["shop", "example.com/blog"], heard=lambda one: heard.append(one["site"]))

    assert outcomes
    assert [(one["site"], one["exit_code"]) for one in outcomes] == [("shop", 69), ("example.com/blog", 0)]
    assert sorted(heard) == ["example.com/blog", "shop"]
    assert len(backend.asked) == 1


async def test_a_site_that_the_daemon_does_not_know_is_named(access: Access) -> None:
    with pytest.raises(UsageError, match="'nobody'"):
        await follow(access, ["nobody"], heard=nobody)


async def test_a_daemon_that_cannot_be_asked_is_none(access: Access) -> None:
    assert await follow(Access(access.url, "wrong"), ["shop"], heard=nobody) is None
    assert await follow(Access("http://127.0.0.1:9", access.token), ["shop"], heard=nobody) is None


async def test_a_daemon_that_goes_away_is_said_to() -> None:
    accepted = answer(202, {"id": "x", "url": "/sync/x", "sites": 1})
    async with raw_server(accepted, then_close(b"")) as raw:
        with pytest.raises(DaemonLost) as failed:
            await follow(Access(raw.url, "t"), ["shop"], heard=nobody)

    assert failed.value.exit_code == 69


@pytest.mark.parametrize("said", [answer(200, "[]"), answer(500, "{}"), answer(200, "no json"), answer(404, {"message": "m"})])
async def test_an_answer_that_makes_no_sense_is_no_bug(said: bytes) -> None:
    async with raw_server(answer(202, {"id": "x"}), said) as raw:
        with pytest.raises(DaemonLost):
            await follow(Access(raw.url, "t"), ["shop"], heard=nobody)


async def test_a_site_that_left_meanwhile_is_named() -> None:
    gone = json.dumps({"done": True, "gone": 1, "sites": 1, "finished": []})
    async with raw_server(answer(202, {"id": "x"}), answer(200, gone)) as raw:
        with pytest.raises(DaemonLost, match="shop"):
            await follow(Access(raw.url, "t"), ["shop"], heard=nobody)


async def test_a_long_fleet_comes_in_pages(
    access: Access, rounds: Rounds, monkeypatch: pytest.MonkeyPatch, backend: FakeBackend
) -> None:
    monkeypatch.setattr("agent.ops.asks.PAGE_BYTES", 10)

    outcomes = await follow(access, ["shop", "example.com/blog"], heard=nobody)

    assert outcomes
    assert len(outcomes) == 2


# --- watched ------------------------------------------------------------------------------------


async def test_a_loop_that_moves_is_left_alone(logs: Logs) -> None:
    left: list[int] = []
    async with watched(SYSTEM, beat_seconds=0.005, slow_seconds=5.0, leave=left.append):
        await asyncio.sleep(0.03)

    assert (left, logs.lines) == ([], [])


async def test_a_loop_that_is_stuck_is_left(logs: Logs) -> None:
    left: list[int] = []
    async with watched(SYSTEM, beat_seconds=0.005, slow_seconds=0.02, stuck_seconds=0.1, leave=left.append):
        stand_still(lambda: bool(left), seconds=10)

    assert left == [70]
    assert logs.lines[-1]["event"] == "loop.stalled"
    assert "in stand_still" in logs.lines[-1]["stack"]


async def test_a_loop_that_stands_still_is_told_of_once_each_time(logs: Logs) -> None:
    async with watched(SYSTEM, beat_seconds=0.005, slow_seconds=0.02):
        stand_still(lambda: bool(logs.lines), seconds=10)
        stand_still(lambda: len(logs.lines) > 1, seconds=0.1)
        once = len(logs.lines)
        end = time.monotonic() + 10
        while len(logs.lines) == once and time.monotonic() < end:
            await asyncio.sleep(0.02)
            stand_still(lambda: len(logs.lines) > once, seconds=0.1)

    assert once == 1
    assert len(logs.lines) == 2
    assert logs.lines[0]["message"] == "the event loop stands still"


def stand_still(until: Callable[[], bool], *, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not until() and time.monotonic() < end:
        pass


# --- systemd ------------------------------------------------------------------------------------


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told_where_it_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool) -> None:
    path = f"wpsa-test-{tmp_path.name}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{path}" if abstract else path)
        listener.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{path}" if abstract else path)

        tell_systemd("READY=1")

        assert listener.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", [None, "", "relative", "/nowhere/at/all"])
def test_elsewhere_nobody_is_told_and_nothing_fails(monkeypatch: pytest.MonkeyPatch, address: str | None) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    if address is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", address)

    tell_systemd("READY=1")
