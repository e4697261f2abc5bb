"""The image: what is in it, what is not, and that the command works there as its own user."""

import json
import os
import re
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
from image_builder import ROOT, Container, Image, until

import agent
from agent.demo.wordpress import WordPress

pytestmark = [pytest.mark.image, pytest.mark.timeout(1800)]

SIZE_BUDGET_BYTES = 260_000_000
STALE_SECONDS = 121


def test_the_image_runs_the_daemon_as_a_user_without_a_name(image: Image) -> None:
    config = image.config

    assert config["Entrypoint"] == ["wpsa"]
    assert config["Cmd"] == ["run"]
    assert config["User"] == "10001:10001"
    assert list(config["Volumes"]) == ["/var/lib/wpsa"]
    assert config["Labels"]["org.opencontainers.image.version"] == agent.__version__
    assert config["Labels"]["org.opencontainers.image.licenses"] == "MIT"
    assert {f"org.opencontainers.image.{name}" for name in ("title", "description", "source", "documentation", "base.name")} <= {
        name for name, value in config["Labels"].items() if value
    }
    assert set(config["ExposedPorts"]) == {"9464/tcp", "8765/tcp"}
    assert image.size_bytes < SIZE_BUDGET_BYTES


def test_the_command_answers_from_within(container: Container) -> None:
    done = container.run("wpsa", "--version")

    assert (done.returncode, done.stdout.strip()) == (0, f"wpsa {agent.__version__}")


def test_nothing_but_the_state_can_be_written_and_nothing_lends_rights(container: Container) -> None:
    writable = container.run("find", "/", "-xdev", "-writable", "-not", "-type", "l")
    lending = container.run("find", "/", "-xdev", "-type", "f", "-perm", "/6000")
    user = container.run("id", "-u")

    places = [line for line in writable.stdout.splitlines() if not line.startswith(("/proc", "/sys", "/dev"))]
    assert [place for place in places if not place.startswith("/var/lib/wpsa")] == []
    assert lending.stdout == ""
    assert user.stdout.strip() == "10001"


def test_tools_that_build_or_fetch_are_not_in_the_image(container: Container) -> None:
    found = container.run("sh", "-c", "command -v pip pip3 gcc cc curl wget git; true")
    pythons = container.run("sh", "-c", "for python in python3 /opt/wpsa/bin/python3; do $python -m pip --version; done")

    assert found.stdout == ""
    assert (pythons.stdout, pythons.stderr.count("No module named pip")) == ("", 2)


def test_local_files_and_secrets_of_the_checkout_stay_outside(container: Container) -> None:
    listed = container.run("sh", "-c", "ls / /opt /opt/wpsa/lib/python3.*/site-packages/agent; ls -d /build \"$HOME/.cache\"")

    assert {"tests", "config", ".git", ".venv"}.isdisjoint(listed.stdout.split())
    assert "cli.py" in listed.stdout
    assert "/build" not in listed.stdout


def test_a_site_is_read_from_within_and_time_zones_are_known(container: Container, site: WordPress) -> None:
    done = container.run("wpsa", "show", site.url, SCHEDULE_TIMEZONE="Pacific/Chatham")

    assert done.returncode == 0, done.stderr
    assert re.search(r"^Posts +post +1 ", done.stdout, re.MULTILINE)


def test_it_works_on_a_root_that_cannot_be_written_and_with_no_right_at_all(container: Container, site: WordPress) -> None:
    """As `docker run --read-only --cap-drop ALL --security-opt no-new-privileges` has it."""
    asked = (
        "import os; status = open('/proc/self/status').read(); "
        "print(os.getuid(), *[line.split()[1] for line in status.splitlines() if line.startswith(('CapEff', 'NoNewPrivs'))])"
    )

    who = container.run_read_only("python3", "-c", asked)
    tried = container.run_read_only("sh", "-c", "touch /anywhere /opt/wpsa/x /tmp/x")
    synced = container.run_read_only("wpsa", "sync", "--json", SITE_URL=site.url, STATE_DIR="/var/lib/wpsa/once")

    assert who.stdout.split() == ["10001", "0000000000000000", "1"]
    assert tried.stderr.count("Read-only file system") == 3
    assert synced.returncode == 0, synced.stderr
    assert [one["result"] for one in json.loads(synced.stdout)["sites"]] == ["delivered"]


def test_the_daemon_syncs_is_healthy_and_stops_at_once(container: Container, site: WordPress) -> None:
    health = health_check()
    assert container.run(*health).returncode != 0  # nothing runs yet

    daemon = container.start("wpsa", "run", SITE_URL=site.url, HUB_LISTEN="127.0.0.1:0", OPS_LISTEN="127.0.0.1:0")
    try:
        said = until(daemon, "structure synced successfully")
        well = container.run(*health).returncode
        operations = (container.state / "ops-address").read_text().strip()
        answers = {path: answer_of(operations + path) for path in ("/livez", "/readyz", "/metrics")}
        started = time.monotonic()
        stop(daemon)
        code, seconds = daemon.wait(10), time.monotonic() - started
    finally:
        daemon.kill()
        daemon.communicate()

    assert '"result": "delivered"' in said
    assert well == 0
    assert b'{"alive":true}' in answers["/livez"]
    assert b'"ready":true' in answers["/readyz"]
    assert b'wpsa_runs_total{result="delivered"} 1.0' in answers["/metrics"]
    assert (code, seconds < 2) == (0, True)
    heartbeat = container.state / "heartbeat"
    os.utime(heartbeat, (time.time() - STALE_SECONDS,) * 2)
    assert container.run(*health).returncode != 0
    assert {path.stat().st_uid for path in container.state.rglob("*")} == {10001}


def answer_of(url: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=5) as answer:
        body: bytes = answer.read()
    return body


def health_check() -> list[str]:
    """The HEALTHCHECK's own command."""
    found = re.search(r"^HEALTHCHECK .*\\\n +CMD (\[.*\])$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert found
    command: list[str] = json.loads(found[1])
    return command


def stop(daemon: subprocess.Popen[str]) -> None:
    """SIGTERM to the command inside: buildah, which an engine would be, does not hand it on."""
    inner = children_called(daemon.pid, "wpsa")
    for pid in inner:
        os.kill(pid, signal.SIGTERM)


def children_called(pid: int, name: str) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = entry.read_text()
        except OSError:
            continue  # it ended meanwhile
        command, rest = text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 2 :].split()
        if int(rest[3]) == os.getsid(pid) and command == name:
            found.append(int(entry.parent.name))
    return found
