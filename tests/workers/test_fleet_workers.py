"""Workers of a fleet as they are run: processes on one PostgreSQL, sites and a backend on real sockets.

What has to hold of each site's day, whatever dies: the backend has had its structure under one Idempotency-Key.
How often that key came is of no consequence, for a repeat changes nothing there.
"""

import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fleets import Machines, NewFleet, World, until

from agent.cli import main
from agent.clock import SYSTEM
from agent.state.sites import Sites

PASSWORDS = ("opens-nothing-at-all", "abcd efgh ijkl mnop", "fleet-key-of-nobody")
DRAIN_SECONDS = 2.0


def keys(machines: Machines) -> dict[str, int]:
    """Under how many keys the backend had each integration's structure."""
    pushes = machines.world.told("pushes")
    return {integration: len({push["key"] for push in its}) for integration, its in pushes.items()}


def once(sites: int) -> dict[str, int]:
    return {str(number): 1 for number in range(sites)}


def settled(machines: Machines, sites: int) -> bool:
    census = machines.census()
    return (census.up_to_date, census.running) == (sites, 0)


def with_passwords(url: str) -> str:
    """The same address, with a password that the server does not ask for."""
    return url.replace("wpsa@", f"wpsa:{PASSWORDS[0]}@")


def test_two_workers_bring_each_site_once_say_so_and_leave_when_asked(new_fleet: NewFleet, tmp_path: Path) -> None:
    machines = new_fleet(30, WPSA_BACKEND_API_KEY=PASSWORDS[2], WPSA_LOG_LEVEL="debug", WPSA_LOG_FORMAT="json")
    machines.state_url = with_passwords(machines.state_url)
    rows = machines.world.sites_csv(30).splitlines()
    with_logins = [f"{row},joe,{PASSWORDS[1]}" for row in rows[1:]]
    text = "\n".join((f"{rows[0]},username,application_password", *with_logins))
    imported = machines.wpsa("fleet", "import", "-", "--format", "csv", "--json", stdin=text)
    assert json.loads(imported.stdout) == {"new": 0, "changed": 30, "as_before": 0, "removed": 0}

    workers = [machines.start_worker(), machines.start_worker()]
    until(lambda: machines.world.told()["pushes"] >= 30, seconds=60, what="a push of each site")
    until(lambda: settled(machines, 30), seconds=20, what="a settled fleet")

    said = machines.status()
    shown = machines.wpsa("fleet", "status")
    assert {name: said[name] for name in ("sites", "due", "late", "stalled", "failing", "never")} == {
        "sites": 30, "due": 0, "late": 0, "stalled": 0, "failing": 0, "never": 0,
    }  # fmt: skip
    assert [worker["alive"] for worker in said["workers"]] == [True, True]
    assert "up to date  30" in shown.stdout and shown.stdout.count("alive") == 2
    asked_at = time.monotonic()
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    assert [worker.wait() for worker in workers] == [0, 0]
    assert time.monotonic() - asked_at < 2 * DRAIN_SECONDS  # both, on a machine that others use
    assert machines.workers() == []
    assert keys(machines) == once(30)
    assert all(len(its) == 1 for its in machines.world.told("pushes").values())
    logs = [machines.log_of(worker) for worker in workers]
    assert sum(log.count('"run.finished"') for log in logs) == 30
    assert not [line for log in logs for line in log.splitlines() if "never retrieved" in line]
    outputs = [*logs, shown.stdout, shown.stderr, imported.stderr, json.dumps(said)]
    for secret in (*PASSWORDS, PASSWORDS[1].replace(" ", "")):
        assert not any(secret in output for output in outputs)


def test_what_somebody_asks_for_goes_before_all_that_is_due(new_fleet: NewFleet) -> None:
    machines = new_fleet(80, seconds=0.02, WPSA_READING_SITES_AT_ONCE="1")
    machines.start_worker()
    until(lambda: machines.world.told()["pushes"] >= 2, seconds=60, what="a begin")
    left = [f"site-{number}" for number in range(80) if str(number) not in machines.world.told("pushes")]
    with machines.state() as store:
        rows = store.rows("SELECT queueing_lock AS site FROM procrastinate_jobs WHERE status = 'doing'")
        taken = {row["site"] for row in rows}
        asked = [name for name in left if name not in taken][-3:]
        assert Sites(store).ask(asked, at=SYSTEM.now()) == 3
    begun = machines.world.told()["pushes"]
    numbers = [name.removeprefix("site-") for name in asked]
    until(lambda: all(number in machines.world.told("pushes") for number in numbers), seconds=60, what="what was asked for")

    pushes = machines.world.told("pushes")
    assert max(pushes[number][0]["number"] for number in numbers) <= begun + len(taken) + 6
    until(lambda: machines.census().asked == 0, seconds=10, what="a note that it was done")


@pytest.mark.parametrize(
    "kill", [signal.SIGKILL, pytest.param(signal.SIGSTOP, marks=pytest.mark.nightly)], ids=["killed", "stopped"]
)
def test_what_a_lost_worker_had_in_hand_is_taken_over_without_a_second_effect(
    new_fleet: NewFleet, kill: signal.Signals
) -> None:
    machines = new_fleet(24, WPSA_READING_SITES_AT_ONCE="4")
    machines.world.told("slow-pushes", 30)  # the backend has it, and has not said so yet
    lost = machines.start_worker()
    until(lambda: machines.world.told()["pushes"] >= 4, seconds=60, what="a push in the middle")
    lost.send_signal(kill)
    machines.world.told("slow-pushes", 0)
    machines.let_lives_run_out()
    assert machines.census().stalled >= 4

    taking_over = machines.start_worker()
    until(lambda: settled(machines, 24), seconds=60, what="a settled fleet")
    if kill is signal.SIGSTOP:
        lost.send_signal(signal.SIGCONT)
        until(lambda: "worker.revived" in machines.log_of(lost), seconds=30, what="a worker that finds itself dead")
        until(lambda: settled(machines, 24), seconds=30, what="a settled fleet")

    assert keys(machines) == once(24)
    assert "worker.died" in machines.log_of(taking_over)


# --- what keeps a worker from beginning ---------------------------------------------------------

NOWHERE = f"postgresql://wpsa:{PASSWORDS[0]}@127.0.0.1:1/hub"

Refused = Callable[..., tuple[int, str]]


@pytest.fixture
def refused(
    own_home: Path, fresh_logging: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Refused:
    """A function: run the command in this process, where the state is nowhere; its code, and what it said on stderr."""

    def run(*arguments: str, **settings: str) -> tuple[int, str]:
        for name, value in (Machines(tmp_path, NOWHERE, World(1)).environ("operator") | settings).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["wpsa", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        assert isinstance(code, int)
        output, errors = capsys.readouterr()
        assert output == ""
        assert not any(password in errors for password in PASSWORDS) and "Traceback" not in errors
        return code, errors

    return run


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"WPSA_STATE_URL": ""}, "WPSA_STATE_URL"),
        ({"WPSA_STATE_URL": NOWHERE.replace("postgresql", "mysql")}, "WPSA_STATE_URL"),
        ({"WPSA_STATE_URL": NOWHERE.replace("127.0.0.1:1", "[::1")}, "WPSA_STATE_URL"),
        ({"WPSA_BACKEND_URL": ""}, "WPSA_BACKEND_URL"),
    ],
    ids=["no address of the state", "of another database", "that is none", "no backend"],
)
def test_a_worker_that_cannot_work_says_why_in_one_line(refused: Refused, settings: dict[str, str], named: str) -> None:
    code, said = refused("fleet", "worker", **settings)

    [line] = said.splitlines()
    assert (code, line.startswith("error: "), named in line) == (78, True, True)


@pytest.mark.parametrize("verb", ["worker", "status"])
def test_a_database_that_is_not_there_is_said_in_one_line(refused: Refused, verb: str) -> None:
    code, said = refused("--log-level", "debug", "fleet", verb)

    assert (code, said.splitlines()[-1].count("cannot be reached")) == (74, 1)
