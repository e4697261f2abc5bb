"""One connection that speaks HTTP/1.1: asyncio moves the bytes, and what they mean is in `heads`."""

import asyncio
import re

import httpx

from agent.net.heads import BadHead, Ending, Head, read_head, request_head

_HEAD_BYTES = 100 * 1024
_LINE_BYTES = 4 * 1024
"""Of a chunk's size with whatever is said about it."""
_AHEAD_BYTES = 256 * 1024
"""How much is taken from the network before somebody wants it; more than any head."""
_MOST_INTERIM_ANSWERS = 8

_BLANK_LINE = re.compile(rb"\n\r?\n")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\x00\n\r]*)?")


class Connection(asyncio.Protocol):
    """Takes one request after another, each when the answer to the one before was read to its end."""

    _transport: asyncio.Transport

    def __init__(self, read_seconds: float) -> None:
        self._read_seconds = read_seconds
        self._received = bytearray()
        self._is_paused = False
        self._has_ended = False
        self._failure: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._head: Head | None = None
        """Of the answer whose body is being read."""
        self._left = 0
        """Bytes of the body, or of its chunk, that are still to come."""
        self._is_in_chunks = False
        """Whether a chunk has come whose end is still to be read."""
        self._is_between = True
        """Whether no request is under way, and another may follow."""
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

    async def ask(self, request: httpx.Request) -> Head:
        """The head of the answer. Raises httpx's ReadError, ReadTimeout and protocol errors."""
        try:
            head = request_head(request.method, request.url.raw_path, request.headers.raw)
        except BadHead as error:
            raise httpx.LocalProtocolError(str(error)) from error
        self.is_answered = self._is_between = False
        self._transport.write(head + request.content)
        for _ in range(_MOST_INTERIM_ANSWERS + 1):
            self._head = await self._next_head(request.method)
            if self._head.status >= 200:
                self._left, self._is_in_chunks = self._head.length, False
                return self._head
        raise httpx.RemoteProtocolError("too many interim answers")

    async def _next_head(self, method: str) -> Head:
        """Raises httpx's errors; switching to another protocol is one."""
        searched = 0
        while not (blank := _BLANK_LINE.search(self._received, searched)):
            if not b"HTTP/".startswith(self._received[:5]):
                raise httpx.RemoteProtocolError("what came is no HTTP")
            if len(self._received) > _HEAD_BYTES:
                raise httpx.RemoteProtocolError("the head of the answer does not end")
            searched = max(0, len(self._received) - 2)
            await self._more()
        if blank.end() > _HEAD_BYTES:  # it may have come in one piece
            raise httpx.RemoteProtocolError("the head of the answer is too long")
        try:
            head = read_head(self._taken(blank.end())[: blank.start() - blank.end()], method=method)
        except BadHead as error:
            raise httpx.RemoteProtocolError(str(error)) from error
        if head.status == 101:
            raise httpx.RemoteProtocolError("the answer changes to another protocol")
        return head

    async def piece(self) -> bytes | None:
        """The next of the body; None at its end."""
        assert self._head is not None
        match self._head.ending:
            case Ending.LENGTH:
                piece = await self._share() if self._left else None
            case Ending.CHUNKS:
                piece = await self._share() if self._left or await self._begin_chunk() else None
            case Ending.HANGING_UP:
                piece = await self._rest()
        self._is_between = piece is None and not self._head.is_last
        return piece

    async def _share(self) -> bytes:
        """Of the body, or of its chunk, what has come."""
        if not self._received:
            await self._more()
        share = self._taken(min(self._left, len(self._received)))
        self._left -= len(share)
        return share

    async def _rest(self) -> bytes | None:
        """What has come; None when the peer has hung up in order."""
        if not self._received and not self._has_ended:
            await self._wait()
        if self._failure and not self._received:
            raise httpx.ReadError(str(self._failure)) from self._failure
        return self._taken(len(self._received)) or None

    async def _begin_chunk(self) -> bool:
        """Whether another one follows; False when the last has come, with whatever stands behind it."""
        if self._is_in_chunks and await self._line(_LINE_BYTES):
            raise httpx.RemoteProtocolError("a chunk is longer than it said")
        self._is_in_chunks = True
        size = _CHUNK.fullmatch(await self._line(_LINE_BYTES))
        if size is None:
            raise httpx.RemoteProtocolError("a chunk does not say its size")
        self._left = int(size[1], 16)
        behind = _HEAD_BYTES
        while not self._left and (line := await self._line(behind)):
            behind -= len(line)
        return self._left > 0

    async def _line(self, limit: int) -> bytes:
        """The next line, without its end; of so many bytes at most."""
        while (end := self._received.find(b"\n")) < 0 and len(self._received) <= limit:
            await self._more()
        if not 0 <= end <= limit:
            raise httpx.RemoteProtocolError("a line of the answer does not end")
        return self._taken(end + 1)[:-1].removesuffix(b"\r")

    def is_good(self) -> bool:
        """Whether another request may be sent: the last answer is whole, and nobody has spoken or hung up since."""
        is_silent = not (self._received or self._has_ended)
        return self._is_between and is_silent and not self._transport.get_write_buffer_size()

    def close(self) -> None:
        """At once: whoever does not answer a farewell would keep the descriptor, and answers say their own length."""
        self._transport.abort()

    def _taken(self, count: int) -> bytes:
        """So many of the received bytes."""
        taken = bytes(self._received[:count])
        del self._received[:count]
        if self._is_paused and len(self._received) <= _AHEAD_BYTES:
            self._is_paused = False
            self._transport.resume_reading()
        return taken

    async def _more(self) -> None:
        """Return when more has been received. Raises httpx's ReadError when nothing will come, and ReadTimeout."""
        before = len(self._received)
        if not self._has_ended:
            await self._wait()
        if len(self._received) == before:
            raise httpx.ReadError("the peer hung up before the answer was whole") from self._failure

    async def _wait(self) -> None:
        """For anything that the peer does."""
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
