"""Names become addresses, each in a thread that may hang and hurts nobody."""

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from ipaddress import ip_address

import pytest

from agent.net import resolver as module
from agent.net.resolver import Resolver, ask_system

pytestmark = pytest.mark.anyio

HERE = (ip_address("127.0.0.1"),)


class NameServer:
    """Says of each name what it is told to; may keep some waiting until the test ends."""

    def __init__(self, *, keeps_waiting: Callable[[str], bool] = lambda host: False) -> None:
        self.asked: list[str] = []
        self.says: list[str] | Exception = ["127.0.0.1"]
        self.most_at_once = 0
        self.sixteen_wait = threading.Event()
        self.seventeen_wait = threading.Event()
        self.end = threading.Event()
        self._keeps_waiting = keeps_waiting
        self._waiting = 0
        self._lock = threading.Lock()

    def __call__(self, host: str) -> list[str]:
        with self._lock:
            self.asked.append(host)
        if self._keeps_waiting(host):
            self._wait()
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    def _wait(self) -> None:
        with self._lock:
            self._waiting += 1
            if self._waiting == 16:
                self.sixteen_wait.set()
            if self._waiting == 17:
                self.seventeen_wait.set()
        self.end.wait()
        with self._lock:
            self._waiting -= 1


@pytest.fixture
def hanging() -> Iterator[NameServer]:
    """Only the name `good.example` is answered."""
    server = NameServer(keeps_waiting=lambda host: host != "good.example")
    yield server
    server.end.set()


@pytest.fixture
def jump(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets the loop's clock jump ahead."""

    def ahead(seconds: float) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time
        monkeypatch.setattr(loop, "time", lambda: now() + seconds)

    return ahead


async def test_a_name_is_asked_for_once_by_all_who_want_it(hanging: NameServer) -> None:
    resolver = Resolver(hanging)
    wanting = [asyncio.create_task(resolver.addresses("shop.example")) for _ in range(20)]
    await asyncio.sleep(0)
    hanging.end.set()

    assert await asyncio.gather(*wanting) == [HERE] * 20
    assert hanging.asked == ["shop.example"]


async def test_who_gives_up_does_not_end_it_for_the_others(hanging: NameServer) -> None:
    resolver = Resolver(hanging)
    one, other = (asyncio.create_task(resolver.addresses("shop.example")) for _ in range(2))
    await asyncio.sleep(0)
    one.cancel()
    await asyncio.wait([one])
    hanging.end.set()

    assert await other == HERE


async def test_not_more_than_sixteen_names_at_once(hanging: NameServer) -> None:
    resolver = Resolver(hanging)
    wanting = [asyncio.create_task(resolver.addresses(f"shop{number}.example")) for number in range(40)]
    await asyncio.sleep(0)
    assert hanging.sixteen_wait.wait(5)
    assert not hanging.seventeen_wait.wait(0.05)
    hanging.end.set()

    assert await asyncio.gather(*wanting) == [HERE] * 40


async def test_sixty_four_names_that_hang_do_not_hold_up_one_that_answers(
    hanging: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PLACE_SECONDS", 0.01)
    resolver = Resolver(hanging)
    stuck = [asyncio.create_task(resolver.addresses(f"dead{number}.example")) for number in range(64)]
    await asyncio.sleep(0)

    async with asyncio.timeout(4):
        assert await resolver.addresses("good.example") == HERE
    hanging.end.set()
    await asyncio.gather(*stuck)


async def test_a_name_that_hangs_fails_in_time_and_then_at_once(
    hanging: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.01)
    resolver = Resolver(hanging)

    for _ in range(3):
        with pytest.raises(socket.gaierror, match="in time"):
            await resolver.addresses("dead.example")

    assert hanging.asked == ["dead.example"]


async def test_beyond_many_hanging_names_no_more_threads_are_made(
    hanging: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_THREADS", 3)
    resolver = Resolver(hanging)
    stuck = [asyncio.create_task(resolver.addresses(f"dead{number}.example")) for number in range(3)]
    await asyncio.sleep(0)

    with pytest.raises(socket.gaierror, match="too many"):
        await resolver.addresses("good.example")
    hanging.end.set()
    await asyncio.gather(*stuck)


async def test_where_no_thread_is_left_a_name_fails_and_is_asked_for_again(
    jump: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    resolver = Resolver(NameServer())
    with monkeypatch.context() as scarce:
        scarce.setattr(threading.Thread, "start", refuse)
        for _ in range(2):
            with pytest.raises(socket.gaierror, match="can't start new thread"):
                await resolver.addresses("shop.example")
    jump(4)

    assert await resolver.addresses("shop.example") == HERE


@pytest.mark.parametrize(("seconds", "times"), [(59, 1), (61, 2)])
async def test_an_answer_is_good_for_a_minute(jump: Callable[[float], None], seconds: float, times: int) -> None:
    server = NameServer()
    resolver = Resolver(server)
    await resolver.addresses("shop.example")
    jump(seconds)
    await resolver.addresses("shop.example")

    assert len(server.asked) == times


@pytest.mark.parametrize(("seconds", "times"), [(2, 1), (4, 2)])
async def test_a_failure_is_remembered_for_moments_only(
    jump: Callable[[float], None], seconds: float, times: int
) -> None:
    server = NameServer()
    resolver = Resolver(server)
    server.says = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    with pytest.raises(socket.gaierror):
        await resolver.addresses("shop.example")
    jump(seconds)
    server.says = ["127.0.0.1"]
    try:
        assert await resolver.addresses("shop.example") == HERE
    except socket.gaierror:
        assert times == 1

    assert len(server.asked) == times


async def test_an_address_is_no_name() -> None:
    server = NameServer()

    assert await Resolver(server).addresses("::1") == (ip_address("::1"),)
    assert server.asked == []


async def test_the_same_address_twice_is_one() -> None:
    server = NameServer()
    server.says = ["127.0.0.1", "::1", "127.0.0.1"]

    assert await Resolver(server).addresses("shop.example") == (*HERE, ip_address("::1"))


def test_the_system_knows_this_machine() -> None:
    assert {"127.0.0.1", "::1"} & set(ask_system("localhost"))


SCRIPT = """
import asyncio, threading
from agent.net import resolver
resolver.ANSWER_SECONDS = 0.01
def hangs(host): threading.Event().wait()
async def main():
    names = resolver.Resolver(hangs)
    asked = [names.addresses(f"dead{number}.example") for number in range(64)]
    assert all(isinstance(error, OSError) for error in await asyncio.gather(*asked, return_exceptions=True))
    assert sum(thread.name.startswith("resolve") for thread in threading.enumerate()) == 64
asyncio.run(main())
"""


def test_a_process_with_sixty_four_hanging_names_ends_all_the_same() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=30)

    assert (done.returncode, done.stderr) == (0, "")
