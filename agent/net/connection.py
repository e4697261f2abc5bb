"""One connection that speaks HTTP/1.1: h11 knows the protocol, asyncio moves the bytes, and nothing stands between."""

import asyncio

import h11
import httpx

_HEAD_BYTES = 100 * 1024
_AHEAD_BYTES = 256 * 1024
"""How much is taken from the network before somebody wants it."""
_MOST_INTERIM_ANSWERS = 8


class Connection(asyncio.Protocol):
    """Takes one request after another, each when the answer to the one before was read to its end."""

    _transport: asyncio.Transport

    def __init__(self, read_seconds: float) -> None:
        self._read_seconds = read_seconds
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_BYTES)
        self._received = bytearray()
        self._is_paused = False
        self._has_ended = False
        self._failure: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.is_answered = False
        """Whether anything has come since the last request."""

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self.is_answered = True
        self._received += data
        if len(self._received) > _AHEAD_BYTES and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self._has_ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._has_ended = True
        self._failure = exc
        self._wake()

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    # What a request needs.

    async def ask(self, request: httpx.Request) -> h11.Response:
        """The head of the answer. Raises httpx's ReadError, ReadTimeout and protocol errors."""
        self.is_answered = False
        try:
            head = h11.Request(method=request.method, target=request.url.raw_path, headers=request.headers.raw)
            parts = [self._http.send(event) or b"" for event in (head, h11.Data(request.content), h11.EndOfMessage())]
        except h11.LocalProtocolError as error:
            raise httpx.LocalProtocolError(str(error)) from error
        self._transport.write(b"".join(parts))
        try:
            return await self._head()
        except httpx.ReadError as lost:
            rest, _ = self._http.trailing_data
            if rest and not rest.startswith(b"HTTP/"):
                raise httpx.RemoteProtocolError("what came is no HTTP") from lost
            raise

    async def _head(self) -> h11.Response:
        for _ in range(_MOST_INTERIM_ANSWERS + 1):
            event = await self._event()
            if isinstance(event, h11.Response):
                _refuse_two_lengths(event)
                return event
        raise httpx.RemoteProtocolError("too many interim answers")

    async def piece(self) -> bytes | None:
        """The next of the body; None at its end."""
        event = await self._event()
        if isinstance(event, h11.Data):
            return bytes(event.data)
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        return None

    def is_good(self) -> bool:
        """Whether another request may be sent: the last answer is whole, and nobody has spoken or hung up since."""
        is_silent = not (self._received or self._http.trailing_data[0] or self._has_ended)
        return self._http.our_state is h11.IDLE and is_silent and not self._transport.get_write_buffer_size()

    def close(self) -> None:
        """At once: whoever does not answer a farewell would keep the descriptor, and answers say their own length."""
        self._transport.abort()

    async def _event(self) -> h11.Event | type[h11.PAUSED]:
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                if self._http.trailing_data[1]:
                    raise httpx.ReadError("the peer hung up before the answer was whole") from error
                raise httpx.RemoteProtocolError(str(error)) from error
            if event is not h11.NEED_DATA:
                return event  # type: ignore[return-value]
            self._http.receive_data(await self._next_bytes())

    async def _next_bytes(self) -> bytes:
        """At least one; none when the peer has ended."""
        if not self._received and not self._has_ended:
            await self._wait()
        if self._failure and not self._received:
            raise httpx.ReadError(str(self._failure)) from self._failure
        data = bytes(self._received)
        self._received.clear()
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()
        return data

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        waiter = self._waiter = loop.create_future()
        timer = loop.call_later(self._read_seconds, _time_is_up, waiter)
        try:
            await waiter
        finally:
            self._waiter = None
            timer.cancel()


def _time_is_up(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_exception(httpx.ReadTimeout("nothing came within the time limit"))


def _refuse_two_lengths(answer: h11.Response) -> None:
    """Whoever sends both means to be understood in two ways."""
    names = {name for name, _ in answer.headers}
    if {b"content-length", b"transfer-encoding"} <= names:
        raise httpx.RemoteProtocolError("the answer has two lengths")
