"""Answers every request as WordPress answers a count, after the given seconds. Prints its address, and ends with its parent."""

import asyncio
import sys

BODY = b'[{"id":1}]'
ANSWER = b"\r\n".join((
    b"HTTP/1.1 200 OK",
    b"Server: nginx",
    b"Date: Sat, 21 Nov 2026 10:00:00 GMT",
    b"Content-Type: application/json; charset=UTF-8",
    b"Content-Length: %d" % len(BODY),
    b"Connection: keep-alive",
    b"X-Robots-Tag: noindex",
    b'Link: <https://shop.example/wp-json/>; rel="https://api.w.org/"',
    b"X-Content-Type-Options: nosniff",
    b"Access-Control-Expose-Headers: X-WP-Total, X-WP-TotalPages, Link",
    b"Access-Control-Allow-Headers: Authorization, X-WP-Nonce, Content-Disposition, Content-MD5, Content-Type",
    b"X-WP-Total: 42",
    b"X-WP-TotalPages: 42",
    b"Allow: GET",
    b"",
    BODY,
))  # fmt: skip


class Answers(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        for _ in range(data.count(b"\r\n\r\n")):
            asyncio.get_running_loop().call_later(float(sys.argv[1]), self._transport.write, ANSWER)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Answers, "127.0.0.1", 0, backlog=4_096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


asyncio.run(main())
