"""A disk without room, a state that nobody may write, and too few descriptors: said by name, and outlived."""

import json
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from backend import StandIn
from journey import API_KEY, PATIENCE_SECONDS, Daemon, Wpsa, wait_until

from agent.demo.wordpress import WordPress

MAY_MOUNT = bool(shutil.which("unshare")) and not subprocess.run(
    ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True
).returncode
needs_mounts = pytest.mark.skipif(not MAY_MOUNT, reason="this machine allows no mounts of one's own (root, and unshare)")

SMALL_DISK = 'mkdir -p "$0"; mount -t tmpfs -o size=2m,mode=700 none "$0"; exec "$@"'
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
        ballast.unlink()
        wait_until(lambda: ask(daemon, token) == 200, "a state that can be written")
        stopped = daemon.end()

    assert len(until_full) < MOST_ASKED
    assert (alive[0], ready[0], json.loads(ready[1])["state"]) == (200, 503, "state_full")
    degradations = [line for line in stopped.log if line["event"] == "state.degraded"]
    assert [line["reason"] for line in degradations] == ["state_full"]
    assert "state.recovered" in [line["event"] for line in stopped.log]
    assert (stopped.code, stopped.said) == (0, [])


def fill(ballast: Path) -> None:
    with pytest.raises(OSError, match="No space"), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def degraded(daemon: Daemon) -> bool:
    return any(line["event"] == "state.degraded" for line in daemon.log)


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
        ready = daemon.ops("/readyz")
        stopped = daemon.end()

    assert (scarce["reason"], scarce["limit"], scarce["sites_at_once"]) == ("fd_pressure", 64, 8)
    assert open_now < 64
    assert ready[0] == 200
    assert not any("Too many open files" in str(line) for line in stopped.log)
    assert (stopped.code, stopped.said, stopped.seconds < PATIENCE_SECONDS) == (0, [], True)
