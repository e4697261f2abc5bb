"""A day of a large fleet in virtual time, and what the daemon costs while it waits: tables, and the goals.

Started by `bash tests/bench/run --day`. The day is the real planner, fleet, story and SQLite file; only the
clock, the sites and the backend are stand-ins. Idling is the installed command itself.
"""

import argparse
import asyncio
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

sys.path.insert(0, str(Path(__file__).parents[1]))

from builders import answers
from fakes import FakeBackend, VirtualTimeLoop

from agent.bootstrap import Agent
from agent.clock import Clock
from agent.daemon import TICK_SECONDS
from agent.errors import SiteUnreachable
from agent.outcome import Outcome
from agent.redact import Redactor
from agent.rounds import Rounds
from agent.schedule import moment_for
from agent.settings import Settings
from agent.state.ledger import Ledger
from agent.state.records import Result
from agent.state.store import open_store
from agent.structure.model import Answers, Choices, Site
from agent.sync import Ports

BEGIN = datetime(2026, 11, 21, tzinfo=UTC)
DAY_SECONDS = 86_400
HOSTILE_SHARE = 0.07
KINDS = ("hangs", "refuses", "crashes", "is slow")
UTC_ZONE = ZoneInfo("UTC")

CPU_SECONDS, PEAK, LATE_SECONDS, DAY_MB = 60.0, 3.0, 600.0, 150.0
IDLE_MB = {1: 60.0, 10_000: 120.0}
SETTLE_SECONDS = 25.0


@dataclass
class Day:
    """What happened from midnight to midnight, UTC."""

    sites: int
    hostile: dict[str, str]
    delivered: Counter[str] = field(default_factory=Counter)
    runs: Counter[str] = field(default_factory=Counter)
    late_seconds: list[float] = field(default_factory=list)
    """Of healthy sites: from the moment to the end of the run."""
    minutes: Counter[int] = field(default_factory=Counter)
    """Healthy runs that ended in each minute."""
    most_in_hand: int = 0
    real_seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def healthy(self) -> int:
        return self.sites - len(self.hostile)

    @property
    def wrong(self) -> list[str]:
        """Healthy sites that were not delivered exactly once."""
        names = (name_of(number) for number in range(self.sites))
        return [name for name in names if name not in self.hostile and self.delivered[name] != 1]

    @property
    def peak(self) -> float:
        """The busiest minute, as a multiple of the mean."""
        return max(self.minutes.values()) / (self.healthy / (DAY_SECONDS / 60))

    @property
    def p99_late_seconds(self) -> float:
        return statistics.quantiles(self.late_seconds, n=100)[98]


class Reader:
    """A second for an ordinary site, and whatever its kind says for a hostile one."""

    def __init__(self, hostile: dict[str, str], seed: int) -> None:
        self._hostile, self._random = hostile, Random(seed)

    async def read(self, site: Site, **_: Any) -> Answers:
        match self._hostile.get(site.name):
            case "hangs":
                await asyncio.sleep(120)
                raise SiteUnreachable("no whole answer", reason="deadline", hint="h")
            case "refuses":
                raise SiteUnreachable("refused", reason="refused", hint="h")
            case "crashes":
                raise ZeroDivisionError("a bug")
            case "is slow":
                await asyncio.sleep(90)
            case _:
                await asyncio.sleep(0.5 + self._random.random())
        return answers()


def name_of(number: int) -> str:
    return f"site-{number}.example"


def simulate(sites: int, *, seed: int, hostile_share: float = HOSTILE_SHARE) -> Day:
    """A day of so many sites, all of which were delivered the day before."""
    names = [name_of(number) for number in range(sites)]
    chosen = Random(seed).sample(names, round(sites * hostile_share))
    day = Day(sites, {name: KINDS[number % len(KINDS)] for number, name in enumerate(chosen)})
    real, cpu = time.perf_counter(), time.process_time()
    with memory_folder() as folder:
        ledger = Ledger(open_store(folder), Redactor())
        try:
            settle(ledger, names, BEGIN.date())
            with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(0.0)) as runner:
                runner.run(_live_through(day, names, ledger, seed))
        finally:
            ledger.close()
    day.real_seconds, day.cpu_seconds = time.perf_counter() - real, time.process_time() - cpu
    return day


async def _live_through(day: Day, names: Sequence[str], ledger: Ledger, seed: int) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    now = lambda: BEGIN + timedelta(seconds=loop.time() - began)  # noqa: E731
    moments = {name: moment_for(name, at=None, zone=UTC_ZONE) for name in names}

    def told(outcome: Outcome) -> None:
        late = (now() - moments[outcome.site].on(BEGIN.date())).total_seconds()
        if late >= DAY_SECONDS:
            return  # the next day's
        day.runs[outcome.result] += 1
        if outcome.result is Result.DELIVERED:
            day.delivered[outcome.site] += 1
            if outcome.site not in day.hostile:
                day.late_seconds.append(late)
                day.minutes[int((now() - BEGIN).total_seconds() // 60)] += 1

    rounds = Rounds(
        Agent(
            sites=tuple(Site(name, f"https://{name}") for name in names),
            ports=Ports(
                reader=Reader(day.hostile, seed),
                backend=FakeBackend(),
                state=ledger,
                clock=Clock(now, loop.time, asyncio.sleep, Random(seed).random),
                choices_for=lambda _: Choices(),
            ),
            ledger=ledger,
            moments=moments,
            sites_at_once=Settings().reading.sites_at_once,
            state_folder=Path(),
            hub_url=None,
            told=told,
        )
    )
    for _ in range(DAY_SECONDS // TICK_SECONDS + 40):  # what began before midnight ends after it
        rounds.look()
        day.most_in_hand = max(day.most_in_hand, rounds.in_hand)
        await asyncio.sleep(TICK_SECONDS)
    await rounds.end(within_seconds=0)


def settle(ledger: Ledger, names: Sequence[str], today: date) -> None:
    """As if each site had been delivered in the slot that lasts at midnight."""
    yesterday = (today - timedelta(days=1)).isoformat()
    with ledger._store.transaction() as database:  # noqa: SLF001 - a state of the past, made at once
        database.executemany(
            "INSERT INTO slot (site, day, state) VALUES (?, ?, 'closed')", [(name, yesterday) for name in names]
        )


@contextmanager
def memory_folder() -> Iterator[Path]:
    """A folder in memory where there is one: what is measured is the agent, not the disk."""
    shared = Path("/dev/shm")  # noqa: S108 - the system's own name for it
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        yield Path(folder) / "state"


# --- while it waits -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Idle:
    sites: int
    ready_seconds: float
    rss_mb: float
    cpu_seconds_a_minute: float


def idle(sites: int) -> Idle:
    """What `wpsa run` costs with nothing to do, with a backend elsewhere."""
    with memory_folder() as state:
        today = datetime.now(UTC).date() + timedelta(days=2)  # nothing is due for a while
        names = [name_of(number) for number in range(sites)]
        ledger = Ledger(open_store(state), Redactor())
        settle(ledger, names, today)
        ledger.close()
        toml = state.parent / "wpsa.toml"
        blocks = "".join(f'[[sites]]\nurl = "https://{name}"\nsite_id = "1"\n' for name in names)
        toml.write_text(f'[backend]\nurl = "http://127.0.0.1:9"\napi_key = "k"\n[ops]\nlisten = "127.0.0.1:0"\n{blocks}')
        environ = {"PATH": os.environ["PATH"], "HOME": str(state.parent), "WPSA_STATE_DIR": str(state)}
        started = time.perf_counter()
        process = subprocess.Popen(
            [Path(sys.executable).with_name("wpsa"), "--config", toml, "run"], env=environ, stderr=subprocess.PIPE, text=True
        )
        try:
            assert process.stderr
            while "agent.started" not in process.stderr.readline():
                assert process.poll() is None, f"wpsa run ended with {process.poll()}"
            ready = time.perf_counter() - started
            time.sleep(SETTLE_SECONDS)
            before = cpu_seconds(process.pid)
            time.sleep(20)
            return Idle(sites, ready, rss_mb(process.pid), (cpu_seconds(process.pid) - before) * 3)
        finally:
            process.terminate()
            process.wait()


def rss_mb(pid: int) -> float:
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- the tables ---------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(prog="bash tests/bench/run --day", description=__doc__)
    parser.add_argument("--day", action="store_true", help="this benchmark")
    parser.add_argument("--sites", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    day = simulate(chosen.sites, seed=chosen.seed)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows = [
        ("healthy sites delivered exactly once", f"{day.healthy - len(day.wrong):,} of {day.healthy:,}", not day.wrong),
        ("busiest minute / mean", f"{day.peak:.1f}", day.peak <= PEAK),
        ("p99 from due to delivered", f"{day.p99_late_seconds:.1f} s", day.p99_late_seconds <= LATE_SECONDS),
        ("most sites in hand at once", f"{day.most_in_hand}", None),
        ("runs", f"{sum(day.runs.values()):,}", None),
        ("CPU time", f"{day.cpu_seconds:.1f} s", day.cpu_seconds <= CPU_SECONDS),
        ("real time, whatever else the machine does", f"{day.real_seconds:.1f} s", None),
        ("peak memory", f"{peak_mb:.0f} MB", peak_mb <= DAY_MB),
    ]
    print(f"A day of {day.sites:,} sites, {len(day.hostile):,} of them hostile (seed {chosen.seed})")
    print_rows(rows)
    waiting = [idle(sites) for sites in (1, chosen.sites)]
    print("\nwpsa run with nothing to do")
    for one in waiting:
        goal = IDLE_MB.get(one.sites)
        rows_idle = [
            (f"{one.sites:,} sites: memory", f"{one.rss_mb:.0f} MB", None if goal is None else one.rss_mb <= goal),
            (f"{one.sites:,} sites: ready after", f"{one.ready_seconds:.2f} s", None),
            (f"{one.sites:,} sites: CPU a minute", f"{one.cpu_seconds_a_minute:.2f} s", None),
        ]
        print_rows(rows_idle)
        rows += rows_idle
    return 0 if all(met is not False for _, _, met in rows) else 1


def print_rows(rows: Sequence[tuple[str, str, bool | None]]) -> None:
    for what, value, met in rows:
        print(f"  {what:42} {value:>18}  {'' if met is None else 'ok' if met else 'MISSED'}")


if __name__ == "__main__":
    sys.exit(main())
