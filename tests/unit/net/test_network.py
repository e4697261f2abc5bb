"""How a connection is made: on real sockets, some of which answer nobody."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, contextmanager
from ipaddress import ip_address
from typing import Any

import httpx
import pytest
from fakes import VIRTUAL_TIME, RawServer, VirtualTimeLoop, answer, raw_server, served, silence, then_close

from agent import faults
from agent.errors import SiteError, SiteMoved, SiteUnreachable
from agent.net import addresses
from agent.net.addresses import Address
from agent.net.network import Network, Origin, by_turns, first_connected
from agent.net.resolver import Resolver
from agent.retry import RetryPolicy
from agent.transport import Transport, open_transport

pytestmark = pytest.mark.anyio

OK = answer(200, {"ok": True})
ONCE = RetryPolicy(attempts=1, base_seconds=0, cap_seconds=0)


@contextmanager
def listening(host: str, port: int = 0, *, backlog: int = 8) -> Iterator[int]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.bind((host, port))
        listener.listen(backlog)
        yield listener.getsockname()[1]


@contextmanager
def black_hole(host: str, port: int = 0) -> Iterator[int]:
    """A port whose queue is full: whoever connects is neither taken nor refused, as behind a firewall that drops."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with listening(host, port, backlog=0) as taken, ExitStack() as ends:
        for _ in range(4):
            waiting = ends.enter_context(socket.socket(family))
            waiting.setblocking(False)
            waiting.connect_ex((host, taken))
        yield taken


def opened(**names: str | list[str]) -> AbstractAsyncContextManager[Transport]:
    """A transport for which these names, dots as underscores, are at these addresses."""
    known = {name.replace("_", "."): [at] if isinstance(at, str) else at for name, at in names.items()}
    return open_transport(
        faults=faults.SITE, ssl_context=ssl.create_default_context(), resolver=Resolver(known.__getitem__)
    )


@asynccontextmanager
async def both_served(*script: Any) -> AsyncIterator[tuple[RawServer, RawServer]]:
    """The same port at 127.0.0.1 and at 127.0.0.2."""
    async with raw_server(*script) as one:
        port = httpx.URL(one.url).port or 0
        async with served(RawServer([OK]), host="127.0.0.2", port=port) as other:
            one.url = f"http://shop.example:{port}"
            yield one, other


class At(Resolver):
    """Needs no thread: virtual time does not wait for one."""

    def __init__(self, *found: str) -> None:
        self._found = tuple(map(ip_address, found))

    async def addresses(self, host: str) -> tuple[Address, ...]:
        return self._found


class TestSeveralAddresses:
    """In virtual time: a connection that hangs costs nothing but its stagger."""

    @pytest.fixture
    def anyio_backend(self) -> object:
        return VIRTUAL_TIME

    @staticmethod
    async def connected(port: int, *hosts: str) -> tuple[str, float]:
        """(the address, the seconds that were leapt over because there was nothing to do but wait)."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        before = loop.leapt_seconds
        address, taken = await first_connected([ip_address(host) for host in hosts], port)
        taken.close()
        return str(address), loop.leapt_seconds - before

    @pytest.mark.parametrize("dead", ["127.0.0.2", "::1"])
    async def test_an_address_that_hesitates_costs_a_quarter_of_a_second(self, dead: str) -> None:
        with listening("127.0.0.1") as port, black_hole(dead, port):
            host, seconds = await self.connected(port, dead, "127.0.0.1")

        assert host == "127.0.0.1"
        assert seconds <= 0.25

    async def test_an_address_that_refuses_costs_nothing(self) -> None:
        with listening("127.0.0.1") as port:
            host, seconds = await self.connected(port, "127.0.0.2", "127.0.0.1")

        assert host == "127.0.0.1"
        assert seconds == 0

    async def test_the_first_may_still_win_while_the_second_hangs(self) -> None:
        with listening("127.0.0.1") as port, black_hole("127.0.0.2", port):
            host, seconds = await self.connected(port, "127.0.0.1", "127.0.0.2")

        assert host == "127.0.0.1"
        assert seconds == 0

    async def test_when_all_refuse_the_refusal_is_told(self) -> None:
        with listening("127.0.0.1") as port:
            pass
        with pytest.raises(ConnectionRefusedError):
            await self.connected(port, "127.0.0.1", "127.0.0.2")

    async def test_a_black_hole_ends_at_the_connect_limit(self) -> None:
        loop = asyncio.get_running_loop()
        async with opened() as http:
            with black_hole("127.0.0.1") as port:
                started = loop.time()
                with pytest.raises(SiteUnreachable) as failed:
                    await http.fetch("GET", f"http://127.0.0.1:{port}/", retry=ONCE)

        assert failed.value.reason == "connect_timeout"
        assert loop.time() - started == pytest.approx(5, abs=2)

    async def test_the_limit_is_of_all_addresses_together(self) -> None:
        loop = asyncio.get_running_loop()
        with black_hole("127.0.0.1") as port, black_hole("127.0.0.2", port):
            network = Network(At("127.0.0.1", "127.0.0.2"), ssl.create_default_context(), connect_seconds=5)
            started = loop.time()
            with pytest.raises(httpx.ConnectTimeout):
                await network.connect(Origin("http", "shop.example", port, "shop.example"), asyncio.Protocol)

        assert loop.time() - started == pytest.approx(5, abs=2)

    async def test_a_port_that_never_speaks_tls_ends_at_the_connect_limit(self) -> None:
        loop = asyncio.get_running_loop()
        async with raw_server(silence) as server, opened() as http:
            started = loop.time()
            with pytest.raises(SiteUnreachable) as failed:
                await http.fetch("GET", server.url.replace("http://", "https://"), retry=ONCE)

        assert failed.value.reason == "tls_handshake"
        assert loop.time() - started == pytest.approx(5, abs=2)

    async def test_who_is_cancelled_while_connecting_leaves_nothing_open(self) -> None:
        with black_hole("127.0.0.1") as port, black_hole("127.0.0.2", port):
            connecting = asyncio.create_task(self.connected(port, "127.0.0.1", "127.0.0.2"))
            for _ in range(3):
                await asyncio.sleep(0)
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting


@pytest.mark.parametrize(
    ("found", "tried"),
    [
        (["::1", "::2", "::3", "10.0.0.1"], ["::1", "10.0.0.1", "::2", "::3"]),
        (["10.0.0.1", "::1", "10.0.0.2", "::2"], ["10.0.0.1", "::1", "10.0.0.2", "::2"]),
        ([f"10.0.0.{number}" for number in range(20)], [f"10.0.0.{number}" for number in range(8)]),
    ],
)
def test_families_take_turns_and_there_is_an_end(found: list[str], tried: list[str]) -> None:
    assert [str(address) for address in by_turns([ip_address(text) for text in found])] == tried


async def test_a_name_that_does_not_exist_is_named_for_it() -> None:
    def nobody(host: str) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    context = ssl.create_default_context()
    async with open_transport(faults=faults.SITE, ssl_context=context, resolver=Resolver(nobody)) as http:
        with pytest.raises(SiteUnreachable) as failed:
            await http.fetch("GET", "http://shop.example/")

    assert (failed.value.reason, str(failed.value)) == ("dns", "shop.example: the name does not resolve")


@pytest.mark.parametrize("at", ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "0.0.0.0"])  # noqa: S104
async def test_a_name_that_leads_to_where_nobody_lives_is_not_connected_to(at: str) -> None:
    async with opened(shop_example=at) as http:
        with pytest.raises(SiteMoved) as failed:
            await http.fetch("GET", "http://shop.example/")

    assert (failed.value.reason, failed.value.exit_code, http.requests) == ("ip_blocked", 78, 1)


@pytest.mark.parametrize("spelled", ["http://169.254.169.254/", "http://[fe80::1]/", "http://[::ffff:a9fe:a9fe]/"])
async def test_nor_is_such_an_address_itself(spelled: str) -> None:
    async with opened() as http:
        with pytest.raises(SiteMoved) as failed:
            await http.fetch("GET", spelled)

    assert failed.value.reason == "ip_blocked"


@pytest.mark.parametrize(
    ("spelled", "reason"),
    [
        # What httpx leaves a name is asked of the system, which reads numbers as C does.
        ("2852039166", "ip_blocked"),
        ("0xa9fea9fe", "ip_blocked"),
        ("169.16689662", "ip_blocked"),
        ("0251.0376.0251.0376", "bad_address"),
        ("①⑥⑨.254.169.254", "bad_address"),
    ],
)
async def test_however_it_is_spelled(spelled: str, reason: str) -> None:
    resolver = Resolver(lambda host: [socket.inet_ntoa(socket.inet_aton(host))])
    async with open_transport(faults=faults.SITE, ssl_context=ssl.create_default_context(), resolver=resolver) as http:
        with pytest.raises(SiteError) as failed:
            await http.fetch("GET", f"http://{spelled}/")

    assert failed.value.reason == reason


async def test_beside_such_an_address_a_harmless_one_is_taken() -> None:
    async with raw_server(OK) as server, opened(shop_example=["169.254.169.254", "127.0.0.1"]) as http:
        said = await http.fetch("GET", server.url.replace("127.0.0.1", "shop.example"))

    assert said.json() == {"ok": True}


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """127.0.0.1 is taken for an address of the internet, the rest of loopback is not."""
    monkeypatch.setattr(addresses, "is_public", lambda address: str(address) == "127.0.0.1")


async def test_a_site_of_the_internet_does_not_redirect_into_this_network(outside: None) -> None:
    names = {"shop_example": "127.0.0.1", "www_shop_example": "127.0.0.2"}
    async with both_served(OK) as (site, inside), opened(**names) as http:
        site.script = [answer(302, Location=site.url.replace("shop.", "www.shop.") + "/latest/meta-data/")]
        with pytest.raises(SiteMoved) as failed:
            await http.fetch("GET", site.url)

        assert failed.value.reason == "ip_blocked"
        assert (len(site.asked), inside.connections) == (1, 0)


async def test_a_name_that_is_rebound_is_asked_where_it_was_found_first(
    outside: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.net.resolver.KEPT_SECONDS", 0)
    answers = [["127.0.0.1"], ["127.0.0.2"]]
    context, resolver = ssl.create_default_context(), Resolver(lambda host: answers.pop(0))
    async with both_served(then_close(OK)) as (site, inside):
        async with open_transport(faults=faults.SITE, ssl_context=context, resolver=resolver) as http:
            for _ in range(3):
                await http.fetch("GET", site.url)

        assert (site.connections, inside.connections) == (3, 0)


async def test_a_name_that_is_asked_for_again_does_not_lead_into_this_network(
    outside: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.net.resolver.KEPT_SECONDS", 0)
    monkeypatch.setattr("agent.net.network.PINNED_SECONDS", 0)
    answers = [["127.0.0.1"], ["127.0.0.2"]]
    context, resolver = ssl.create_default_context(), Resolver(lambda host: answers.pop(0))
    async with both_served(then_close(OK)) as (site, inside):
        async with open_transport(faults=faults.SITE, ssl_context=context, resolver=resolver) as http:
            await http.fetch("GET", site.url)
            with pytest.raises(SiteMoved) as failed:
                await http.fetch("GET", site.url)

        assert failed.value.reason == "ip_blocked"
        assert inside.connections == 0
