"""Answers as they may come over a wire, in pieces of any size: h11, which is made for every case, is the measure."""

import asyncio
from collections.abc import Iterable, Iterator

import h11
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.net.connection import Connection

pytestmark = pytest.mark.anyio

NAMES = st.sampled_from(["Content-Length", "Transfer-Encoding", "Connection", "X-WP-Total", "Link", "bad name", "", "É"])
TEXTS = st.one_of(
    st.sampled_from(["0", "3", "03", "3, 3", "4", "-3", "chunked", "gzip", "close", "keep-alive", "a\tb", "a\x00", " x ", ""]),
    st.text(st.characters(max_codepoint=255), max_size=6),
)
FIELDS = st.one_of(
    st.sampled_from(["Transfer-Encoding: chunked", "Content-Length: 3", "X-WP-Total: 8"]), st.builds("{}: {}".format, NAMES, TEXTS)
)
ENDS = st.sampled_from(["\r\n", "\r\n", "\r\n", "\n", "\r\n ", "\r\n\r\n"])
STATUS_LINES = st.sampled_from(
    ["HTTP/1.1 200 OK", "HTTP/1.1 200 OK", "HTTP/1.1 200 OK", "HTTP/1.1 200 OK", "HTTP/1.1 404", "HTTP/1.0 200 OK", "HTTP/1.1 204 No", "HTTP/1.1 103 Hints", "HTTP/1.1 2x0 OK", "<html>"]
)
CHUNKS = st.sampled_from([
    b"3\r\nabc\r\n0\r\n\r\n", b"3;x=y\r\nabc\r\n0\r\nA: b\r\n\r\n", b"1\r\na\r\n2 \r\nbc\r\n0\r\n\r\n", b"0\r\n\r\n",
    b"3\r\nabcd\r\n0\r\n\r\n", b"x\r\nabc\r\n", b"3\r\nabc\r\n",
])  # fmt: skip
BODIES = st.one_of(st.sampled_from([b"abc", b""]), st.binary(max_size=12))


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    fields = "".join(draw(FIELDS) + draw(ENDS) for _ in range(draw(st.integers(0, 2))))
    head = f"{draw(STATUS_LINES)}\r\n{fields}\r\n".encode("latin-1", "replace")
    more = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx" if draw(st.booleans()) else b""
    return head + draw(CHUNKS if b"chunked" in head else BODIES) + more


class Wire(asyncio.Transport):
    """Takes what is written, and goes nowhere."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0


def pieces(said: bytes, size: int) -> Iterator[bytes]:
    return (said[at : at + size] for at in range(0, len(said), size))


@given(answers(), st.integers(1, 40), st.sampled_from(["GET", "HEAD"]))
async def test_every_answer_means_what_it_means_to_h11(said: bytes, size: int, method: str) -> None:
    assert await ours(said, size, method) == measure(said, size, method)


async def ours(said: bytes, size: int, method: str) -> object:
    """(status, headers, body, whether the connection may be used again), or in which way it is no answer."""
    connection = Connection(read_seconds=1)
    connection.connection_made(Wire())
    for piece in pieces(said, size):
        asyncio.get_running_loop().call_soon(connection.data_received, piece)
    asyncio.get_running_loop().call_soon(asyncio.get_running_loop().call_soon, connection.eof_received)
    try:
        head = await connection.ask(httpx.Request(method, "http://shop.example/"))
        body = b""
        while (part := await connection.piece()) is not None:
            body += part
    except httpx.ReadError:
        return "cut"
    except httpx.RemoteProtocolError:
        return "refused"
    return head.status, told(head.fields), body


def told(fields: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Without what the body has told already: h11 writes it anew."""
    framing = (b"content-length", b"transfer-encoding")
    return [(name.lower(), value) for name, value in fields if name.lower() not in framing]


def measure(said: bytes, size: int, method: str) -> object:
    peer = h11.Connection(h11.CLIENT)
    peer.send(h11.Request(method=method, target="/", headers=[("Host", "shop.example")]))
    peer.send(h11.EndOfMessage())
    fed, head, body = [*pieces(said, size), b""], None, b""
    try:
        while True:
            event = peer.next_event()
            if event is h11.NEED_DATA:
                peer.receive_data(fed.pop(0))
            elif isinstance(event, h11.Response | h11.InformationalResponse):
                head = event
                if {b"content-length", b"transfer-encoding"} <= {name for name, _ in head.headers}:
                    return "refused"  # where h11 lets the one win
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert head is not None
                return head.status_code, told(head.headers), body
    except h11.RemoteProtocolError:
        rest, is_over = peer.trailing_data
        begins_well = isinstance(head, h11.Response) or b"HTTP/".startswith(rest[:5])  # else it is none whatever may follow
        return "cut" if is_over and begins_well else "refused"
