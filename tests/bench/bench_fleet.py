"""What a request costs, alone and in a crowd.

The server is a process of its own, so that the CPU measured here is the agent's alone.
"""

import asyncio
import gc
import resource
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from agent import faults
from agent.net.resolver import Resolver
from agent.settings import Settings
from agent.transport import USER_AGENT, Limits, Transport, open_transport

SITES = 1_000
REQUESTS_A_SITE = 12
DELAY_SECONDS = 0.15
REQUESTS_ALONE = 1_000
CONNECTIONS = 4
TARGET = "/wp-json/wp/v2/posts?per_page=1&_fields=id&_ts=1795255200.000"

PLACES = Settings().reading.sites_at_once

CPU_MS_A_REQUEST = 1.0
SITES_A_SECOND = 50.0
PEAK_MB = 100.0

TLS, RESOLVER = ssl.create_default_context(), Resolver()
SERVER = Path(__file__).with_name("fleet_server.py")


@dataclass(frozen=True)
class Way:
    """One way of asking."""

    name: str
    ask: Callable[[str], Awaitable[None]]
    requests: int
    sites: int = 1
    delay_seconds: float = 0.0


def measure_fleet(*, rounds: int) -> None:
    """Print the table and the goals; the first round warms up and does not count."""
    cpu_ms: dict[str, list[float]] = {way.name: [] for way in WAYS}
    seconds: dict[str, list[float]] = {way.name: [] for way in WAYS}
    for number in range(-1, rounds):
        for way in WAYS:
            with _server(way.delay_seconds) as url:
                wall, cpu = asyncio.run(_measured(way, url))
            if number >= 0:
                cpu_ms[way.name].append(cpu / way.requests * 1000)
                seconds[way.name].append(wall)
    print(f"{rounds} rounds after 1; Python {sys.version.split()[0]}\n")
    print(f"{'':52}{'requests/s':>11}{'sites/s':>9}{'CPU ms a request':>18}{'p10':>7}{'p90':>7}")
    for way in WAYS:
        print(_line(way, seconds[way.name], cpu_ms[way.name]))
    cost, pace = statistics.median(cpu_ms[CROWD.name]), SITES / statistics.median(seconds[CROWD.name])
    print()
    print(_goal(f"CPU ≤ {CPU_MS_A_REQUEST:.0f} ms a request", f"{cost:.2f} ms", is_met=cost <= CPU_MS_A_REQUEST))
    print(_goal(f"≥ {SITES_A_SECOND:.0f} sites a second", f"{pace:.0f}", is_met=pace >= SITES_A_SECOND))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(_goal(f"≤ {PEAK_MB:.0f} MB in use", f"{peak:.0f} MB", is_met=peak <= PEAK_MB))


def _line(way: Way, seconds: list[float], cpu_ms: list[float]) -> str:
    wall, cost = statistics.median(seconds), sorted(cpu_ms)
    pace = f"{way.sites / wall:9.0f}" if way.sites > 1 else f"{'–':>9}"
    spread = "".join(f"{cost[round(share * (len(cost) - 1))]:7.2f}" for share in (0.1, 0.9))
    return f"{way.name:52}{way.requests / wall:11.0f}{pace}{statistics.median(cost):18.2f}{spread}"


def _goal(text: str, figure: str, *, is_met: bool) -> str:
    return f"{text:40}{figure:>10}  {'met' if is_met else 'NOT MET'}"


async def _measured(way: Way, url: str) -> tuple[float, float]:
    """(wall, CPU) in seconds."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    await way.ask(url)
    return time.perf_counter() - wall, time.process_time() - cpu


async def _barely(url: str) -> None:
    """The least that asyncio can do: bytes out, bytes in, nothing understood."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    sent = f"GET {TARGET} HTTP/1.1\r\nHost: {address.netloc}\r\nUser-Agent: {USER_AGENT}\r\n\r\n".encode()
    for _ in range(REQUESTS_ALONE):
        writer.write(sent)
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
    writer.close()
    await writer.wait_closed()


async def _one_after_another(url: str) -> None:
    await _asked(url, REQUESTS_ALONE, at_once=1)


async def _four_at_once(url: str) -> None:
    await _asked(url, REQUESTS_ALONE, at_once=CONNECTIONS)


async def _of_many(url: str) -> None:
    places = asyncio.Semaphore(PLACES)

    async def a_site() -> None:
        async with places:
            await _asked(url, REQUESTS_A_SITE, at_once=CONNECTIONS)

    async with asyncio.TaskGroup() as group:
        for _ in range(SITES):
            group.create_task(a_site())


async def _asked(url: str, requests: int, *, at_once: int) -> None:
    """As many requests of one site, over a transport of its own."""
    left = iter(range(requests))

    async def ask(http: Transport) -> None:
        for _ in left:
            await http.fetch("GET", url + TARGET)

    limits = Limits(connections=CONNECTIONS)
    async with open_transport(faults=faults.SITE, ssl_context=TLS, resolver=RESOLVER, limits=limits) as http:
        await asyncio.gather(*(ask(http) for _ in range(at_once)))


CROWD = Way(
    f"{SITES:,} sites × {REQUESTS_A_SITE} requests {DELAY_SECONDS * 1000:.0f} ms away, {PLACES} at once",
    _of_many,
    SITES * REQUESTS_A_SITE,
    sites=SITES,
    delay_seconds=DELAY_SECONDS,
)
WAYS = (
    Way("bare streams, which understand nothing", _barely, REQUESTS_ALONE),
    Way("1 transport, one request after another", _one_after_another, REQUESTS_ALONE),
    Way(f"1 transport, {CONNECTIONS} requests at once", _four_at_once, REQUESTS_ALONE),
    CROWD,
)


@contextmanager
def _server(delay_seconds: float) -> Iterator[str]:
    command = [sys.executable, str(SERVER), str(delay_seconds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdin
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.stdin.close()
