"""A fleet for a test: its world, its database, and workers as processes of their own."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from zygote import Child, Zygote

from agent.clock import SYSTEM
from agent.state.fleet_store import FleetStore
from agent.state.sites import Census, Sites, WorkerRow

HERE = Path(__file__).parent
WPSA = Path(sys.executable).with_name("wpsa")
RULES = HERE / "broken_rules_of_fleets.py"
Process = subprocess.Popen[bytes] | Child


@dataclass
class World:
    port: int
    network: int = 127
    """The first part of its sites' addresses: of this machine alone, or of a network of its own."""

    def address_of(self, number: int) -> str:
        return f"{self.network}.{1 + number // 62_500}.{number // 250 % 250}.{1 + number % 250}"

    def told(self, what: str = "counts", body: Any = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/control/{what}", data) as answer:
            return json.load(answer)

    def sites_csv(self, number: int) -> str:
        rows = (f"http://{self.address_of(n)}:{self.port},site-{n},{n}\n" for n in range(number))
        return "url,name,integration_id\n" + "".join(rows)


@contextmanager
def a_world(*, seconds: float = 0.0, network: int = 127) -> Iterator[World]:
    environ = os.environ | {"PYTHONPATH": str(HERE.parent)}
    process = subprocess.Popen(
        [sys.executable, HERE / "fleet_world.py", str(seconds)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield World(int(process.stdout.readline()), network)
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait()


@dataclass
class Machines:
    """Where workers run: each has a home of its own, and all one database and one backend."""

    folder: Path
    state_url: str
    world: World
    settings: dict[str, str] = field(default_factory=dict)
    zygote: Zygote | None = None
    """What forks the command; without one it is the installed file."""
    started: list[Process] = field(default_factory=list)

    def environ(self, name: str) -> dict[str, str]:
        home = self.folder / name
        home.mkdir(exist_ok=True)
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "WPSA_STATE_DIR": str(home / "state"),
            "WPSA_STATE_URL": self.state_url,
            "WPSA_BACKEND_URL": f"http://127.0.0.1:{self.world.port}",
            "WPSA_BACKEND_API_KEY": "fleet-key",
            "WPSA_OPS_LISTEN": "off",
            # No site's next day begins while a test looks on.
            "WPSA_SCHEDULE_AT": (SYSTEM.now() - timedelta(hours=1)).strftime("%H:%M"),
        } | self.settings  # fmt: skip

    def wpsa(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        environ = self.environ("operator")
        if self.zygote is None:
            return subprocess.run([WPSA, *arguments], env=environ, input=stdin, capture_output=True, text=True)
        done = self.zygote.run(*arguments, env=environ, cwd=self.folder, given=stdin.encode())
        return subprocess.CompletedProcess(arguments, done.returncode, done.stdout.decode(), done.stderr.decode())

    def status(self) -> dict[str, Any]:
        done = self.wpsa("fleet", "status", "--json")
        assert done.returncode == 0, done.stderr
        said: dict[str, Any] = json.loads(done.stdout)
        return said

    @contextmanager
    def state(self) -> Iterator[FleetStore]:
        """As an onlooker sees it; a verb would take half a second."""
        store = FleetStore(self.state_url)
        try:
            yield store
        finally:
            store.close()

    def census(self) -> Census:
        with self.state() as store:
            return Sites(store).census(at=SYSTEM.now())

    def let_lives_run_out(self) -> None:
        """As if a minute had passed since the last sign of life of each worker; those that live say so again."""
        with self.state() as store, store.transaction() as database:
            database.execute("UPDATE worker SET alive_until = clock_timestamp() - interval '1 second'")
            database.execute("UPDATE procrastinate_workers SET last_heartbeat = last_heartbeat - interval '1 minute'")

    def workers(self) -> list[WorkerRow]:
        with self.state() as store:
            return Sites(store).workers()

    def start_worker(self, *, prefix: tuple[str, ...] = (), broken: str = "") -> Process:
        """On a machine of its own.

        prefix   a command that runs ours, in a world of its own
        broken   the rule that it breaks (broken_rules_of_fleets.py)
        """
        name, words = f"machine-{len(self.started)}", ("fleet", "worker")
        process: Process
        with (self.folder / f"{name}.log").open("ab") as log:
            if self.zygote is None or prefix:
                assert not broken
                process = subprocess.Popen([*prefix, WPSA, *words], env=self.environ(name), stdout=log, stderr=log)
            else:
                process = self.zygote.start(
                    *words, env=self.environ(name), cwd=self.folder, stdout=log.fileno(), stderr=log.fileno(),
                    broken=(RULES, broken) if broken else None,
                )  # fmt: skip
        self.started.append(process)
        return process

    def log_of(self, process: Process) -> str:
        return (self.folder / f"machine-{self.started.index(process)}.log").read_text()

    def stop(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.started:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


NewFleet = Callable[..., Machines]
"""So many sites that a fleet knows, of a world that answers after so many seconds."""


def until(holds: Callable[[], bool], *, seconds: float, what: str = "it") -> None:
    """Look again and again."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"{what} did not come about within {seconds} s"
        time.sleep(0.1)
