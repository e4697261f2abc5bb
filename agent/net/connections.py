"""The connections to one peer: taken up again while they are good, and made when none is free."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial

import httpx

from agent.net.connection import Connection
from agent.net.network import Network, Origin

KEPT_SECONDS = 5.0
"""How long an idle connection is believed in: many servers hang up after as little as that."""


class Connections(httpx.AsyncBaseTransport):
    """Not more than `most`, busy and idle; whoever asks sees to it that no more are busy at once.

    In the place of httpx's own, of which half of a reading's processor time went into pool, locks and
    tracing that this agent has no use for.
    """

    def __init__(self, network: Network, *, most: int, read_seconds: float) -> None:
        self._network = network
        self._most = most
        self._new = partial(Connection, read_seconds)
        self._busy = 0
        self._idle: list[tuple[Origin, Connection, float]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises httpx's errors, and AddressRefused."""
        origin = Origin.of(request)
        if kept := self._kept(origin):
            try:
                return await self._ask(origin, kept, request)
            except httpx.ReadError:
                # The peer may hang up in the very moment in which it is asked: no failure of anyone.
                if kept.is_answered or request.method not in ("GET", "HEAD"):
                    raise
        while self._idle and self._busy + len(self._idle) >= self._most:
            self._idle.pop(0)[1].close()
        return await self._ask(origin, None, request)

    def _kept(self, wanted: Origin) -> Connection | None:
        """The one that was used last, so that others may grow old and be closed."""
        now = asyncio.get_running_loop().time()
        for kept in reversed(self._idle):
            origin, connection, since = kept
            if origin == wanted:
                self._idle.remove(kept)
                if connection.is_good() and now - since < KEPT_SECONDS:
                    return connection
                connection.close()
        return None

    async def _ask(self, origin: Origin, connection: Connection | None, request: httpx.Request) -> httpx.Response:
        self._busy += 1
        try:
            connection = connection or await self._network.connect(origin, self._new)
            head = await connection.ask(request)
        except BaseException:
            self._give_back(origin, connection)
            raise
        body = _Body(connection, partial(self._give_back, origin, connection))
        return httpx.Response(head.status, headers=head.fields, stream=body)

    def _give_back(self, origin: Origin, connection: Connection | None) -> None:
        self._busy -= 1
        if connection and connection.is_good():
            self._idle.append((origin, connection, asyncio.get_running_loop().time()))
        elif connection:
            connection.close()

    async def aclose(self) -> None:
        for _, connection, _ in self._idle:
            connection.close()
        self._idle.clear()
        await asyncio.sleep(0)  # the loop closes sockets at its next turn


class _Body(httpx.AsyncByteStream):
    """An answer's body. No generator: one that is left in the middle is closed by a task of the loop's own, later."""

    def __init__(self, connection: Connection, give_back: Callable[[], None]) -> None:
        self._connection = connection
        self._give_back = give_back

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._connection.piece()
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        self._give_back()
