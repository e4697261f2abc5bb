"""The boundary for outgoing HTTP. Claims about the wire are made on a wire: raw bytes on loopback."""

import asyncio
import gzip
import ssl
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
import stamina
from fakes import VIRTUAL_TIME, ManualClock, answer, dripping, raw_server, silence, then_close

from agent import faults
from agent.backend.session import Bearer
from agent.errors import AgentError, AnswerNotUnderstood, BackendUnreachable, SiteMoved, SiteUnreachable
from agent.exchange import Exchange
from agent.retry import RetryPolicy
from agent.transport import Limits, Transport, open_transport

pytestmark = pytest.mark.anyio

OK = answer(200, {"ok": True})


@cache
def tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def opened(clock: ManualClock | None = None, **options: Any) -> AbstractAsyncContextManager[Transport]:
    options.setdefault("faults", faults.SITE)
    return open_transport(ssl_context=tls(), clock=(clock or ManualClock()).clock, **options)


# --- retries ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_what_passes_by_itself_is_asked_again(status: int) -> None:
    async with raw_server(answer(status), OK) as server, opened() as http:
        said = await http.fetch("GET", server.url)

        assert (said.status, len(server.asked), http.requests) == (200, 2, 2)


async def test_observers_learn_which_request_is_sent_once_more_and_why() -> None:
    told: list[Exchange] = []
    moved = answer(302, Location="/there")
    async with raw_server(answer(503), answer(500), moved, OK) as server, opened(observers=(told.append,)) as http:
        await http.fetch("GET", server.url)

    assert [(one.status, one.retry_of) for one in told] == [(503, None), (500, "http_503"), (302, "http_500"), (200, None)]


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_after_the_last_attempt_the_last_answer_stands(status: int) -> None:
    async with raw_server(answer(status, "still")) as server, opened() as http:
        said = await http.fetch("GET", server.url)

        assert (said.status, said.body, len(server.asked)) == (status, b"still", 3)


@pytest.mark.parametrize("status", [200, 201, 204, 400, 401, 403, 404, 409, 418, 501, 999])
async def test_any_other_status_is_an_answer(status: int) -> None:
    async with raw_server(answer(status)) as server, opened() as http:
        said = await http.fetch("GET", server.url)

        assert (said.status, len(server.asked)) == (status, 1)


@pytest.mark.parametrize("how", ["closed", "short", "reset"])
async def test_a_broken_connection_is_tried_again_on_a_new_one(how: str) -> None:
    async def reset(writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    broken = {"closed": then_close(b""), "short": then_close(answer(200, "whole")[:-2]), "reset": reset}[how]
    async with raw_server(broken, OK) as server, opened() as http:
        said = await http.fetch("GET", server.url)

        assert said.json() == {"ok": True}
        assert server.connections == 2


async def test_a_post_that_was_lost_is_repeated_with_the_same_bytes() -> None:
    async with raw_server(then_close(b""), OK) as server, opened() as http:
        await http.fetch("POST", server.url, content=b"the document", headers={"Idempotency-Key": "k"})

        assert [(a.method, a.body, a.headers["idempotency-key"]) for a in server.asked] == [
            ("POST", b"the document", "k")
        ] * 2


async def test_a_closed_port_is_unreachable_by_name() -> None:
    async with raw_server(OK) as server:
        pass
    async with opened() as http:
        with pytest.raises(SiteUnreachable) as failed:
            await http.fetch("GET", server.url)

    assert (failed.value.reason, http.requests) == ("refused", 3)


class TestWaiting:
    """Between attempts, on an event loop that does not wait."""

    @pytest.fixture
    def anyio_backend(self) -> object:
        stamina.set_testing(False)
        return VIRTUAL_TIME

    @staticmethod
    async def waited(*script: bytes, chance: float = 0.5, **policy: Any) -> float:
        clock = ManualClock()
        clock.chance = chance
        loop = asyncio.get_running_loop()
        async with raw_server(*script) as server, opened(clock) as http:
            started = loop.time()
            await http.fetch("GET", server.url, **policy)
            return loop.time() - started

    async def test_backoff_is_drawn_from_below_a_growing_ceiling(self) -> None:
        policy = RetryPolicy(attempts=4, base_seconds=100, cap_seconds=300)

        waited = await self.waited(answer(500), retry=policy)

        assert waited == pytest.approx((100 + 200 + 300) * 0.5, abs=5)

    async def test_retry_after_lengthens_the_wait(self) -> None:
        assert await self.waited(answer(429, Retry_After="7"), OK, chance=0) == pytest.approx(7, abs=1)

    async def test_a_date_in_retry_after_is_read_against_the_answers_own_date(self) -> None:
        asked = answer(
            503, Retry_After="Sat, 21 Nov 2026 10:00:06 GMT", Date="Sat, 21 Nov 2026 10:00:00 GMT"
        )

        assert await self.waited(asked, OK, chance=0) == pytest.approx(6, abs=1)

    async def test_a_retry_after_beyond_the_cap_is_left_to_the_next_run(self) -> None:
        async with raw_server(answer(503, Retry_After="600"), OK) as server, opened() as http:
            said = await http.fetch("GET", server.url)

            assert (said.status, said.retry_after_seconds, len(server.asked)) == (503, 600, 1)

    @pytest.mark.parametrize("asked", ["-1", "soon", "1e9", "٣"])
    async def test_a_senseless_retry_after_changes_nothing(self, asked: str) -> None:
        said = answer(429, Retry_After=asked.encode().decode("latin-1"))

        assert await self.waited(said, OK, chance=0) < 1

    async def test_silence_ends_at_the_read_limit(self) -> None:
        async with raw_server(silence) as server, opened() as http:
            started = asyncio.get_running_loop().time()
            with pytest.raises(SiteUnreachable) as failed:
                await http.fetch("GET", server.url)

            assert asyncio.get_running_loop().time() - started == pytest.approx(20, abs=1)
            assert (failed.value.reason, len(server.asked)) == ("read_timeout", 1)

    @pytest.mark.parametrize("part", ["head", "body"])
    async def test_a_drip_ends_at_the_deadline(self, part: str) -> None:
        start, drip = (b"", answer(200, "x" * 99)) if part == "head" else (answer(200, "x" * 99)[:-99], b"x" * 99)

        async def write(writer: asyncio.StreamWriter) -> None:
            writer.write(start)
            await dripping(drip, seconds=5)(writer)

        async with raw_server(write) as server, opened() as http:
            started = asyncio.get_running_loop().time()
            with pytest.raises(SiteUnreachable) as failed:
                await http.fetch("GET", server.url)

            assert asyncio.get_running_loop().time() - started == pytest.approx(30, abs=1)
            assert (failed.value.reason, len(server.asked)) == ("deadline", 1)


# --- redirects ----------------------------------------------------------------------------------


async def test_a_redirect_on_the_same_host_is_followed_with_the_same_headers() -> None:
    async with raw_server(answer(301, Location="/de/"), OK) as server, opened() as http:
        said = await http.fetch("GET", f"{server.url}/", headers={"Accept": "text/html"})

        assert said.url == f"{server.url}/de/"
        assert [a.target for a in server.asked] == ["/", "/de/"]
        assert [a.headers["accept"] for a in server.asked] == ["text/html"] * 2


async def test_a_foreign_host_is_never_even_connected_to() -> None:
    async with raw_server(OK) as other, raw_server(answer(302, Location=other.url)) as server, opened() as http:
        with pytest.raises(SiteMoved):
            await http.fetch("GET", server.url)

        assert other.connections == 0


async def test_where_no_redirect_is_followed_it_is_an_answer() -> None:
    async with raw_server(answer(301, Location="/de/")) as server, opened(limits=Limits(redirects=0)) as http:
        assert (await http.fetch("GET", server.url)).status == 301

        assert len(server.asked) == 1


async def test_going_round_in_circles_ends() -> None:
    async with raw_server(answer(302, Location="/again")) as server, opened() as http:
        with pytest.raises(AnswerNotUnderstood) as failed:
            await http.fetch("GET", server.url)

        assert failed.value.reason == "redirect_loop"
        assert len(server.asked) == 4


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_post_is_never_redirected(status: int) -> None:
    async with raw_server(answer(status, Location="/elsewhere/")) as server, opened() as http:
        said = await http.fetch("POST", server.url, content=b"{}")

        assert (said.status, len(server.asked)) == (status, 1)


@respx.mock
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("https://backend.example/list", "https://www.backend.example/list"),
        ("http://backend.example/list", "https://backend.example/list"),
        ("http://backend.example:8000/list", "https://backend.example/list"),
    ],
)
async def test_a_token_stays_with_its_origin_when_a_redirect_leads_to_another(first: str, second: str) -> None:
    respx.get(first).respond(301, headers={"Location": second})
    target = respx.get(second).respond(200, json=[])
    async with opened() as http:
        await http.fetch("GET", first, auth=Bearer(first, "s3cret-token"))

    assert target.called
    assert "authorization" not in target.calls.last.request.headers


async def test_a_token_goes_along_to_the_same_origin() -> None:
    async with raw_server(answer(302, Location="/there/"), OK) as server, opened() as http:
        await http.fetch("GET", server.url, auth=Bearer(server.url, "t0ken"))

        assert [a.headers.get("authorization") for a in server.asked] == ["Bearer t0ken"] * 2


# --- what a peer may send -----------------------------------------------------------------------


async def test_a_cookie_is_never_kept() -> None:
    async with raw_server(answer(200, Set_Cookie="wp-lang=de; Path=/"), OK) as server, opened() as http:
        await http.fetch("GET", server.url)
        await http.fetch("GET", server.url)

        assert server.connections == 1
        assert all("cookie" not in a.headers for a in server.asked)


async def test_gzip_is_asked_for_and_unpacked() -> None:
    packed = answer(200, gzip.compress(b'{"a": 1}'), Content_Encoding="gzip")
    async with raw_server(packed) as server, opened() as http:
        said = await http.fetch("GET", server.url)

        assert said.json() == {"a": 1}
        assert server.asked[0].headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (answer(200, gzip.compress(bytes(8 * 1024 * 1024)), Content_Encoding="gzip"), "too_large"),
        (answer(200, b"x", Content_Encoding="br"), "decode_bomb"),
        (answer(200, b"x", Content_Encoding="zstd"), "decode_bomb"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", "too_large"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"10000\r\n" + bytes(65536) + b"\r\n", "too_large"),
    ],
    ids=["gzip bomb", "brotli", "zstd", "declared", "chunked"],
)
async def test_a_body_beyond_the_limits_is_refused_once(said: bytes, reason: str) -> None:
    async with raw_server(said) as server, opened(limits=Limits(body_bytes=60_000)) as http:
        with pytest.raises(AnswerNotUnderstood) as failed:
            await http.fetch("GET", server.url)

        assert failed.value.reason == reason
        assert len(server.asked) == 1


PROTOCOL = {
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "an HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a length of nonsense": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
    "an endless header": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000,
    "bytes in a header's name": b"HTTP/1.1 200 OK\r\nX\xff: 1\r\n\r\n",
    "switching protocols": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
}


@pytest.mark.parametrize("said", PROTOCOL.values(), ids=PROTOCOL.keys())
async def test_whatever_is_no_http_is_one_of_our_errors(said: bytes) -> None:
    async with raw_server(then_close(said)) as server, opened() as http:
        try:
            await http.fetch("GET", server.url)
        except AgentError as error:
            assert error.hint


@respx.mock
@pytest.mark.parametrize("raised", [RuntimeError("bug"), KeyError("bug")])
async def test_a_bug_stays_a_bug(raised: Exception) -> None:
    respx.get("https://shop.example/").mock(side_effect=raised)
    async with opened() as http:
        with pytest.raises(type(raised)):
            await http.fetch("GET", "https://shop.example/")


@pytest.mark.parametrize("url", ["https://[::1/", "https://shop.example:port/", "https://\x00/", "x" * 70_000])
async def test_an_address_that_is_none_is_one_of_our_errors(url: str) -> None:
    async with opened() as http:
        with pytest.raises(AnswerNotUnderstood) as failed:
            await http.fetch("GET", url)

    assert failed.value.reason in ("bad_address", "protocol")


# --- the rest -----------------------------------------------------------------------------------


async def test_proxies_and_netrc_of_the_environment_mean_nothing(
    monkeypatch: pytest.MonkeyPatch, own_home: Path
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    (own_home / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    async with raw_server(OK) as server, opened() as http:
        await http.fetch("GET", server.url)

        assert "authorization" not in server.asked[0].headers


async def test_no_more_connections_than_allowed() -> None:
    open_now, most = 0, 0

    async def slow(writer: asyncio.StreamWriter) -> None:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        await asyncio.sleep(0.002)
        open_now -= 1
        writer.write(OK)

    async with raw_server(slow) as server, opened(limits=Limits(connections=3)) as http:
        await asyncio.gather(*(http.fetch("GET", server.url) for _ in range(12)))

        assert most == 3
        assert server.connections <= 3


async def test_observers_hear_of_each_request_answered_or_not() -> None:
    told: list[Exchange] = []
    async with raw_server(answer(503), then_close(b""), answer(200, "whole")) as server:
        async with opened(observers=(told.append,), faults=faults.BACKEND) as http:
            await http.fetch("POST", server.url, content=b"doc")

    assert [(t.peer, t.method, t.status, t.answer_body) for t in told] == [
        ("backend", "POST", 503, b""),
        ("backend", "POST", None, b""),
        ("backend", "POST", 200, b"whole"),
    ]
    assert isinstance(told[1].error, BackendUnreachable)
    assert all(t.request_body == b"doc" for t in told)
    assert "doc" not in repr(told)


async def test_who_we_are_stands_in_every_request() -> None:
    async with raw_server(OK) as server, opened(headers={"X-Own": "1"}) as http:
        await http.fetch("GET", server.url)

    sent: Mapping[str, str] = server.asked[0].headers
    assert sent["user-agent"].startswith("wp-structure-agent/")
    assert (sent["accept"], sent["cache-control"], sent["x-own"]) == ("application/json", "no-cache", "1")


async def test_an_answer_keeps_its_body_out_of_its_repr() -> None:
    async with raw_server(answer(200, "s3cret", X_Key="s3cret")) as server, opened() as http:
        said = await http.fetch("GET", server.url)

    assert "s3cret" not in repr(said)


async def test_a_cancelled_request_leaves_nothing_open() -> None:
    async with raw_server(silence) as server, opened() as http:
        asking = asyncio.create_task(http.fetch("GET", server.url))
        while not server.asked:
            await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking


def test_httpx_still_sets_the_token_on_the_request_itself() -> None:
    """Why a redirected request is built without the headers of the one before."""
    request = httpx.Request("GET", "https://backend.example/")
    next(iter(Bearer("https://backend.example", "t").auth_flow(request)))

    assert request.headers["authorization"] == "Bearer t"


# --- a machine that may open no more files -------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_without_a_descriptor_neither_the_peer_nor_its_name_is_blamed(
    no_descriptors: Callable[[], AbstractContextManager[list[int]]], host: str
) -> None:
    """“The connection broke”, “the name does not resolve”: what it was called before."""
    async with raw_server(OK) as server, opened() as http:
        with no_descriptors():
            with pytest.raises(SiteUnreachable, match="may open no more files") as failed:
                await http.fetch("GET", server.url.replace("127.0.0.1", host))
        said = await http.fetch("GET", server.url)

    assert (failed.value.reason, failed.value.exit_code) == ("fd_pressure", 69)
    assert "LimitNOFILE" in failed.value.hint
    assert said.status == 200
