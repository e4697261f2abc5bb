"""How long a reading takes and what it costs, beside what else could be done: a table, and the goals.

Started by `bash tests/bench/run`. All readers take turns in every round, in a new order each time, so that
whatever else the machine does meets all of them alike. CPU is this process's own (user and system).
"""

import argparse
import asyncio
import cProfile
import gc
import os
import pstats
import random
import signal
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench_fleet import measure_fleet
from bench_floor import as_early_as_can_be, record
from bench_readers import (
    Found,
    Reader,
    careful_script,
    differences,
    floor,
    found_in_truth,
    inside,
    plain_script,
    this_reader,
)
from bench_stack import Stack, served

from agent.settings import Settings
from agent.structure.model import Site

ROOT = Path(__file__).parents[2]
POSTS = 3_000
ROUNDS = 15
WARM_UP_ROUNDS = 3
PROFILE_ROWS = 15
QUIET_SHARE = 0.15
QUIET_TIMEOUT_SECONDS = 20.0

OURS = "this reader"
SCRIPT = "a sequential script"
CAREFUL = "the same, by an expert"
FLOOR = "the floor"
SAME_ORDER = "the floor in our order"
INSIDE = "inside WordPress"

NOTES = f"""\
{SCRIPT}: types, taxonomies, then ?per_page=1 for each entry in them, those that refuse it
included; it asks for no index, sitemap or version, and proves nothing.
{CAREFUL}: without wp_* and nav_menu*, and with &_fields=id.
{FLOOR}: our requests by a bare asyncio client, each as soon as what it needs is known;
{SAME_ORDER}: when the reader makes them. Neither looks into the answers."""

WALL_OF_SCRIPT = 0.5
WALL_OF_FLOOR = 1.10
CPU_MS = 40.0


@dataclass
class Measured:
    """What one reader took, round by round."""

    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    requests: int = 0
    wrong: str | None = None
    """None where the reader says nothing that could be wrong."""
    remark: str = ""

    @property
    def wall(self) -> float:
        return statistics.median(self.wall_ms)

    @property
    def cpu(self) -> float:
        return statistics.median(self.cpu_ms)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tests/bench/run", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help=f"how often each reads ({ROUNDS})")
    parser.add_argument("--profile", action="store_true", help="where the reader's CPU goes, function by function")
    parser.add_argument("--fleet", action="store_true", help="what a request costs with many sites; needs no WordPress")
    options = parser.parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))  # the servers end with the with-block
    if options.fleet:
        measure_fleet(rounds=options.rounds)
        return 0
    print("Installing WordPress on nginx, PHP-FPM and MariaDB …", file=sys.stderr)
    with served(posts=POSTS) as stack:
        asyncio.run(_compare(stack, rounds=options.rounds, with_profile=options.profile))
    return 0


async def _compare(stack: Stack, *, rounds: int, with_profile: bool) -> None:
    truth = found_in_truth(stack.truth)
    load_before = os.getloadavg()[0]
    measured = await measure(await readers(stack.url), truth, rounds=rounds)
    print(f"{stack.versions}; WordPress {stack.truth['wordpress_version']}; Python {sys.version.split()[0]}")
    print(f"{_content(truth)}; {rounds} rounds after {WARM_UP_ROUNDS}, {os.cpu_count()} cores, "
          f"load {load_before:.1f} before and {os.getloadavg()[0]:.1f} after\n")  # fmt: skip
    print(f"{table(measured)}\n\n{NOTES}\n")
    print(goals(measured))
    if with_profile:
        print()
        await _profile(this_reader(stack.url))


async def readers(url: str) -> dict[str, Reader]:
    """Everyone who is compared, by name."""
    connections = Settings().reading.connections
    requests = await record(Site("bench", url), connections=connections)
    return {
        OURS: this_reader(url),
        SCRIPT: plain_script(url),
        CAREFUL: careful_script(url),
        FLOOR: floor(as_early_as_can_be(requests), url, connections=connections),
        SAME_ORDER: floor(requests, url, connections=connections),
        INSIDE: inside(url),
    }


async def measure(readers: dict[str, Reader], truth: Found, *, rounds: int) -> dict[str, Measured]:
    """Let all of them read in turns; the first few rounds warm everything up and do not count."""
    measured, busy = {name: Measured() for name in readers}, 0
    for number in range(-WARM_UP_ROUNDS, rounds):
        for name in random.sample(list(readers), len(readers)):
            gc.collect()  # nobody pays for what another left behind
            busy += not is_quiet()
            cpu, wall = time.process_time(), time.perf_counter()
            reading = await readers[name]()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            one = measured[name]
            if number >= 0:
                one.wall_ms.append(wall * 1000)
                one.cpu_ms.append(cpu * 1000)
            one.requests, one.remark = reading.requests, reading.remark
            if reading.found is not None:
                one.wrong = one.wrong or differences(reading.found, truth)
    if busy:
        print(f"{busy} of {(rounds + WARM_UP_ROUNDS) * len(readers)} readings began on a busy machine", file=sys.stderr)
    return measured


def is_quiet() -> bool:
    """Wait for a moment in which nobody else works on this machine; False when there was none."""
    deadline = time.monotonic() + QUIET_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        worked, passed = _processor_ticks()
        time.sleep(0.1)
        still_worked, now_passed = _processor_ticks()
        if still_worked - worked <= (now_passed - passed) * QUIET_SHARE:
            return True
    return False


def _processor_ticks() -> tuple[int, int]:
    """Of all cores since the start of the machine: at work, and altogether."""
    user, nice, system, idle, waiting, *others = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:])
    worked = user + nice + system + sum(others[:3])
    return worked, worked + idle + waiting


def table(measured: dict[str, Measured]) -> str:
    lines = [f"{'':24}{'wall ms':>8}{'p10':>6}{'p90':>6}{'requests':>10}{'CPU ms':>8}{'p10':>6}{'p90':>6}  correct"]
    for name, one in measured.items():
        walls = f"{one.wall:8.0f}{_share(one.wall_ms, 10):6.0f}{_share(one.wall_ms, 90):6.0f}"
        cpus = f"{one.cpu:8.1f}{_share(one.cpu_ms, 10):6.0f}{_share(one.cpu_ms, 90):6.0f}"
        lines.append(f"{name:24}{walls}{one.requests:10}{cpus}  {_correct(one)}")
    return "\n".join(lines)


def _correct(one: Measured) -> str:
    said = "–" if one.wrong is None else f"no: {one.wrong}" if one.wrong else "yes"
    return f"{said} ({one.remark})" if one.remark else said


def goals(measured: dict[str, Measured]) -> str:
    """Each promise with its figure. Walls are compared round by round, in which the machine is the same."""
    ours = measured[OURS]
    lines = [_goal("right in every round", "yes" if ours.wrong == "" else "no", is_met=ours.wrong == "")]
    for name, most in ((SCRIPT, WALL_OF_SCRIPT), (FLOOR, WALL_OF_FLOOR)):
        ratios = [a / b for a, b in zip(ours.wall_ms, measured[name].wall_ms, strict=True)]
        ratio = statistics.median(ratios)
        lines.append(_goal(f"wall ≤ {most:.2f} × {name}", f"{ratio:.2f}", is_met=ratio <= most))
    lines.append(_goal(f"own CPU ≤ {CPU_MS:.0f} ms", f"{ours.cpu:.1f} ms", is_met=ours.cpu <= CPU_MS))
    return "\n".join(lines)


def _goal(text: str, figure: str, *, is_met: bool) -> str:
    return f"{text:40}{figure:>10}  {'met' if is_met else 'NOT MET'}"


def _share(values: Sequence[float], percent: int) -> float:
    """The value below which that share of the rounds lies."""
    return sorted(values)[min(len(values) - 1, round(percent / 100 * (len(values) - 1)))]


def _content(truth: Found) -> str:
    types, taxonomies = truth.values()
    items = sum(count or 0 for _, count in types.values())
    return f"{len(types)} public post types with {items:,} items, {len(taxonomies)} public taxonomies"


async def _profile(read: Reader, *, readings: int = 10) -> None:
    """The most expensive functions of warm readings, by the time spent in themselves, per reading."""
    profile = cProfile.Profile(time.process_time)  # not what others had of the processor in between
    profile.enable()
    for _ in range(readings):
        await read()
    profile.disable()
    rows = [
        Spent(_package(file), name, calls / readings, seconds / readings * 1000)
        for (file, _, name), (_, calls, seconds, *_) in pstats.Stats(profile).stats.items()  # type: ignore[attr-defined]
    ]
    rows.sort(key=lambda row: row.own_ms, reverse=True)
    total = sum(row.own_ms for row in rows)
    print(f"CPU of a warm reading: {total:.0f} ms; the profiler multiplies it, most of all in small functions")
    print(_profile_table("function", [(f"{row.module}: {row.function}", row) for row in rows[:PROFILE_ROWS]]))
    print(_profile_table("package", [(row.module, row) for row in _by_package(rows)[:PROFILE_ROWS]]))


@dataclass(frozen=True)
class Spent:
    """What went into one function, or into all functions of one package."""

    module: str
    function: str
    calls: float
    own_ms: float


def _by_package(rows: Sequence[Spent]) -> list[Spent]:
    packages = {row.module.split("/")[0] for row in rows}
    sums = [
        Spent(package, "", sum(row.calls for row in its), sum(row.own_ms for row in its))
        for package in packages
        if (its := [row for row in rows if row.module.split("/")[0] == package])
    ]
    return sorted(sums, key=lambda row: row.own_ms, reverse=True)


def _profile_table(title: str, rows: Sequence[tuple[str, Spent]]) -> str:
    lines = [f"\n{title:72}{'calls':>8}{'own ms':>8}"]
    lines += [f"{name[:70]:72}{row.calls:8.0f}{row.own_ms:8.2f}" for name, row in rows]
    return "\n".join(lines)


def _package(file: str) -> str:
    """`httpcore/_async/http11.py`, `asyncio/events.py`, `agent/transport.py`."""
    if file == "~":
        return "(in C)"
    parts = Path(file).parts
    for mark in ("site-packages", ROOT.name, f"python{sys.version_info[0]}.{sys.version_info[1]}"):
        if mark in parts:
            return "/".join(parts[len(parts) - parts[::-1].index(mark) :])
    return parts[-1]


if __name__ == "__main__":
    sys.exit(main())
