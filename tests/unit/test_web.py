"""Serving inside this process: with limits, and gone within a second."""

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakes import VIRTUAL_TIME, Logs

from agent.errors import ConfigError
from agent.web import serve

pytestmark = pytest.mark.anyio


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


async def test_an_application_is_served_within_the_block_on_a_free_port() -> None:
    async with serve(hello, listen="127.0.0.1:0", option="X") as url:
        async with httpx.AsyncClient(trust_env=False) as client:
            said = await client.get(url)

    assert (said.text, "server" in said.headers) == ("hello", False)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])), timeout=1)


async def test_what_is_not_answered_by_the_end_is_cut_short_and_no_error(logs: Logs) -> None:
    begun = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    before = asyncio.all_tasks()
    async with serve(slow, listen="127.0.0.1:0", option="X", stop_seconds=0.01) as url:
        client = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
        client[1].write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await begun.wait()

    assert asyncio.all_tasks() == before
    assert [line for line in logs.lines if line["level"] != "info"] == []
    await closed(*client)


async def test_the_other_family_works_too() -> None:
    async with serve(hello, listen="[::1]:0", option="X") as url:
        assert url.startswith("http://[::1]:")
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(url)).text == "hello"


async def test_no_half_of_an_answer_waits_for_the_other_to_be_acknowledged() -> None:
    """“Every answer on a kept connection takes 40 ms”: Nagle's delay, which asyncio leaves on without a protocol's name."""
    async with serve(hello, listen="127.0.0.1:0", option="X") as url:
        port = int(url.rsplit(":", 1)[1])
        client = await asyncio.open_connection("127.0.0.1", port)
        client[1].write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await client[0].readuntil(b"hello")
        without_delay = [one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for one in accepted_at(port)]
        await closed(*client)

    assert without_delay == [1]


def accepted_at(port: int) -> Iterator[socket.socket]:
    """The connections of this process that came in there."""
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            if str(link.readlink()).startswith("socket:"):
                with socket.socket(fileno=os.dup(int(link.name))) as ours, suppress(OSError):
                    if ours.getpeername() and ours.getsockname()[1] == port:
                        yield ours


async def test_an_address_in_use_is_named_with_its_option() -> None:
    async with serve(hello, listen="127.0.0.1:0", option="X") as url:
        taken = url.removeprefix("http://")
        with pytest.raises(ConfigError, match=f"WPSA_HUB_LISTEN: {taken} cannot be listened on") as failed:
            async with serve(hello, listen=taken, option="WPSA_HUB_LISTEN"):
                pass

    assert failed.value.exit_code == 78
    assert failed.value.hint == "Stop what listens there, or set WPSA_HUB_LISTEN to another address."


@pytest.mark.parametrize("listen", ["192.0.2.1:0", "256.1.1.1:0"])
async def test_an_address_of_another_machine_is_not_said_to_be_taken(listen: str) -> None:
    with pytest.raises(ConfigError, match=f"X: {listen} cannot be listened on") as failed:
        async with serve(hello, listen=listen, option="X"):
            pytest.fail("there is nothing to be served")

    assert failed.value.hint.startswith("Set X to an address of this machine")


class TestLeaving:
    @pytest.fixture
    def anyio_backend(self) -> object:
        return VIRTUAL_TIME

    async def test_a_request_that_hangs_does_not_hold_up_the_end(self) -> None:
        loop, end = asyncio.get_running_loop(), asyncio.Event()

        async def hang(scope: Any, receive: Any, send: Any) -> None:
            await end.wait()

        async with serve(hang, listen="127.0.0.1:0", option="X") as url:
            client = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
            client[1].write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.sleep(0.1)
            started = loop.time()

        assert loop.time() - started < 2
        end.set()
        await closed(*client)


    async def test_headers_that_never_end_are_not_waited_for(self) -> None:
        loop = asyncio.get_running_loop()
        async with serve(hello, listen="127.0.0.1:0", option="X") as url:
            port = int(url.rsplit(":", 1)[1])
            silent = await asyncio.open_connection("127.0.0.1", port)
            begun = await asyncio.open_connection("127.0.0.1", port)
            begun[1].write(b"GET / HTTP/1.1\r\nHost: x\r\n")
            second = await asyncio.open_connection("127.0.0.1", port)
            second[1].write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await second[0].readuntil(b"hello")).startswith(b"HTTP/1.1 200")
            second[1].write(b"GET / HTTP/1.1\r\n")
            started = loop.time()
            for reader, _ in (silent, begun, second):
                with suppress(ConnectionError):
                    assert await reader.read() == b""
            took = loop.time() - started
            for client in (silent, begun, second):
                await closed(*client)

        assert 9 < took < 12

    async def test_an_answer_that_takes_longer_is_not_cut(self) -> None:
        async def slow(scope: Any, receive: Any, send: Any) -> None:
            await asyncio.sleep(30)
            await hello(scope, receive, send)

        async with serve(slow, listen="127.0.0.1:0", option="X") as url:
            async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
                assert (await client.get(url)).text == "hello"


async def test_a_server_that_does_not_start_is_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise OSError("no more descriptors")

    monkeypatch.setattr("uvicorn.Server.startup", broken)

    with pytest.raises(ConfigError, match=r"X: 127\.0\.0\.1:0 cannot be listened on"):
        async with serve(hello, listen="127.0.0.1:0", option="X"):
            pytest.fail("there is nothing to be served")


async def test_signals_are_left_to_the_daemon() -> None:
    """uvicorn takes SIGTERM for itself, and raises it again when it is done."""
    before = signal.getsignal(signal.SIGTERM)
    async with serve(hello, listen="127.0.0.1:0", option="X"):
        assert signal.getsignal(signal.SIGTERM) is before


async def test_endless_headers_are_refused() -> None:
    async with serve(hello, listen="127.0.0.1:0", option="X") as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 300_000)

        assert (await reader.read(64)).startswith(b"HTTP/1.1 400")
        await closed(reader, writer)


async def closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await reader.read()
        await writer.wait_closed()
    await asyncio.sleep(0.01)
