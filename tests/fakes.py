"""Stand-ins written by hand: a clock, a reader, a backend, a server of raw bytes and an event loop without waiting."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from functools import partial
from io import StringIO
from pathlib import Path
from selectors import EVENT_WRITE
from ssl import SSLContext
from typing import Any, ClassVar, TypeVar
from zoneinfo import ZoneInfo

from builders import a_receipt, a_site

from agent.bootstrap import Agent
from agent.clock import Clock
from agent.schedule import DailyMoment
from agent.state.ledger import Ledger
from agent.state.records import Delivery, Receipt
from agent.structure.model import Answers, Choices, Site
from agent.sync import Ports, State


class ManualClock:
    """Time that moves only when a test says so; chance that is always the same."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
        self.seconds = 0.0
        self.slept: list[float] = []
        self.chance = 0.5
        self.clock = Clock(lambda: self.at, lambda: self.seconds, self._sleep, lambda: self.chance)

    def advance(self, **duration: float) -> datetime:
        step = timedelta(**duration)
        self.at += step
        self.seconds += max(0.0, step.total_seconds())
        return self.at

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds=seconds)


class FakeReader:
    """Says of each site what it was told to, or raises it."""

    def __init__(self, says: Mapping[str, Answers | Exception]) -> None:
        self.says = dict(says)
        self.reading = 0
        self.most_at_once = 0

    async def read(self, site: Site, **_: Any) -> Answers:
        self.reading += 1
        self.most_at_once = max(self.most_at_once, self.reading)
        try:
            await asyncio.sleep(0)
            said = self.says[site.name]
            if isinstance(said, Exception):
                raise said
            return said
        finally:
            self.reading -= 1


class FakeBackend:
    """Takes what it is given and remembers it; the next answers may be failures."""

    over_the_wire: ClassVar[Callable[[Delivery], Awaitable[None]] | None] = None
    """Sends what is taken to a backend on a wire as well; of `hostility`."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.asked: list[Delivery] = []
        self.holds: dict[str, dict[str, Any]] = {}

    async def push(self, delivery: Delivery) -> Receipt:
        self.asked.append(delivery)
        if self.failures:
            raise self.failures.pop(0)
        if self.over_the_wire:
            await self.over_the_wire(delivery)
        self.holds[delivery.site] = json.loads(delivery.body)
        return a_receipt()

    async def still_shows(self, delivery: Delivery) -> bool:
        return self.holds.get(delivery.site) == json.loads(delivery.body)


def ports(reader: FakeReader, backend: FakeBackend, state: State, clock: ManualClock) -> Ports:
    return Ports(reader, backend, state, clock.clock, choices_for=lambda _: Choices())


NINE = DailyMoment(time(9), ZoneInfo("UTC"))
"""An hour before `ManualClock` begins."""


def an_agent(ledger: Ledger, clock: ManualClock, reader: FakeReader, backend: FakeBackend, folder: Path) -> Agent:
    sites = tuple(a_site(name) for name in reader.says)
    return Agent(
        sites=sites,
        ports=ports(reader, backend, ledger, clock),
        ledger=ledger,
        moments={site.name: NINE for site in sites},
        sites_at_once=4,
        state_folder=folder,
        hub_url=None,
    )


@dataclass(frozen=True)
class Logs:
    """What was logged, line by line."""

    stream: StringIO

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


# --- the wire -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Writing = Callable[[asyncio.StreamWriter], Awaitable[None]]
Said = bytes | Writing
"""What a raw server answers: bytes, or a coroutine that writes them in its own time."""


@dataclass
class RawServer:
    """A server on loopback that sends exactly what its script says; the last line repeats."""

    script: list[Said]
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                self.asked.append(await _request(reader))
                said = self.say(self.asked[-1])
                if isinstance(said, bytes):
                    writer.write(said)
                else:
                    await said(writer)
                await writer.drain()
        writer.close()

    def say(self, asked: Asked) -> Said:
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


Raw = TypeVar("Raw", bound=RawServer)


async def _request(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *rest = head.strip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {key.lower(): value for key, value in (line.split(": ", 1) for line in rest)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Asked(method, target, headers, body)


@asynccontextmanager
async def raw_server(*script: Said) -> AsyncIterator[RawServer]:
    """Serve this script within the block."""
    async with served(RawServer(list(script))) as raw:
        yield raw


@asynccontextmanager
async def served(
    raw: Raw, *, host: str = "127.0.0.1", port: int = 0, tls: SSLContext | None = None
) -> AsyncIterator[Raw]:
    """Let a raw server listen within the block."""
    serving = set[asyncio.Task[Any]]()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        serving.add(task)
        try:
            await raw.serve(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            serving.discard(task)

    server = await asyncio.start_server(connected, host, port, ssl=tls)
    named = f"[{host}]" if ":" in host else host
    raw.url = f"{'https' if tls else 'http'}://{named}:{server.sockets[0].getsockname()[1]}"
    try:
        yield raw
    finally:
        server.close()
        for task in tuple(serving):
            task.cancel()
        if serving:
            await asyncio.wait(serving)


def answer(status: int = 200, body: bytes | str | object = b"", **headers: str) -> bytes:
    """An answer with its length; a value that is no text becomes JSON."""
    if not isinstance(body, bytes):
        body = (body if isinstance(body, str) else json.dumps(body)).encode()
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}"]
    lines += [f"{key.replace('_', '-')}: {value}" for key, value in headers.items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def then_close(said: bytes) -> Writing:
    """Send this, and hang up."""

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await writer.drain()
        writer.close()

    return write


def dripping(said: bytes, *, seconds: float) -> Writing:
    """One byte at a time."""

    async def write(writer: asyncio.StreamWriter) -> None:
        for byte in said:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(seconds)

    return write


async def silence(writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.Event().wait()


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop that jumps to its next timer instead of waiting for it: a minute takes a millisecond.

    patience_seconds   how long it waits for bytes that are on their way; 0 where none can be
    """

    def __init__(self, patience_seconds: float = 0.002) -> None:
        super().__init__()
        self.leapt_seconds = 0.0
        selector = self._selector
        wait = selector.select

        def select(timeout: float | None = None) -> Any:
            # Bytes on loopback that are on their way come first; only then nothing but time is waited for.
            ready = wait(timeout if timeout is None else min(timeout, patience_seconds))
            if not ready and timeout and patience_seconds and self._connects():
                ready = wait(min(timeout, 0.25))  # a busy machine takes longer over that than over bytes
            if not ready and timeout:
                self.leapt_seconds += timeout
            return ready

        selector.select = select

    def _connects(self) -> bool:
        """Whether a connection is being made, or a full one waits for its reader."""
        return any(key.events & EVENT_WRITE for key in self._selector.get_map().values())

    def time(self) -> float:
        return super().time() + self.leapt_seconds


VIRTUAL_TIME = ("asyncio", {"loop_factory": VirtualTimeLoop})
"""As `anyio_backend` of a test that waits."""
TIME_ALONE = ("asyncio", {"loop_factory": partial(VirtualTimeLoop, 0.0)})
"""Likewise, where nothing comes over a socket."""
