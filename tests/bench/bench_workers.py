"""What the workers of a fleet cost, and what several of them are worth: a table, and the goals.

    bash tests/bench/workers [planner] [cost] [together] [memory] [--sites 100000]

Real workers as processes, a real PostgreSQL, sites and a backend on loopback in one process beside them.
What is promised of the processor is measured as CPU time, which does not depend on what else this machine does.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(1, str(Path(__file__).parents[1] / "workers"))

import postgresql
from fleets import Machines, World, a_world, until

from agent.clock import SYSTEM
from agent.state.fleet_store import FleetStore
from agent.state.sites import Entry, Sites
from agent.workers.engine import open_engine
from agent.workers.planning import QUEUED_MOST, Planner

PLANNER_SECONDS, ENGINE_MS, TIMES_ONE, WORKER_MB = 2.0, 5.0, 3.0, 120.0
FEW, MANY = 40, 340
"""What one site costs is the difference of two runs: the start of a process is in both."""
LATENCY_SECONDS, PLACES, SITES_A_WORKER = 0.15, 4, 120
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests/bench/workers", description=__doc__)
    parser.add_argument("what", nargs="*", choices=(*MEASURES, []), metavar="WHAT", help=", ".join(MEASURES))
    parser.add_argument("--sites", type=int, default=100_000, metavar="N", help="of a large fleet (100,000)")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))  # what was started ends with the with-blocks
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before\n")
    for name in options.what or MEASURES:
        MEASURES[name](options.sites)
        print(flush=True)
    return 0


# --- a pass of the planner ----------------------------------------------------------------------


def planner(sites: int) -> None:
    """One look over all sites: who is due, and their jobs put into the queue."""
    print(f"{f'the planner over {sites:,} sites':44}{'wall ms':>9}{'CPU ms':>8}{'woken':>7}")
    with postgresql.server() as url, large_fleet(url, sites) as table:
        for name, due_in in (("all of them due", -1), ("none of them due", 1)):
            with table.store.transaction() as database:
                database.execute("UPDATE site SET next_at = ?", (SYSTEM.now() + timedelta(hours=due_in),))
                database.execute("DELETE FROM procrastinate_jobs")
            wall, cpu, woken = min(asyncio.run(look(url, table)) for _ in range(3))
            print(f"{name:44}{wall * 1000:9.0f}{cpu * 1000:8.0f}{woken:7}", goal(wall <= PLANNER_SECONDS, f"≤ {PLANNER_SECONDS:.0f} s"))


class Table(Sites):
    def __init__(self, store: FleetStore) -> None:
        super().__init__(store)
        self.store = store


@contextmanager
def large_fleet(url: str, sites: int, address: Callable[[int], str] = "host-{}.example".format) -> Iterator[Table]:
    store = FleetStore(url)
    store.bring_up_to_date()
    table = Table(store)
    entries = [
        Entry(f"site-{n}", address(n), json.dumps({"url": f"http://{address(n)}", "name": f"site-{n}", "integration_id": str(n)}))
        for n in range(sites)
    ]
    table.put(entries, at=SYSTEM.now())
    try:
        yield table
    finally:
        store.close()


async def look(url: str, table: Table) -> tuple[float, float, int]:
    """(seconds, those of this process's CPU, jobs put into the queue)."""

    async def nothing(*_: object) -> None: ...

    async with open_engine(url, wake=nothing, plan=nothing) as engine:
        eyes = Planner(table, SYSTEM, engine)
        await engine.clear_away()
        with table.store.transaction() as database:
            database.execute("DELETE FROM procrastinate_jobs")
        wall, cpu = time.perf_counter(), time.process_time()
        await eyes.look()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        assert eyes.woken in {0, QUEUED_MOST}
        return wall, cpu, eyes.woken


# --- what the engine costs -----------------------------------------------------------------------


def cost(_: int) -> None:
    """CPU of one site: a pass on SQLite, the same on PostgreSQL, and a worker that an engine wakes."""
    print(f"{f'CPU of one site, from {FEW} and {MANY} of them':44}{'agent ms':>9}{'PostgreSQL ms':>15}")
    measured = {}
    for name, run in (("wpsa sync on SQLite", sync_on_sqlite), ("wpsa sync on PostgreSQL", sync_on_postgresql),
                      ("wpsa fleet worker", woken_by_the_engine)):  # fmt: skip
        (few, few_there), (many, many_there) = run(FEW), run(MANY)
        measured[name] = (many - few) / (MANY - FEW) * 1000
        there = (many_there - few_there) / (MANY - FEW) * 1000
        print(f"{name:44}{measured[name]:9.1f}{there:15.1f}", flush=True)
    sqlite, shared, worker = measured.values()
    print(f"{'the engine adds to PostgreSQL':44}{worker - shared:9.1f}", goal(worker - shared <= ENGINE_MS, f"≤ {ENGINE_MS:.0f} ms"))
    print(f"{'engine and PostgreSQL add to SQLite':44}{worker - sqlite:9.1f}")


def sync_on_sqlite(sites: int) -> tuple[float, float]:
    return passed(sites, shared=False)


def sync_on_postgresql(sites: int) -> tuple[float, float]:
    return passed(sites, shared=True)


def passed(sites: int, *, shared: bool) -> tuple[float, float]:
    """CPU seconds of `wpsa sync`, and of the database."""
    with bench(sites) as (machines, database):
        config = machines.folder / "wpsa.toml"
        config.write_text("".join(
            f'[[sites]]\nurl = "http://{machines.world.address_of(n)}:{machines.world.port}"\nname = "site-{n}"\nintegration_id = "{n}"\n'
            for n in range(sites)
        ))  # fmt: skip
        environ = machines.environ("sync")
        if not shared:
            del environ["WPSA_STATE_URL"]
        there = database()
        command = [str(Path(sys.executable).with_name("wpsa")), "--config", str(config), "sync"]
        with (machines.folder / "said").open("wb") as said:
            pid = os.posix_spawn(command[0], command, environ, file_actions=[(os.POSIX_SPAWN_DUP2, said.fileno(), 1),
                                                                           (os.POSIX_SPAWN_DUP2, said.fileno(), 2)])  # fmt: skip
            _, status, used = os.wait4(pid, 0)
        assert status == 0, (machines.folder / "said").read_text()[-1_000:]
        assert machines.world.told()["sites"] == sites
        return used.ru_utime + used.ru_stime, database() - there


def woken_by_the_engine(sites: int) -> tuple[float, float]:
    """CPU seconds of a worker from its start to its end, and of the database."""
    with bench(sites) as (machines, database):
        machines.wpsa("fleet", "import", "-", "--format", "csv", stdin=machines.world.sites_csv(sites))
        there = database()
        worker = machines.start_worker()
        until(lambda: machines.census().up_to_date == sites, seconds=300, what="the end")
        used = cpu_seconds(worker.pid)
        return used, database() - there


@contextmanager
def bench(sites: int, *, seconds: float = 0.0, **settings: str) -> Iterator[tuple[Machines, Callable[[], float]]]:
    """Machines, and a function: the CPU seconds of their PostgreSQL so far."""
    with (
        tempfile.TemporaryDirectory(prefix="wpsa-bench-") as folder,
        postgresql.server() as url,
        a_world(seconds=seconds) as world,
    ):
        machines = Machines(Path(folder), url, world, settings)
        try:
            yield machines, lambda: cpu_seconds_of_server(url)
        finally:
            machines.stop()


def cpu_seconds(pid: int) -> float:
    """Of a process, and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / CLOCK_TICKS


def cpu_seconds_of_server(url: str) -> float:
    postmaster = postgresql.process_of(url)
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    return sum(cpu_seconds(int(pid)) for pid in (postmaster, *children))


# --- several workers ------------------------------------------------------------------------------


def together(_: int) -> None:
    """Sites a second of one worker and of four, where the sites' distance rules and not this machine's processor."""
    print(f"{f'{PLACES} sites at once each, {LATENCY_SECONDS * 1000:.0f} ms an answer':44}{'sites/s':>9}{'CPU ms/site':>13}")
    one, four = rate(1), rate(4)
    for name, (sites_a_second, cpu) in (("one worker", one), ("four workers on one machine", four)):
        print(f"{name:44}{sites_a_second:9.2f}{cpu * 1000:13.1f}")
    times = four[0] / one[0]
    print(f"{'four against one':44}{times:9.2f}", goal(times >= TIMES_ONE, f"≥ {TIMES_ONE:.0f} ×"))


def rate(workers: int) -> tuple[float, float]:
    """(sites a second between the tenth and the ninetieth of a hundred, CPU seconds a site)."""
    sites = SITES_A_WORKER * workers
    with bench(sites, seconds=LATENCY_SECONDS, WPSA_READING_SITES_AT_ONCE=str(PLACES)) as (machines, _):
        machines.wpsa("fleet", "import", "-", "--format", "csv", stdin=machines.world.sites_csv(sites))
        for _ in range(workers):
            machines.start_worker()
        until(lambda: machines.census().up_to_date == sites, seconds=600, what="the end")
        at = sorted(push["at"] for its in machines.world.told("pushes").values() for push in its[:1])
        used = sum(cpu_seconds(worker.pid) for worker in machines.started)
        first, last = len(at) // 10, len(at) * 9 // 10
        return (last - first) / (at[last] - at[first]), used / sites


# --- memory -------------------------------------------------------------------------------------


def memory(sites: int) -> None:
    """The most that a worker has ever held while it works through a large fleet."""
    print(f"{f'a worker among {sites:,} sites':44}{'peak MB':>9}{'sites done':>12}")
    with bench(0) as (machines, _):
        host: World = machines.world
        with large_fleet(machines.state_url, sites, lambda n: f"{host.address_of(n)}:{host.port}"):
            worker = machines.start_worker()
            until(lambda: host.told()["sites"] >= 1_500, seconds=600, what="1,500 sites")
            done, peak = host.told()["sites"], peak_mb(worker.pid)
    print(f"{'at work':44}{peak:9.0f}{done:12,}", goal(peak <= WORKER_MB, f"≤ {WORKER_MB:.0f} MB"))


def peak_mb(pid: int) -> float:
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def goal(is_met: bool, text: str) -> str:
    return f"  goal {text}: {'met' if is_met else 'NOT MET'}"


MEASURES = {"planner": planner, "cost": cost, "together": together, "memory": memory}

if __name__ == "__main__":
    sys.exit(main())
