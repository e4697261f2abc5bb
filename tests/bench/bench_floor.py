"""The floor under a reading: the very same requests, by next to no client at all."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from agent import faults
from agent.clock import SYSTEM
from agent.structure.model import Site
from agent.transport import USER_AGENT, Answer, Limits, Transport, open_transport
from agent.wordpress.reader import SiteReader


@dataclass(frozen=True)
class Request:
    """One GET of a reading."""

    target: str
    """Path and query; `_ts` in it is the cache key of that reading."""
    headers: Mapping[str, str]
    needs: frozenset[int]
    """The positions of those requests whose answers had come before this one was made."""


async def record(site: Site, *, connections: int) -> list[Request]:
    """The requests of one reading in the order in which they were made."""
    requests: list[Request] = []
    answered: set[int] = set()

    class Recorder:
        """Stands before a Transport, where the reader makes its requests."""

        def __init__(self, http: Transport) -> None:
            self._http = http

        @property
        def requests(self) -> int:
            return self._http.requests

        async def fetch(
            self, method: str, url: str, *, headers: Mapping[str, str] | None = None, **options: Any
        ) -> Answer:
            assert method == "GET", "a reading without a login only GETs"
            number, target = len(requests), urlsplit(url)._replace(scheme="", netloc="").geturl()
            requests.append(Request(target, headers or {}, frozenset(answered)))
            answer = await self._http.fetch(method, url, headers=headers, **options)
            answered.add(number)
            return answer

    @asynccontextmanager
    async def open_site(site: Site) -> AsyncIterator[Transport]:
        limits = Limits(connections=connections)
        async with open_transport(faults=faults.SITE, ssl_context=ssl.create_default_context(), limits=limits) as http:
            yield cast("Transport", Recorder(http))

    await SiteReader(open_site, SYSTEM, login_for=lambda site: None).read(site)
    return requests


def as_early_as_can_be(requests: Sequence[Request]) -> list[Request]:
    """The same requests, each waiting only for what it cannot be made without.

    That is the index for all others, and both listings for whatever counts.
    """
    listings = frozenset(number for number, one in enumerate(requests) if _is_listing(one))
    index, nothing = frozenset({0}), frozenset[int]()
    return [
        replace(one, needs=nothing if number == 0 else index | listings if _is_count(one) else index)
        for number, one in enumerate(requests)
    ]


def _is_listing(request: Request) -> bool:
    return urlsplit(request.target).path.endswith(("/wp/v2/types", "/wp/v2/taxonomies"))


def _is_count(request: Request) -> bool:
    return "per_page" in parse_qs(urlsplit(request.target).query)


async def ask_all(requests: Sequence[Request], url: str, *, connections: int) -> list[int]:
    """Make all of them, with a cache key of this moment; the statuses, in order."""
    pool = _Pool(url, connections)
    sent = _with_new_key(requests, host=urlsplit(url).netloc)
    done = [asyncio.Event() for _ in requests]

    async def ask(number: int) -> int:
        for needed in requests[number].needs:
            await done[needed].wait()
        status = await pool.ask(sent[number])
        done[number].set()
        return status

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask(number)) for number in range(len(requests))]
    await pool.aclose()
    return [task.result() for task in tasks]


def _with_new_key(requests: Sequence[Request], *, host: str) -> list[bytes]:
    # As agent.transport sends them.
    usual = {
        "Host": host,
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
        "Connection": "keep-alive",
        "User-Agent": USER_AGENT,
        "Cache-Control": "no-cache",
    }
    keys = [key for one in requests for key in parse_qs(urlsplit(one.target).query).get("_ts", ())]
    texts = (
        "\r\n".join([f"GET {one.target} HTTP/1.1", *(f"{k}: {v}" for k, v in {**usual, **one.headers}.items()), "\r\n"])
        for one in requests
    )
    now = f"{time.time():.3f}"
    return [(text.replace(f"_ts={keys[0]}", f"_ts={now}") if keys else text).encode("ascii") for text in texts]


class _Pool:
    """Connections to one host that are kept, each made when it is first needed."""

    def __init__(self, url: str, connections: int) -> None:
        self._address = urlsplit(url)
        self._places = asyncio.Semaphore(connections)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, request: bytes) -> int:
        """The status of the answer; its body is read and forgotten."""
        async with self._places:
            reader, writer = self._idle.pop() if self._idle else await self._connected()
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if b"transfer-encoding: chunked" in head:
                while size := int(await reader.readline(), 16):
                    await reader.readexactly(size + 2)
                await reader.readline()
            else:
                await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0]))
            self._idle.append((reader, writer))
            return int(head[9:12])

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self._address.hostname, self._address.port)

    async def aclose(self) -> None:
        for _, writer in self._idle:
            writer.close()
            await writer.wait_closed()
