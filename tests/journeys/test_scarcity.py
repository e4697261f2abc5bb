"""A disk without room, a state that nobody may write, and too few descriptors: said by name, and outlived."""

import json
import os
import resource
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from backend import StandIn
from journey import API_KEY, PATIENCE_SECONDS, Daemon, Wpsa, wait_until

from agent.demo.wordpress import WordPress
from agent.state.store import open_store

MAY_MOUNT = bool(shutil.which("unshare")) and not subprocess.run(
    ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True
).returncode
needs_mounts = pytest.mark.skipif(not MAY_MOUNT, reason="this machine allows no mounts of one's own (root, and unshare)")

MOUNTED = 'mkdir -p "$0"; mount -t tmpfs -o size=2m,mode=700 none "$0"; '
SMALL_DISK = MOUNTED + 'exec "$@"'
FULL_DISK = MOUNTED + '"$1" sync >/dev/null 2>&1 || true; cat /dev/zero >"$0/ballast" 2>/dev/null || true; exec "$@"'
SOMEBODY_ELSE = 65_534
READ_ONLY = 'mount --bind "$0" "$0"; mount -o remount,ro,bind "$0"; exec "$@"'
MOST_ASKED = 200


@pytest.fixture
def dead_site(new_user: Callable[..., Wpsa], backend: StandIn) -> Wpsa:
    return new_user(
        SITE_URL="http://127.0.0.1:9", SITE_NAME="dead", BACKEND_URL=backend.url, BACKEND_API_KEY=API_KEY, BACKEND_SITE_ID="42"
    )


def in_a_world_where(wpsa: Wpsa, script: str) -> None:
    wpsa.within = ["unshare", "--mount", "sh", "-euc", script, str(wpsa.state)]


def ask(daemon: Daemon, token: str) -> int:
    """Sync now; the status of /readyz after it."""
    daemon.ops("/sync", method="POST", token=token)
    return daemon.ops("/readyz")[0]


@needs_mounts
def test_a_disk_that_is_full_is_told_waited_for_and_recovered_from(dead_site: Wpsa) -> None:
    in_a_world_where(dead_site, SMALL_DISK)
    with dead_site.start("run") as daemon:
        daemon.wait_for("site.degraded")
        state = Path(f"/proc/{daemon.process.pid}/root{dead_site.state}")
        token = (state / "ops-token").read_text().strip()
        ballast = state / "ballast"
        fill(ballast)
        until_full = [ask(daemon, token) for _ in range(MOST_ASKED) if not degraded(daemon)]
        alive, ready = daemon.ops("/livez"), daemon.ops("/readyz")
        still_full = [ask(daemon, token) for _ in range(5)]
        ballast.unlink()
        wait_until(lambda: looked_at_once(daemon) == 200, "a state that can be written")
        stopped = daemon.end()

    assert len(until_full) < MOST_ASKED
    assert still_full == [503] * 5
    assert (alive[0], ready[0], json.loads(ready[1])["state"]) == (200, 503, "state_full")
    told = [(line["event"], line.get("reason")) for line in stopped.log if line["event"].startswith("state.")]
    assert told == [("state.degraded", "state_full"), ("state.recovered", None)]
    assert (stopped.code, stopped.said) == (0, [])


def looked_at_once(daemon: Daemon) -> int:
    """A hangup makes it look; the status of /readyz after it."""
    daemon.process.send_signal(signal.SIGHUP)
    return daemon.ops("/readyz")[0]


def fill(ballast: Path) -> None:
    with pytest.raises(OSError, match="No space"), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def degraded(daemon: Daemon) -> bool:
    return any(line["event"] == "state.degraded" for line in daemon.log)


@needs_mounts
def test_a_disk_that_is_full_at_the_start_is_called_full(dead_site: Wpsa) -> None:
    """“disk I/O error”: what SQLite calls it."""
    in_a_world_where(dead_site, FULL_DISK)

    ended = dead_site.run("run")

    assert ended.code == 74
    [line] = ended.said
    assert line.startswith("error: the disk with the state is full — Make room")


@needs_mounts
@pytest.mark.parametrize("verb", ["run", "sync"])
def test_a_state_that_cannot_be_written_is_named_at_the_start(dead_site: Wpsa, verb: str) -> None:
    dead_site.state.mkdir(parents=True, mode=0o700)
    in_a_world_where(dead_site, READ_ONLY)

    ended = dead_site.run(verb)

    assert ended.code == 73
    [line] = ended.said
    assert str(dead_site.state) in line
    assert "WPSA_STATE_DIR" in line


@needs_mounts
@pytest.mark.parametrize("killed", [False, True], ids=["after a stop", "after a kill"])
def test_a_state_that_may_only_be_read_is_shown(dead_site: Wpsa, tmp_path: Path, killed: bool) -> None:
    """A volume that is mounted read-only, or a backup of one."""
    dead_site.run("sync")
    if killed:
        leave_a_log_alone(dead_site.state, tmp_path / "kept")
    before = dead_site.files()
    in_a_world_where(dead_site, READ_ONLY)

    status, history, diff = (dead_site.run(*verb) for verb in (["status", "--json"], ["history", "dead"], ["diff", "dead"]))

    assert (status.code, history.code, diff.code) == (0, 0, 0)
    assert status.json[0]["last_run"]["message"] == ("in the log alone" if killed else "127.0.0.1:9: the connection was refused")
    assert (status.said, history.said, diff.said) == ([], [], [])
    assert dead_site.files() == before


def leave_a_log_alone(state: Path, kept: Path) -> None:
    """As a kill leaves it, and a backup that has left out the shared memory: something is in SQLite's log and nowhere else."""
    kept.mkdir()
    with closing(open_store(state)) as store:
        with store.transaction() as database:
            database.execute("UPDATE run SET message = 'in the log alone'")
        for file in state.glob("state.sqlite3*"):
            if not file.name.endswith("-shm"):
                shutil.copy(file, kept)
    for file in kept.iterdir():
        shutil.copy(file, state)


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can give a file away (and setpriv)")
def test_a_state_of_somebody_else_names_whom_to_run_it_as(dead_site: Wpsa) -> None:
    dead_site.run("sync")
    for kept in (dead_site.state, *dead_site.state.iterdir()):
        os.chown(kept, SOMEBODY_ELSE, SOMEBODY_ELSE)
    dead_site.within = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--"]

    for closed in (True, False):
        dead_site.state.chmod(0o700 if closed else 0o755)
        said = dead_site.run("status")

        assert said.code == 73
        [line] = said.said
        assert f"the state at {dead_site.state / 'state.sqlite3'} cannot be read: Permission denied" in line
        assert "Run it as the user whom the agent runs as" in line


@pytest.fixture
def hanging_sites() -> Iterator[list[str]]:
    """Nine hosts that take connections and never say a word."""
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server((f"127.0.0.{number}", 0))) for number in range(2, 11)]
        yield ["http://{}:{}".format(*listener.getsockname()) for listener in listeners]


def test_with_few_descriptors_fewer_sites_are_in_hand_and_all_have_their_turn(
    new_user: Callable[..., Wpsa], backend: StandIn, wordpress: WordPress, hanging_sites: list[str], tmp_path: Path
) -> None:
    wpsa = new_user(CONFIG=str(tmp_path / "home" / "wpsa.toml"), READING_DEADLINE_SECONDS="3")
    # By their names the one that answers comes last.
    named = {url: f"site-{number}" for number, url in enumerate((*hanging_sites, wordpress.url))}
    blocks = [f'[[sites]]\nurl = "{url}"\nname = "{name}"\nsite_id = "42"\n' for url, name in named.items()]
    (wpsa.home / "wpsa.toml").write_text(f'[backend]\nurl = "{backend.url}"\napi_key = "{API_KEY}"\n' + "".join(blocks))
    wpsa.within = ["sh", "-euc", 'ulimit -n 64; exec "$@"', "sh"]

    with wpsa.start("run") as daemon:
        scarce = daemon.wait_for("descriptors.scarce")
        daemon.wait_for("run.finished", result="delivered")
        open_now = len(list(Path(f"/proc/{daemon.process.pid}/fd").iterdir()))
        with silent_visitors(daemon, 60):
            answers = {daemon.ops(path)[0] for path in ("/livez", "/readyz", "/metrics")}
            open_at_most = len(list(Path(f"/proc/{daemon.process.pid}/fd").iterdir()))
        stopped = daemon.end()

    assert (scarce["reason"], scarce["limit"], scarce["sites_at_once"]) == ("fd_pressure", 64, 8)
    assert open_now < open_at_most < 64
    assert answers == {200}
    assert [line["event"] for line in stopped.log if line["level"] != "info" and line["event"] != "site.degraded"] == [
        "descriptors.scarce"
    ]
    assert (stopped.code, stopped.said, stopped.seconds < PATIENCE_SECONDS) == (0, [], True)


@contextmanager
def silent_visitors(daemon: Daemon, number: int) -> Iterator[None]:
    """They come to the operations endpoint and ask nothing."""
    address = urlsplit(daemon.wait_for("operations.started")["listen"])
    with ExitStack() as stack:
        for _ in range(number):
            stack.enter_context(socket.create_connection((address.hostname, address.port), PATIENCE_SECONDS))
        yield


def test_where_no_descriptor_is_left_the_machine_is_blamed_and_not_the_site(dead_site: Wpsa) -> None:
    """“The connection broke”: what it was called before."""
    with dead_site.start("run") as daemon:
        daemon.wait_for("site.degraded", reason="refused")
        with asking(daemon, (dead_site.state / "ops-token").read_text().strip()) as sync_now:
            soft, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (3, hard))
            scarce = sync_now()
            resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (soft, hard))
            healed = sync_now()
        stopped = daemon.end()

    assert scarce["exit_code"] == 69
    assert (scarce["error"]["reason"], healed["error"]["reason"]) == ("fd_pressure", "refused")
    assert scarce["error"]["message"] == "127.0.0.1:9: this machine may open no more files, so no connection either"
    assert "LimitNOFILE" in scarce["error"]["hint"]
    assert not [line for line in stopped.log if line["event"].startswith("state.") or "exception" in line]
    assert (stopped.code, stopped.said) == (0, [])


@contextmanager
def asking(daemon: Daemon, token: str) -> Iterator[Callable[[], dict[str, Any]]]:
    """Sync now, over a connection that is there already; the outcome of the one site."""
    address = urlsplit(daemon.wait_for("operations.started")["listen"])
    connection = HTTPConnection(address.hostname or "", address.port, timeout=PATIENCE_SECONDS)

    def said(method: str, path: str) -> Any:
        connection.request(method, path, headers={"Authorization": f"Bearer {token}"})
        return json.loads(connection.getresponse().read())

    def sync_now() -> dict[str, Any]:
        [outcome] = said("GET", said("POST", "/sync")["url"] + "?wait=20")["finished"]
        return dict(outcome)

    said("GET", "/livez")
    try:
        yield sync_now
    finally:
        connection.close()
