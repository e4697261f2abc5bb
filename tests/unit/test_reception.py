"""Visitors of our own listeners: let in while descriptors last, and one by one when they do not."""

import asyncio
import errno
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from typing import Any

import pytest
from fakes import Logs

from agent import reception
from agent.reception import VISITORS_MOST, visitors_most
from agent.web import serve

pytestmark = pytest.mark.anyio

Scarcity = Callable[[], AbstractContextManager[list[int]]]
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LAST_REQUEST = REQUEST[:-2] + b"Connection: close\r\n\r\n"


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


class Visitor:
    """One connection, for which the descriptor is there from the beginning."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.setblocking(False)

    async def come(self, url: str) -> "Visitor":
        await asyncio.get_running_loop().sock_connect(self._socket, ("127.0.0.1", int(url.rsplit(":", 1)[1])))
        return self

    def ask(self, request: bytes = REQUEST) -> None:
        self._socket.send(request)

    async def status(self) -> int:
        """Of the answer; 0 when he was sent away without one."""
        said = b""
        with suppress(ConnectionError):
            async with asyncio.timeout(5):
                while not said.endswith(b"\r\n\r\nhello") and (
                    more := await asyncio.get_running_loop().sock_recv(self._socket, 1_000)
                ):
                    said += more
        return int(said.split()[1]) if said else 0

    def leave(self) -> None:
        self._socket.close()


@pytest.fixture
def visitors() -> Iterator[list[Visitor]]:
    many = [Visitor() for _ in range(25)]
    yield many
    for one in many:
        one.leave()


@pytest.mark.parametrize(
    ("limit", "most"), [(resource.RLIM_INFINITY, VISITORS_MOST), (1 << 20, VISITORS_MOST), (1024, VISITORS_MOST), (64, 12), (3, 1)]
)
def test_visitors_take_a_small_part_of_the_descriptors(monkeypatch: pytest.MonkeyPatch, limit: int, most: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))

    assert visitors_most() == most


async def test_without_a_descriptor_a_visitor_is_answered_on_the_one_in_reserve(
    no_descriptors: Scarcity, visitors: list[Visitor], logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reception, "PAUSE_SECONDS", 0.01)
    async with serve(hello, listen="127.0.0.1:0", option="X") as url:
        with no_descriptors():
            said = []
            for visitor in visitors[:3]:
                await visitor.come(url)
                visitor.ask(LAST_REQUEST)
                said.append(await visitor.status())

    assert said == [200, 200, 200]
    [line] = logs.lines
    assert (line["event"], line["level"], line["reason"]) == ("descriptors.scarce", "warning", "fd_pressure")
    assert line["listen"] == url.removeprefix("http://")
    assert "LimitNOFILE" in line["hint"]


async def test_whoever_cannot_be_let_in_waits_and_the_loop_does_not_turn_round_and_round(
    no_descriptors: Scarcity, visitors: list[Visitor], logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """“100 % CPU, and two thousand tracebacks a second”: what asyncio's own way in makes of it."""
    monkeypatch.setattr(reception, "TOLD_AGAIN_SECONDS", 0)
    first, second, *_ = visitors
    async with serve(hello, listen="127.0.0.1:0", option="X") as url:
        with no_descriptors():
            for one in (first, second):
                await one.come(url)
                one.ask()
            answered = await first.status()
            await a_thousand_turns()
            tried = len(logs.lines)
            first.leave()
            late = await second.status()

    assert (answered, late) == (200, 200)
    assert 1 <= tried <= 4


async def test_an_error_that_no_reserve_mends_is_not_met_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[object] = []

    async def refused(listener: object) -> Any:
        tried.append(listener)
        raise OSError(errno.ENOBUFS, "no buffer space")

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_accept", refused)
    async with serve(hello, listen="127.0.0.1:0", option="X"):
        await a_thousand_turns()

    assert 1 <= len(tried) <= 4


async def a_thousand_turns() -> None:
    for _ in range(1_000):
        await asyncio.sleep(0)


async def test_a_listener_that_is_full_of_silent_visitors_answers_whoever_comes(
    visitors: list[Visitor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.web.visitors_most", lambda: 3)
    kept, comer, *silent = visitors
    async with serve(hello, listen="127.0.0.1:0", option="X") as url:
        await kept.come(url)
        kept.ask()
        assert await kept.status() == 200
        for one in silent:
            await one.come(url)
        await comer.come(url)
        comer.ask()
        answered = await comer.status()
        sent_away = {await one.status() for one in silent[:-3]}
        kept.ask()
        again = await kept.status()

    assert (answered, again) == (200, 200)
    assert sent_away == {0}


async def test_nobody_who_waits_for_an_answer_is_sent_away_and_one_too_many_is_told_so(
    visitors: list[Visitor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.web.visitors_most", lambda: 2)
    both_wait, go_on = asyncio.Barrier(3), asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await both_wait.wait()
        await go_on.wait()
        await hello(scope, receive, send)

    busy, many = visitors[:2], visitors[2:7]
    async with serve(slow, listen="127.0.0.1:0", option="X") as url:
        for one in busy:
            await one.come(url)
            one.ask()
        await both_wait.wait()
        for one in many:
            await one.come(url)
        many[-1].ask(LAST_REQUEST)
        refused = await many[-1].status()
        go_on.set()
        answered = [await one.status() for one in busy]

    assert refused == 503
    assert answered == [200, 200]
