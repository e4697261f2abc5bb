"""Units: verified by systemd, consistent with the settings, and closed."""

import sys
from pathlib import Path

import pytest
from deployments import CONFIG, assert_is_a_command, understood
from judges import of_the_machine, said_by

from agent.cli import cli
from agent.config import load
from agent.naming import chosen_sites, shard_of

FOLDER = CONFIG / "systemd"
UNIT, WORKER, TIMER = FOLDER / "wpsa.service", FOLDER / "wpsa-worker@.service", FOLDER / "wpsa.timer"
BACKEND, DAILY, SHARD = (FOLDER / f"{name}.conf" for name in ("backend", "daily", "shard"))
MOST_EXPOSED = "15"
"""Tenths of systemd's own measure, which ends with 100; it calls everything below 20 "OK", and an ordinary unit has 92."""


def directives(path: Path) -> list[tuple[str, str]]:
    lines = [line for line in path.read_text("utf-8").splitlines() if line and not line.startswith(("#", "["))]
    return [(name, value) for name, _, value in (line.partition("=") for line in lines)]


def environment(*paths: Path) -> dict[str, str]:
    pairs = [value.split("=", 1) for path in paths for name, value in directives(path) if name == "Environment"]
    return {name: value.replace("%i", "1") for name, value in pairs}


@pytest.mark.parametrize(
    ("unit", "drop_ins"),
    [(UNIT, ()), (UNIT, (BACKEND,)), (UNIT, (BACKEND, DAILY)), (UNIT, (DAILY, SHARD)), (WORKER, ())],
    ids=["alone", "with a backend", "once a day", "with a share of the sites", "of a fleet"],
)
def test_systemd_finds_nothing_wrong_and_little_exposed(tmp_path: Path, unit: Path, drop_ins: tuple[Path, ...]) -> None:
    systemd = of_the_machine("systemd-analyze", "systemd")
    named = tmp_path / unit.name.replace("@", "@1")
    folder = tmp_path / f"{unit.name}.d"
    folder.mkdir()
    for path, copied in ((unit, named), (TIMER, tmp_path / TIMER.name), *((path, folder / path.name) for path in drop_ins)):
        # Its own check wants a command that is there.
        copied.write_text(path.read_text().replace("/opt/wpsa/bin/wpsa", sys.executable))
    units = [named, tmp_path / TIMER.name] if unit == UNIT else [named]

    assert said_by(systemd, "verify", "--man=no", *units) == ""
    said_by(systemd, "security", "--offline=true", f"--threshold={MOST_EXPOSED}", named)


@pytest.mark.parametrize("path", sorted([*FOLDER.glob("*.service"), *FOLDER.glob("*.conf")]), ids=lambda path: path.name)
def test_every_group_of_directives_has_its_reason(path: Path) -> None:
    service = path.read_text("utf-8").split("[Service]", 1)[1].split("[Install]")[0]

    for paragraph in service.strip().split("\n\n"):
        assert any(line.startswith("# ") for line in paragraph.splitlines()), paragraph


@pytest.mark.parametrize("path", [UNIT, WORKER], ids=lambda path: path.name)
def test_a_service_is_not_restarted_on_what_only_a_person_can_mend(path: Path) -> None:
    unit = dict(directives(path))

    assert unit["Restart"] == "on-failure"
    assert unit["RestartPreventExitStatus"].split() == ["78", "2"]
    assert int(unit["TimeoutStopSec"]) >= 2


def test_the_service_understands_its_settings(tmp_path: Path) -> None:
    given = environment(UNIT, BACKEND)
    named = {"WPSA_SITE_URL": "https://example.com", "WPSA_BACKEND_URL": "https://b.example", "WPSA_BACKEND_SITE_ID": "4"}

    settings = understood({**given, **named}, tmp_path)

    assert settings.state.dir == f"/var/lib/{dict(directives(UNIT))['StateDirectory']}"
    credential = dict(directives(BACKEND))["LoadCredential"].split(":")[0]
    assert given["WPSA_BACKEND_API_KEY_FILE"] == f"%d/{credential}"
    assert_is_a_command(dict(directives(UNIT))["ExecStart"].split()[1:])


def test_the_unit_of_a_worker_understands_its_settings(tmp_path: Path) -> None:
    unit, environ = dict(directives(WORKER)), environment(WORKER)

    settings = understood({**environ, "WPSA_BACKEND_URL": "https://b.example"}, tmp_path)

    credentials = {value.split(":")[0] for name, value in directives(WORKER) if name == "LoadCredential"}
    assert {value for name, value in environ.items() if name.endswith("_FILE")} == {f"%d/{name}" for name in credentials}
    assert settings.state.dir == f"/var/lib/{unit['StateDirectory'].replace('%i', '1')}"
    assert settings.ops.listen == "127.0.0.1:9471"
    assert_is_a_command(unit["ExecStart"].split()[1:])


def test_a_worker_is_as_closed_as_the_agent() -> None:
    """Whatever bounds wpsa.service bounds its sibling."""
    def bounds(path: Path) -> set[tuple[str, str]]:
        own = ("Environment", "ExecStart", "ExecReload", "LoadCredential", "Description", "StateDirectory")
        return {pair for pair in directives(path) if pair[0] not in own}

    assert bounds(WORKER) == bounds(UNIT)


def test_a_reload_is_the_signal_that_the_agent_knows() -> None:
    assert dict(directives(UNIT))["ExecReload"] == "/bin/kill -HUP $MAINPID"


def test_a_pass_a_day_is_begun_by_its_timer_and_pending_is_no_failure() -> None:
    daily, timer = dict(directives(DAILY)), dict(directives(TIMER))

    assert daily["ExecStart"].endswith("wpsa sync")
    assert (daily["Type"], daily["Restart"], daily["SuccessExitStatus"]) == ("oneshot", "no", "75")
    assert (timer["OnCalendar"], timer["Persistent"]) == ("daily", "yes")


def test_the_shares_of_several_machines_are_all_sites(tmp_path: Path) -> None:
    """Each machine has its own line SHARD=…; systemd puts it into the command."""
    command = dict(directives(SHARD))["ExecStart"].split()
    words = [word.replace("${SHARD}", "{share}") for word in command[1:]]
    toml = tmp_path / "wpsa.toml"
    names = [f"site-{number}" for number in range(40)]
    toml.write_text("".join(f'[[sites]]\nurl = "http://127.0.0.1:9/{name}"\nname = "{name}"\n' for name in names))
    taken = [shared(words, f"{number}/4", toml) for number in range(1, 5)]

    assert sorted(name for share in taken for name in share) == sorted(names)
    assert all(taken)


def shared(words: list[str], share: str, toml: Path) -> list[str]:
    """The names of the sites that the command takes for this share."""
    option = cli.commands["sync"].make_context("sync", [word.format(share=share) for word in words[1:]])
    settings = load({}, config=toml, environ={}).settings
    return [site.called for site in shard_of(chosen_sites(settings, ()), *option.params["shard"])]
