"""The daemon as its operator knows it: asked, reloaded, signalled, and run as the first process of a container."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from backend import StandIn
from journey import API_KEY, PATIENCE_SECONDS, WPSA, Wpsa, places_of, wait_until

from agent.daemon import TICK_SECONDS
from agent.demo.wordpress import WordPress

LOOKS_OFTEN = "import sys, agent.daemon, agent.cli; sys.argv.pop(0); agent.daemon.TICK_SECONDS = 0.1; agent.cli.main()"
MAY_MAKE_NAMESPACES = bool(shutil.which("unshare")) and not subprocess.run(
    ["unshare", "--pid", "--fork", "true"], capture_output=True
).returncode


@pytest.fixture
def hanging_site() -> Iterator[socket.socket]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_SECONDS)
        yield listener


def url_of(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def configured(wpsa: Wpsa, backend: StandIn, *sites: tuple[str, str], more: str = "") -> None:
    """These (name, url) in the file that the command reads."""
    blocks = "".join(f'[[sites]]\nname = "{name}"\nurl = "{url}"\nsite_id = "42"\n' for name, url in sites)
    top = f'[backend]\nurl = "{backend.url}"\napi_key = "{API_KEY}"\n'
    (wpsa.home / "wpsa.toml").write_text(top + more + blocks)


@pytest.fixture
def by_file(new_user: Callable[..., Wpsa], tmp_path: Path) -> Wpsa:
    return new_user(CONFIG=str(tmp_path / "home" / "wpsa.toml"))


# --- watched ------------------------------------------------------------------------------------


def test_probes_and_metrics_tell_how_it_is_while_a_site_is_down(new_user: Callable[..., Wpsa], backend: StandIn) -> None:
    wpsa = new_user(SITE_URL="http://127.0.0.1:9", SITE_NAME="dead", BACKEND_URL=backend.url, BACKEND_API_KEY=API_KEY,
                    BACKEND_SITE_ID="42")  # fmt: skip
    with wpsa.start("run") as daemon:
        daemon.wait_for("site.degraded", site="dead")
        alive, ready = daemon.ops("/livez"), daemon.ops("/readyz")
        metrics = daemon.ops("/metrics")[1]
        stopped = daemon.end()

    assert (alive[0], json.loads(ready[1])) == (200, {"ready": True, "state": "ok", "schedule": "ok"})
    assert 'wpsa_runs_total{result="unreadable"} 1.0' in metrics
    assert 'wpsa_http_requests_total{peer="site",status_class="none"}' in metrics
    assert stopped.code == 0
    assert not (wpsa.state / "ops-address").exists()
    assert places_of(API_KEY, "", metrics, alive[1], ready[1]) == []


# --- asked --------------------------------------------------------------------------------------


def test_a_sync_beside_the_daemon_is_done_by_it_and_reported_as_ones_own(
    wpsa: Wpsa, backend: StandIn, wordpress: WordPress
) -> None:
    with wpsa.start("run") as daemon:
        daemon.wait_for("run.finished", result="delivered")
        people = wpsa.run("sync")
        program = wpsa.run("sync", "shop", "--json")
        backend.fault = "500"
        failing = wpsa.run("sync")
        unknown = wpsa.run("sync", f"{wordpress.url}/elsewhere")
        token = (wpsa.state / "ops-token").read_text().strip()
        stranger = daemon.ops("/sync", method="POST")
        bearer = daemon.ops("/sync", method="POST", token=token)
        stopped = daemon.end()

    assert (people.code, people.said) == (0, [])
    assert people.stdout.startswith("shop: structure synced successfully · integration 8 · 4 post types")
    assert (program.code, program.json["exit_code"]) == (0, 0)
    [outcome] = program.json["sites"]
    assert outcome["structure"]["post_types"]["book"]["count"] == 1203
    assert failing.code == 75
    assert failing.stdout.startswith("shop: delivery pending: ")
    assert unknown.code == 2
    assert "the daemon knows no site" in unknown.said[0]
    assert (stranger[0], bearer[0]) == (401, 202)
    assert len(backend.pushes) == 3
    assert stopped.code == 0
    assert places_of(token, "", stopped.stderr, people.stdout, program.stdout) == []


def test_whoever_is_started_without_any_stream_works_all_the_same(wpsa: Wpsa, backend: StandIn) -> None:
    """As old init scripts start a daemon: “internal error”, and 70."""
    wpsa.within = ["sh", "-euc", 'exec "$@" <&- >&- 2>&-', "sh"]
    with wpsa.start("run") as daemon:
        wait_until(lambda: backend.pushes, "the structure")
        stopped = daemon.end()
    alone = wpsa.run("sync")
    wpsa.within = []

    assert (stopped.code, alone.code) == (0, 0)
    assert len(backend.pushes) == 2
    assert wpsa.run("status", "--json").json[0]["freshness"] == "fresh"


def test_a_daemon_without_an_endpoint_turns_a_sync_away(wpsa: Wpsa) -> None:
    with wpsa.start("run", OPS_LISTEN="off") as daemon:
        daemon.wait_for("run.finished")
        turned_away = wpsa.run("sync")
        daemon.end()

    assert turned_away.code == 73
    [line] = turned_away.said
    assert f"process {daemon.process.pid}" in line


def test_an_endpoints_address_that_is_taken_is_a_wrong_setting(wpsa: Wpsa, hanging_site: socket.socket) -> None:
    taken = url_of(hanging_site).removeprefix("http://")

    done = wpsa.run("run", OPS_LISTEN=taken)

    assert done.code == 78
    assert f"WPSA_OPS_LISTEN: {taken} cannot be listened on" in done.said[0]


def test_of_many_sites_each_share_is_read_by_one(by_file: Wpsa, backend: StandIn) -> None:
    names = [f"site-{number}" for number in range(6)]
    configured(by_file, backend, *((name, f"http://127.0.0.1:{port}") for port, name in enumerate(names, start=20_001)))

    shares = [by_file.run("sync", "--json", "--shard", f"{number}/2") for number in (1, 2)]

    assert sorted(one["site"] for share in shares for one in share.json["sites"]) == names
    assert [share.code for share in shares] == [69, 69]


# --- reloaded -----------------------------------------------------------------------------------


def test_a_hangup_brings_new_sites_at_once_and_refuses_a_wrong_file_whole(
    by_file: Wpsa, backend: StandIn, wordpress: WordPress, hanging_site: socket.socket
) -> None:
    configured(by_file, backend, ("first", url_of(hanging_site)))
    with by_file.start("run") as daemon:
        connection, _ = hanging_site.accept()
        with connection:
            configured(by_file, backend, ("first", url_of(hanging_site)), ("second", wordpress.url))
            daemon.process.send_signal(signal.SIGHUP)
            delivered = daemon.wait_for("run.finished", site="second")
            configured(by_file, backend, ("third", wordpress.url), more='[log]\nlevel = "CANARY"\n')
            daemon.process.send_signal(signal.SIGHUP)
            refused = daemon.wait_for("settings.refused")
            metrics = daemon.ops("/metrics")[1]
            configured(by_file, backend, ("second", wordpress.url), more='[log]\nlevel = "warning"\n')
            daemon.process.send_signal(signal.SIGHUP)
            wait_until(lambda: "\nwpsa_sites 1.0\n" in daemon.ops("/metrics")[1], "the last reload")
            stopped = daemon.end()

    assert delivered["result"] == "delivered"
    assert "WPSA_LOG_LEVEL" in refused["error"]
    assert "CANARY" not in stopped.stderr
    assert "\nwpsa_config_last_reload_successful 0.0\n" in metrics
    assert "\nwpsa_sites 2.0\n" in metrics
    assert (stopped.code, stopped.said) == (0, [])
    assert stopped.log[-1]["event"] != "agent.stopped"  # which is no warning


@pytest.mark.nightly
def test_a_file_that_is_changed_and_then_left_alone_is_read_without_being_asked_to(
    by_file: Wpsa, backend: StandIn, wordpress: WordPress, hanging_site: socket.socket
) -> None:
    """It takes two looks at the file, half a minute, hence nightly."""
    configured(by_file, backend, ("first", url_of(hanging_site)))
    with by_file.start("run") as daemon:
        daemon.wait_for("agent.started")

        def heard(event: str, **fields: object) -> object:
            return next((line for line in daemon.log if line["event"] == event and fields.items() <= line.items()), None)

        configured(by_file, backend, ("third", wordpress.url), more='[log]\nlevel = "CANARY"\n')
        wait_until(lambda: heard("settings.refused"), "the refusal", seconds=3 * TICK_SECONDS)
        refused = daemon.ops("/metrics")[1]
        configured(by_file, backend, ("second", wordpress.url))
        wait_until(lambda: heard("run.finished", site="second"), "the second site", seconds=4 * TICK_SECONDS)
        stopped = daemon.end()

    assert "\nwpsa_config_last_reload_successful 0.0\n" in refused
    assert "\nwpsa_sites 1.0\n" in refused
    assert [line["sites"] for line in stopped.log if line["event"] == "settings.reloaded"] == [1]
    assert not [line for line in stopped.log if line.get("site") == "third"]
    assert (stopped.code, stopped.said) == (0, [])


class Volume:
    """A folder as Kubernetes mounts a ConfigMap or a Secret: links that lead to ..data, which is swapped for another at once."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self._swaps = 0

    def hold(self, **files: str) -> None:
        self._swaps += 1
        new, data = self.folder / f"..2026_{self._swaps}", self.folder / "..data"
        new.mkdir()
        for name, text in files.items():
            (new / name).write_text(text)
            link = self.folder / name
            if not link.is_symlink():
                link.symlink_to(f"..data/{name}")
        old = data.resolve() if data.is_symlink() else None
        (self.folder / "..data_tmp").symlink_to(new.name)
        (self.folder / "..data_tmp").rename(data)
        if old:
            shutil.rmtree(old)


def test_what_kubernetes_swaps_behind_its_links_is_read_without_being_asked_to(
    by_file: Wpsa, backend: StandIn, wordpress: WordPress
) -> None:
    """With looks in quick succession; how far they are apart is the other test's, at night."""
    settings, secrets = Volume(by_file.home / "settings"), Volume(by_file.home / "secrets")
    configured(by_file, backend, ("shop", wordpress.url))
    toml = (by_file.home / "wpsa.toml").read_text().replace(f'api_key = "{API_KEY}"', 'api_key_file = "../secrets/key"')
    settings.hold(toml=toml)
    secrets.hold(key=API_KEY)
    by_file.settings["CONFIG"] = str(settings.folder / "toml")
    by_file.within = [sys.executable, "-c", LOOKS_OFTEN]

    with by_file.start("run") as daemon:
        daemon.wait_for("run.finished", result="delivered")
        backend.api_key = "another-CANARY-key"
        secrets.hold(key=backend.api_key)
        daemon.wait_for("settings.reloaded")
        renewed = by_file.run("sync", "--json")
        settings.hold(toml=toml.replace("site_id", "sight_id"))
        refused = daemon.wait_for("settings.refused")
        daemon.ops("/sync", method="POST", token=(by_file.state / "ops-token").read_text().strip())
        wait_until(lambda: len(backend.pushes) == 3, "a push by the old settings")
        stopped = daemon.end()

    assert renewed.json["sites"][0]["result"] == "delivered"
    assert "sight_id" in refused["error"]
    assert [line["event"] for line in stopped.log if line["event"].startswith("settings.")] == [
        "settings.reloaded", "settings.refused"
    ]  # fmt: skip
    assert "CANARY" not in stopped.stderr
    assert (stopped.code, stopped.said) == (0, [])


# --- signalled ----------------------------------------------------------------------------------


def test_a_second_signal_ends_it_at_once_by_that_signal(by_file: Wpsa, backend: StandIn, hanging_site: socket.socket) -> None:
    configured(by_file, backend, ("hangs", url_of(hanging_site)))
    with by_file.start("run") as daemon:
        connection, _ = hanging_site.accept()
        with connection:
            daemon.process.send_signal(signal.SIGTERM)
            ended = daemon.end(signal.SIGINT)

    # Of two that are sent in one breath either may come second.
    assert ended.code in {-signal.SIGINT, -signal.SIGTERM}
    assert ended.seconds < 2


@pytest.mark.skipif(not MAY_MAKE_NAMESPACES, reason="this machine allows no process namespace (root, and unshare)")
@pytest.mark.parametrize(
    ("verb", "signals", "codes"),
    [
        ("run", [signal.SIGTERM], {0}),
        ("run", [signal.SIGTERM, signal.SIGINT], {128 + signal.SIGTERM, 128 + signal.SIGINT}),
        ("sync", [signal.SIGTERM], {128 + signal.SIGTERM}),
    ],
    ids=["the daemon", "the daemon at once", "a sync"],
)
def test_the_first_process_of_a_container_stops_as_any_other(
    by_file: Wpsa, backend: StandIn, hanging_site: socket.socket, verb: str, signals: list[signal.Signals], codes: set[int]
) -> None:
    configured(by_file, backend, ("hangs", url_of(hanging_site)))
    stderr = by_file.home / "stderr"
    with stderr.open("wb") as sink:
        outside = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--kill-child", str(WPSA), verb],
            env=by_file.environment(), cwd=by_file.home, stdin=subprocess.DEVNULL, stderr=sink,
        )  # fmt: skip
    try:
        connection, _ = hanging_site.accept()
        with connection:
            children = Path(f"/proc/{outside.pid}/task/{outside.pid}/children").read_text().split()
            first = int(children[0])
            started = time.monotonic()
            for number in signals:
                os.kill(first, number)
            ended = outside.wait(PATIENCE_SECONDS)
            took = time.monotonic() - started
    finally:
        outside.kill()
        outside.wait()

    assert ended in codes
    assert took < 2
    assert "Traceback" not in stderr.read_text()
