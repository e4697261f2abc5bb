"""Connections that are kept, and what becomes of them."""

import asyncio
import gzip
import ssl
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from fakes import VIRTUAL_TIME, Asked, RawServer, Said, answer, raw_server, served, silence, then_close

from agent import faults
from agent.errors import AnswerNotUnderstood, SiteUnreachable
from agent.exchange import Exchange
from agent.net.resolver import Resolver
from agent.retry import RetryPolicy
from agent.transport import Limits, Transport, open_transport

pytestmark = pytest.mark.anyio

OK = answer(200, {"ok": True})
ONCE = RetryPolicy(attempts=1, base_seconds=0, cap_seconds=0)


def opened(**options: Any) -> AbstractAsyncContextManager[Transport]:
    return open_transport(
        faults=faults.SITE,
        ssl_context=ssl.create_default_context(),
        resolver=Resolver(lambda host: ["127.0.0.1"]),
        **options,
    )


async def test_one_request_after_another_goes_over_one_connection() -> None:
    async with raw_server(OK, answer(200, gzip.compress(b"{}"), Content_Encoding="gzip"), answer(404)) as server:
        async with opened() as http:
            statuses = [(await http.fetch("GET", server.url)).status for _ in range(3)]

        assert (statuses, server.connections) == ([200, 200, 404], 1)


async def test_a_chunked_body_leaves_the_connection_as_good() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    async with raw_server(chunked) as server, opened() as http:
        bodies = [(await http.fetch("GET", server.url)).body for _ in range(3)]

        assert (bodies, server.connections) == ([b"{}"] * 3, 1)


async def test_the_answer_to_a_head_has_no_body_whatever_its_length_says() -> None:
    async with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n") as server, opened() as http:
        bodies = [(await http.fetch("HEAD", server.url)).body for _ in range(2)]

        assert (bodies, server.connections) == ([b"", b""], 1)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_connection_that_ends_as_it_is_asked_is_no_failure(method: str) -> None:
    told: list[Exchange] = []
    async with raw_server(answer(200), then_close(b""), answer(200)) as server:
        async with opened(observers=(told.append,)) as http:
            for _ in range(2):
                await http.fetch(method, server.url, retry=ONCE)

        assert [one.status for one in told] == [200, 200]
        assert (len(server.asked), server.connections) == (3, 2)


async def test_but_a_post_is_not_sent_twice_unasked() -> None:
    async with raw_server(OK, then_close(b""), OK) as server, opened() as http:
        await http.fetch("GET", server.url)
        with pytest.raises(SiteUnreachable) as failed:
            await http.fetch("POST", server.url, content=b"the document", retry=ONCE)

        assert (failed.value.reason, len(server.asked)) == ("reset", 2)


async def test_nor_is_anything_that_was_answered_in_part() -> None:
    async with raw_server(OK, then_close(b"HTTP/1.1 200 OK\r\nContent-"), OK) as server, opened() as http:
        await http.fetch("GET", server.url)
        with pytest.raises(SiteUnreachable) as failed:
            await http.fetch("GET", server.url, retry=ONCE)

        assert (failed.value.reason, len(server.asked)) == ("reset", 2)


async def half_closed(writer: asyncio.StreamWriter) -> None:
    writer.write(OK)
    writer.write_eof()
    await asyncio.Event().wait()


async def with_more(writer: asyncio.StreamWriter) -> None:
    writer.write(OK + answer(408))


@pytest.mark.parametrize(
    "said",
    [then_close(OK), half_closed, with_more, answer(200, {"ok": True}, Connection="close")],
    ids=["closed", "half closed and never whole", "an answer that nobody asked for", "announced"],
)
async def test_a_connection_that_is_no_longer_good_is_not_taken_again(said: Said) -> None:
    async with raw_server(said) as server, opened() as http:
        for _ in range(2):
            body = (await http.fetch("GET", server.url, retry=ONCE)).json()
            await asyncio.sleep(0)

            assert body == {"ok": True}
        assert (len(server.asked), server.connections) == (2, 2)


async def test_whoever_never_hangs_up_is_hung_up_on() -> None:
    class Stays(RawServer):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK)
            ended.set_result(await reader.read())
            await asyncio.Event().wait()

    ended = asyncio.get_running_loop().create_future()
    async with served(Stays([])) as server:
        async with opened() as http:
            await http.fetch("GET", server.url)
        async with asyncio.timeout(5):
            assert await ended == b""


async def test_a_flood_on_an_idle_connection_is_not_taken_in() -> None:
    sent, is_idle = 0, asyncio.Event()

    async def floods(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(OK)
        await is_idle.wait()
        for _ in range(1_000):
            writer.write(bytes(65_536))
            await writer.drain()
            sent += 65_536

    async with raw_server(floods) as server, opened() as http:
        await http.fetch("GET", server.url)
        is_idle.set()
        for _ in range(3_000):
            await asyncio.sleep(0)

        assert sent < 32 * 1024 * 1024


async def test_an_answer_that_is_not_read_to_its_end_ends_its_connection() -> None:
    async with raw_server(answer(200, "x" * 1_000), OK) as server, opened(limits=Limits(body_bytes=100)) as http:
        with pytest.raises(AnswerNotUnderstood):
            await http.fetch("GET", server.url)
        await http.fetch("GET", server.url)

        assert server.connections == 2


async def test_idle_connections_count_as_well() -> None:
    async with raw_server(OK) as server, opened(limits=Limits(connections=1)) as http:
        by_name, by_other_name = (server.url.replace("127.0.0.1", name) for name in ("shop.example", "www.shop.example"))
        for url in (by_name, by_other_name, by_name):
            await http.fetch("GET", url)

        assert server.connections == 3


async def test_each_name_has_connections_of_its_own() -> None:
    async with raw_server(OK) as server, opened() as http:
        by_name, by_other_name = (server.url.replace("127.0.0.1", name) for name in ("shop.example", "www.shop.example"))
        for url in (by_name, by_other_name, by_name, by_other_name):
            await http.fetch("GET", url)

        assert server.connections == 2
        assert [asked.headers["host"].split(":")[0] for asked in server.asked[:2]] == ["shop.example", "www.shop.example"]


async def test_a_body_of_megabytes_is_taken_in_pieces_and_given_in_pieces() -> None:
    class Echo(RawServer):
        def say(self, asked: Asked) -> Said:
            return answer(200, asked.body)

    document = bytes(range(256)) * 12_000
    async with served(Echo([])) as server, opened() as http:
        for _ in range(2):
            assert (await http.fetch("POST", server.url, content=document)).body == document

        assert server.connections == 1


async def test_an_early_refusal_is_heard_while_the_rest_is_still_on_its_way() -> None:
    class Refuses(RawServer):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer(413, "too large"))
            await asyncio.Event().wait()

    async with served(Refuses([])) as server, opened() as http:
        for _ in range(2):
            said = await http.fetch("POST", server.url, content=bytes(8_000_000))

            assert (said.status, said.body) == (413, b"too large")
        assert server.connections == 2


@pytest.mark.parametrize("count", [8, 9])
async def test_a_few_interim_answers_are_passed_over(count: int) -> None:
    async with raw_server(b"HTTP/1.1 103 Early Hints\r\n\r\n" * count + OK) as server, opened() as http:
        try:
            assert (await http.fetch("GET", server.url)).json() == {"ok": count < 9}
        except AnswerNotUnderstood as refused:
            assert (refused.reason, count) == ("protocol", 9)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 60_000,
        CHUNKED + b"1;" + b"x" * 60_000,
        CHUNKED + b"1;" + b"x" * 60_000 + b"\r\na\r\n0\r\n\r\n",
        CHUNKED + b"0\r\n" + b"X: y\r\n" * 60_000,
        CHUNKED + b"0\r\n" + b"X: y\r\n" * 60_000 + b"\r\n",
        CHUNKED + b"2\r\nabc\r\n0\r\n\r\n",
        CHUNKED + b"-1\r\nabc\r\n0\r\n\r\n",
        CHUNKED + b"0x2\r\nab\r\n0\r\n\r\n",
        CHUNKED + b"\r\nab\r\n0\r\n\r\n",
    ],
    ids=["head", "extension", "whole extension", "trailers", "whole trailers", "overlong", "negative", "prefixed", "no size"],
)
async def test_what_does_not_end_or_ends_elsewhere_is_refused(said: bytes) -> None:
    async with raw_server(said) as server, opened() as http:
        with pytest.raises(AnswerNotUnderstood) as failed:
            await http.fetch("GET", server.url, retry=ONCE)

        assert failed.value.reason == "protocol"


async def test_a_head_that_is_too_long_is_refused_though_it_comes_whole() -> None:
    long = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: " + b"y" * 200_000 + b"\r\n\r\n{}"
    # After a long body the system hands out as much in one piece.
    async with raw_server(answer(200, "x" * 200_000), long) as server, opened() as http:
        await http.fetch("GET", server.url)
        with pytest.raises(AnswerNotUnderstood) as failed:
            await http.fetch("GET", server.url, retry=ONCE)

        assert failed.value.reason == "protocol"


async def test_trailers_and_extensions_are_passed_over_and_the_connection_is_as_good() -> None:
    said = CHUNKED + b"1;a=b\r\na\r\n2 ;c\r\nbc\r\n000\r\nX: y\r\nZ: y\r\n\r\n"
    async with raw_server(said) as server, opened() as http:
        bodies = [(await http.fetch("GET", server.url)).body for _ in range(2)]

        assert (bodies, server.connections) == ([b"abc", b"abc"], 1)


class TestAge:
    @pytest.fixture
    def anyio_backend(self) -> object:
        return VIRTUAL_TIME

    @pytest.mark.parametrize(("seconds", "connections"), [(4, 1), (6, 2)])
    async def test_an_idle_connection_is_believed_in_for_a_while(self, seconds: float, connections: int) -> None:
        async with raw_server(OK) as server, opened() as http:
            await http.fetch("GET", server.url)
            await asyncio.sleep(seconds)
            await http.fetch("GET", server.url)

            assert server.connections == connections

    async def test_silence_on_a_kept_connection_is_a_timeout_and_no_stale_connection(self) -> None:
        async with raw_server(OK, silence) as server, opened() as http:
            await http.fetch("GET", server.url)
            with pytest.raises(SiteUnreachable) as failed:
                await http.fetch("GET", server.url)

            assert (failed.value.reason, len(server.asked)) == ("read_timeout", 2)
