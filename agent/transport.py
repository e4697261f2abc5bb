"""The boundary for outgoing HTTP: whatever happens out there comes back as an Answer or as our error.

Rungs, each adding one concern: `fetch` retries, `_follow` redirects, `_exchange` is one request
within one deadline and one bounded body. Nothing else in the agent talks httpx.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx
import stamina

from agent import __version__
from agent.body import read_body
from agent.clock import SYSTEM, Clock
from agent.detour import Detour
from agent.errors import AgentError
from agent.exchange import Exchange, Observer
from agent.faults import Faults
from agent.net.connections import Connections
from agent.net.network import Network
from agent.net.resolver import Resolver
from agent.redirects import next_hop
from agent.retry import REQUEST, RetryPolicy, parse_retry_after
from agent.strictjson import parse_json

USER_AGENT = f"wp-structure-agent/{__version__} (+https://github.com/wp-structure-agent/wp-structure-agent)"

# What a server says of a moment, not of the request.
PASSING_STATUSES = frozenset({429, 500, 502, 503, 504})

_HEADERS = {
    "User-Agent": USER_AGENT,
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "Connection": "keep-alive",
    "Cache-Control": "no-cache",
}

# After these the peer may still be at work on the request: asking again at once would double its load.
_STILL_RUNNING = ("read_timeout", "deadline")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may cost."""

    connect_seconds: float = 5.0
    read_seconds: float = 20.0
    deadline_seconds: float = 30.0
    """For the whole exchange; the one above starts again with every byte."""
    body_bytes: int = 4 * 1024 * 1024
    """After decompression."""
    redirects: int = 3
    """0 for a peer whose redirects are answers like any others."""
    connections: int = 4
    """At once to one peer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One final answer of a peer: any status, a whole body within the limits."""

    method: str
    url: str
    status: int
    headers: httpx.Headers = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def retry_after_seconds(self) -> float | None:
        """How long the peer asked us to wait: Retry-After in seconds; None when it said nothing usable."""
        return parse_retry_after(self.headers.get("retry-after"), self.headers.get("date"))

    def json(self) -> Any:
        """The body as JSON; raises BadJson whatever the bytes are."""
        return parse_json(self.body)


class Transport:
    """One peer's connections. Open it with `open_transport`; it keeps no cookies and follows no one else."""

    def __init__(
        self,
        peer: httpx.AsyncBaseTransport,
        *,
        faults: Faults,
        limits: Limits,
        clock: Clock,
        observers: tuple[Observer, ...],
        detour: Detour | None,
        headers: Mapping[str, str],
        auth: httpx.Auth | None,
    ) -> None:
        self._peer = peer
        self._detour = detour
        self._headers = httpx.Headers({**_HEADERS, **headers})
        self._auth = auth
        self._clock = clock
        self._faults = faults
        self._limits = limits
        self._observers = observers
        self._places = asyncio.Semaphore(limits.connections)
        self._strained = False
        self.requests = 0
        """How many were sent, redirects and retries included."""

    async def fetch(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        auth: httpx.Auth | None = None,
        retry: RetryPolicy = REQUEST,
    ) -> Answer:
        """Send a request until it is answered, at most `retry.attempts` times; any status is an answer.

        5xx, 429 and lost connections, but no timeouts, are tried again within the policy; the last answer or error stands.
        GET and HEAD follow redirects to the same host within the limits, anything else never does.
        Raises the caller's family of `faults` only.
        """
        request = self._build(method, url, headers=headers, content=content)
        failures: list[Exception] = []
        try:
            return await self._attempt(request, auth)
        except (_TryAgain, AgentError) as first:
            failures.append(first)
        # Nearly every request ends above, and the loop is dear: it hears of the first attempt where there may be a second.
        try:
            async for attempt in stamina.retry_context(on=self._waits(retry), attempts=retry.attempts, timeout=None):
                with attempt:
                    if attempt.num == 1:
                        raise failures[0]
                    try:
                        return await self._attempt(request, auth, after=_word_of(failures[-1]))
                    except (_TryAgain, AgentError) as again:
                        failures.append(again)
                        raise
        except _TryAgain as last:
            return last.answer
        raise AssertionError("a loop of attempts ends in one of them")

    async def _attempt(
        self, request: httpx.Request, auth: httpx.Auth | None, *, after: str | None = None
    ) -> Answer:
        answer = await self._follow(request, auth, after)
        if answer.status in PASSING_STATUSES:
            self._go_easy(answer.status)
            raise _TryAgain(answer)
        return answer

    def _go_easy(self, status: int) -> None:
        """A peer that shows strain is asked one thing at a time from then on."""
        if status in (429, 503) and not self._strained:
            self._strained = True
            self._places = asyncio.Semaphore(1)

    def _waits(self, retry: RetryPolicy) -> Callable[[Exception], bool | float]:
        """Stamina's question after each failure: False for no, or the seconds to wait."""
        failures = count(1)

        def wait_after(error: Exception) -> bool | float:
            if not (isinstance(error, _TryAgain) or (isinstance(error, AgentError) and error.transient)):
                return False
            if isinstance(error, AgentError) and error.reason in _STILL_RUNNING:
                return False
            asked = error.retry_after_seconds
            if asked is not None and asked > retry.cap_seconds:
                return False  # longer than a run may last: the next run asks again
            return retry.wait_seconds(next(failures), random=self._clock.random, retry_after_seconds=asked)

        return wait_after

    async def _follow(self, request: httpx.Request, auth: httpx.Auth | None, after: str | None) -> Answer:
        answer, hops = await self._exchange(request, auth, after), 0
        while self._limits.redirects and (hop := next_hop(request, answer.status, answer.headers, self._faults)):
            hops += 1
            if hops > self._limits.redirects:
                raise self._faults.redirect_loop(request.url)
            request = self._build(request.method, str(hop), headers=_own_headers(request))
            answer = await self._exchange(request, auth, None)
        return answer

    def _build(
        self, method: str, url: str, *, headers: Mapping[str, str] | None, content: bytes | None = None
    ) -> httpx.Request:
        sent = self._headers.copy()
        sent.update(headers)
        try:
            request = httpx.Request(method, url, headers=sent, content=content)
        except (httpx.InvalidURL, ValueError):
            raise self._faults.bad_address() from None
        if request.url.scheme not in ("http", "https") or not request.url.host:
            raise self._faults.bad_address()
        return request

    def _as_sent(self, request: httpx.Request, auth: httpx.Auth | None) -> httpx.Request:
        """Signed, and on its way around. No login of ours looks at an answer, so its flow ends with the request."""
        if auth := auth or self._auth:
            request = next(auth.sync_auth_flow(request))
        return self._detour.around(request) if self._detour else request

    async def _exchange(self, request: httpx.Request, auth: httpx.Auth | None, after: str | None) -> Answer:
        """One request, one answer, one deadline, told to the observers.

        after   why it is sent once more
        """
        started = self._clock.monotonic()
        status: int | None = None
        body = b""
        failure: AgentError | None = None
        self.requests += 1
        try:
            async with self._places, asyncio.timeout(self._limits.deadline_seconds):
                response = await self._peer.handle_async_request(self._as_sent(request, auth))
                status = response.status_code
                try:
                    body = await read_body(response, self._limits.body_bytes)
                finally:
                    await response.aclose()
            return Answer(request.method, str(request.url), status, response.headers, body)
        except Exception as error:
            failure = self._faults.translate(error, request.url)
            if failure is None:
                raise
            raise failure from error
        finally:
            seconds = self._clock.monotonic() - started
            told = Exchange(self._faults.peer, request.method, str(request.url), status, seconds,
                            request.content, body, failure, after)
            for observer in self._observers:
                observer(told)


@asynccontextmanager
async def open_transport(
    *,
    faults: Faults,
    ssl_context: ssl.SSLContext,
    limits: Limits | None = None,
    clock: Clock = SYSTEM,
    observers: tuple[Observer, ...] = (),
    detour: Detour | None = None,
    headers: Mapping[str, str] | None = None,
    auth: httpx.Auth | None = None,
    resolver: Resolver | None = None,
) -> AsyncIterator[Transport]:
    """Connections to one peer, closed at the end of the block.

    auth       of every request that brings none of its own
    resolver   shared by all, so that a name is asked for once; one of its own otherwise
    """
    limits = limits or Limits()
    network = Network(resolver or Resolver(), ssl_context, connect_seconds=limits.connect_seconds)
    async with Connections(network, most=limits.connections, read_seconds=limits.read_seconds) as peer:
        yield Transport(
            peer,
            faults=faults,
            limits=limits,
            clock=clock,
            observers=observers,
            detour=detour,
            headers=headers or {},
            auth=auth,
        )


class _TryAgain(Exception):
    """Carries an answer whose status may pass by itself through the retry loop."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer
        self.retry_after_seconds = answer.retry_after_seconds


def _word_of(failure: Exception) -> str:
    return f"http_{failure.answer.status}" if isinstance(failure, _TryAgain) else getattr(failure, "reason", "")


def _own_headers(request: httpx.Request) -> dict[str, str]:
    """What the next hop on the same host is asked with. Host belongs to the old request; so does the
    token, which httpx has written into it by now: whoever gave it decides anew whether it goes along."""
    return {key: value for key, value in request.headers.items() if key.lower() not in ("host", "authorization")}
