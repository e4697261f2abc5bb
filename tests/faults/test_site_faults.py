"""What a site may do to a reading, at each place of it: a named failure, or a structure without one wrong number."""

import asyncio
import gzip
from itertools import count
from pathlib import Path

import pytest
from fake_wordpress import COUNTS, PASSWORD
from fakes import Asked, Said, answer, dripping, silence, then_close
from wire_site import PLACES, at, counts, read, structure_of, wire_site

from agent.errors import RestClosed, SiteError, SiteMoved, SiteThrottled, SiteUnreachable
from agent.structure.payload import to_bytes, to_document
from agent.wordpress.reader import DEADLINE_SECONDS
from agent.wordpress.xmlrpc import Login

pytestmark = pytest.mark.anyio

ALL = COUNTS | {"hidden": 6}
LOGIN = Login("joe", PASSWORD)
PAGE = "<!doctype html><html><title>Log in</title></html>"


async def abort(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"10000\r\n" + b"a" * 65_536 + b"\r\n")
        await writer.drain()


async def endless_behind_gzip(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"{}"))
    while not writer.is_closing():
        writer.write(b"\0" * 65_536)
        await writer.drain()


BOMB = answer(200, gzip.compress(b" " * 100_000_000), Content_Encoding="gzip")

PASSING: dict[str, tuple[Said, str]] = {
    "a PHP fatal as a page": (answer(500, PAGE), "5xx"),
    "a gateway without a site": (answer(502), "5xx"),
    "a gateway that waited": (answer(504), "5xx"),
    "an unheard-of status": (answer(999), "5xx"),
    "maintenance": (answer(503, {"code": "wp_die"}, Retry_After="600"), "maintenance"),
    "too many requests": (answer(429, "slow down", Retry_After="2"), "rate_limited"),
    "too many requests, for an hour": (answer(429, "slow down", Retry_After="3600"), "rate_limited"),
    "silence": (silence, "read_timeout"),
    "a drip": (dripping(answer(200, "{}" * 100), seconds=1), "deadline"),
    "a reset": (abort, "reset"),
    "a short body": (then_close(answer(200, "whole")[:-2]), "reset"),
}
"""What may pass by itself, and the reason that a reading gives for it."""

WHOLE_SITE = ("maintenance", "rate_limited")
"""What ends a reading wherever it is said."""

H2_ONLY = b"\0\0\x12\4\0\0\0\0\0" + b"\0\3\0\0\0\x64\0\4\0\1\0\0\0\5\0\0\x40\0" + b"\0\0\x08\7" + b"\0" * 13
"""What a server sends that speaks HTTP/2 alone: its settings, and good-bye."""

LASTING: dict[str, tuple[Said, str]] = {
    "a megabyte of headers": (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n", "protocol"),
    "no HTTP at all": (then_close(b"SSH-2.0-OpenSSH\r\n"), "protocol"),
    "HTTP/2 and nothing else": (then_close(H2_ONLY), "protocol"),
    "two lengths": (answer(200, "{}", Transfer_Encoding="chunked"), "protocol"),
    "interim answers without end": (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 9 + answer(200, "{}"), "protocol"),
    "another protocol": (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "protocol"),
    "a login page": (answer(200, PAGE), "no_rest"),
    "a challenge of SiteGround": (answer(202, PAGE, SG_Captcha="challenge"), "challenge"),
    "a challenge of Cloudflare": (answer(403, PAGE, cf_mitigated="challenge"), "challenge"),
    "an older challenge of Cloudflare": (answer(503, "<title>Just a moment...</title>"), "challenge"),
    "a web server that refuses": (answer(403, PAGE), "forbidden"),
    "a page that is not there": (answer(404, PAGE), "no_rest"),
    "no such route": (answer(404, {"code": "rest_no_route"}), "no_rest"),
    "an endless body": (endless, "too_large"),
    "an endless rest behind gzip": (endless_behind_gzip, "too_large"),
    "a bomb": (BOMB, "too_large"),
    "a length of terabytes": (b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999999\r\n\r\n", "too_large"),
    "Brotli": (answer(200, "x", Content_Encoding="br"), "decode_bomb"),
    "Latin-1": (answer(200, '{"name":"é"}'.encode("latin-1")), "bad_encoding"),
    "half of a JSON": (answer(200, '{"name":'), "bad_json"),
    "no number": (answer(200, '{"a":NaN}'), "bad_json"),
    "a key twice": (answer(200, '{"a":1,"a":2}'), "bad_json"),
    "brackets without end": (answer(200, "[" * 200_000), "json_depth"),
    "a number of 5,000 digits": (answer(200, '{"a":' + "9" * 5_000 + "}"), "bad_json"),
    "millions of values": (answer(200, "[" + "{}," * 1_300_000 + "{}]"), "too_many"),
    "an empty list": (answer(200, "[]"), "no_rest"),
    "null": (answer(200, "null"), "no_rest"),
    "a part of a body": (answer(206, "{}"), "no_rest"),
    "not modified": (answer(304), "no_rest"),
    "another host": (answer(302, Location="http://192.0.2.1/login"), "redirect_foreign"),
    "a circle": (answer(302, Location="/wp-json/?again"), "redirect_loop"),
    "a redirect to a file": (answer(302, Location="file:///etc/passwd"), "bad_redirect"),
}

EXIT_CODES = {"forbidden": 77, "redirect_foreign": 78, "protocol": 76} | dict.fromkeys(
    ("5xx", "maintenance", "rate_limited", "read_timeout", "deadline", "reset"), 69
)  # else 65


@pytest.mark.parametrize("fault", [*PASSING, *LASTING])
async def test_a_site_that_only_does_this_is_named_for_it_and_left_alone(fault: str) -> None:
    said, reason = {**PASSING, **LASTING}[fault]
    async with wire_site(at("everything", said)) as site:
        with pytest.raises(SiteError) as failed:
            await read(site)

        assert (failed.value.reason, failed.value.exit_code) == (reason, EXIT_CODES.get(reason, 65))
        assert failed.value.hint
        assert len(site.asked) <= (3 if reason == "challenge" else 9)


@pytest.mark.parametrize("fault", [*PASSING, *LASTING])
@pytest.mark.parametrize("place", ["one collection", "sitemap", "version", "search", "types", "taxonomies"])
async def test_a_fault_at_one_place_never_makes_a_wrong_number(fault: str, place: str) -> None:
    said, _ = {**PASSING, **LASTING}[fault]
    loop = asyncio.get_running_loop()
    async with wire_site(at(place, said)) as site:
        started = loop.time()
        try:
            answers = await read(site)
        except SiteError as error:
            # What concerns the whole site ends the reading, as does a listing that may come by itself.
            assert error.transient or isinstance(error, SiteMoved)
            assert isinstance(error, SiteThrottled) or place in ("types", "taxonomies")
        else:
            unknown = {slug for slug, number in counts(answers).items() if number is None}
            assert unknown <= ({"post_format"} if place == "search" else set())
            assert counts(answers).items() - dict.fromkeys(unknown).items() <= ALL.items()
            assert set(ALL) - set(counts(answers)) <= ({"hidden"} if place == "sitemap" else set())
            to_bytes(to_document(structure_of(answers)))
        assert loop.time() - started < DEADLINE_SECONDS


@pytest.mark.parametrize("fault", [*PASSING, *LASTING])
async def test_whatever_becomes_of_xmlrpc_the_rest_is_read(fault: str) -> None:
    said, _ = {**PASSING, **LASTING}[fault]
    async with wire_site(at("xmlrpc", said)) as site:
        answers = await read(site, login=LOGIN)

        assert counts(answers) == ALL
        assert answers.login.state == "failed"


async def test_beside_a_closed_rest_xmlrpc_that_does_not_say_whose_it_is_is_not_believed() -> None:
    def closed(asked: Asked) -> Said | None:
        return answer(401, {"code": "rest_not_logged_in"}) if "wp-json" in asked.target or "rest_route" in asked.target else None

    async with wire_site(closed) as site:
        with pytest.raises(RestClosed):
            await read(site, login=LOGIN)

        assert site.count("xmlrpc")


@pytest.mark.parametrize("fault", [name for name, (_, reason) in PASSING.items() if reason not in WHOLE_SITE])
async def test_a_login_that_xmlrpc_proved_does_not_need_the_users_route(fault: str) -> None:
    said, _ = PASSING[fault]
    async with wire_site(at("login", said)) as site:
        answers = await read(site, login=LOGIN)

        assert answers.login.state == "proved_by_xmlrpc"
        assert counts(answers) == ALL
        assert any("does not take the login" in warning for warning in answers.warnings)


@pytest.mark.parametrize("fault", PASSING)
async def test_a_login_that_cannot_be_proved_at_the_moment_is_neither_refused_nor_done_without(fault: str) -> None:
    said, _ = PASSING[fault]
    async with wire_site() as site:
        site.instead = lambda asked: said if PLACES["login"](asked) else answer(403) if PLACES["xmlrpc"](asked) else None
        with pytest.raises(SiteError) as failed:
            await read(site, login=LOGIN)

        assert failed.value.transient


async def test_one_broken_moment_is_asked_again_and_does_not_show() -> None:
    moments: tuple[Said, ...] = (answer(500), abort, then_close(b""), answer(503, "busy"), answer(429, "", Retry_After="1"))
    for said in moments:
        async with wire_site() as site:
            site.instead = lambda asked, site=site, said=said: said if len(site.asked) == 1 else None  # type: ignore[misc]
            answers = await read(site)

            assert counts(answers) == ALL


async def test_a_site_that_asks_for_less_at_every_third_request_is_read_to_the_end_and_paced() -> None:
    refused: list[float] = []
    arrived = count(1)
    loop = asyncio.get_running_loop()

    def every_third(asked: Asked) -> Said | None:
        if next(arrived) % 3:
            return None
        refused.append(loop.time())
        return answer(429, "slow down", Retry_After="2")

    async with wire_site(every_third) as site:
        started = loop.time()
        answers = await read(site)

        assert counts(answers) == ALL
        assert loop.time() - started >= 2 * 3
        assert len(refused) >= 5


async def test_a_slow_honest_site_is_waited_for_and_no_request_repeated() -> None:
    def slowly(asked: Asked) -> Said:
        async def write(writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(10)
            writer.write(site.say_healthy(asked))

        return write

    async with wire_site(slowly) as site:
        answers = await read(site)

        assert counts(answers) == ALL
        assert len({asked.target for asked in site.asked}) == len(site.asked)


async def test_a_route_that_hangs_is_not_asked_while_it_may_still_be_at_work() -> None:
    async with wire_site(at("one collection", silence)) as site:
        answers = await read(site)

        assert counts(answers) == ALL
        assert site.count("one collection") == 1


async def test_a_type_that_hangs_on_both_its_routes_costs_only_its_own_count() -> None:
    def hangs(asked: Asked) -> Said | None:
        return silence if "libros" in asked.target or "subtype=book" in asked.target else None

    async with wire_site(hangs) as site:
        answers = await read(site)

        assert counts(answers) == ALL | {"book": None}
        assert "post type book: the count could not be learned" in " ".join(structure_of(answers).warnings)
        assert "book" not in to_document(structure_of(answers))["post_types"]
        assert site.count("one collection") == 1


@pytest.mark.parametrize("age", ["1", "4000"])
async def test_answers_from_a_cache_are_checked_and_old_ones_named(age: str) -> None:
    def aged(asked: Asked) -> Said:
        return site.say_healthy(asked).replace(b"\r\n", f"\r\nAge: {age}\r\n".encode(), 1)

    async with wire_site(aged) as site:
        answers = await read(site)

        assert counts(answers) == ALL
        assert bool([text for text in answers.warnings if "a cache answers" in text]) == (age == "4000")
        assert any("subtype=any" in asked.target for asked in site.asked), "the sum was not checked"


async def test_a_cache_that_keeps_the_body_and_loses_the_headers_loses_no_count() -> None:
    def without_total(asked: Asked) -> Said:
        return b"\r\n".join(
            line for line in site.say_healthy(asked).split(b"\r\n") if not line.lower().startswith(b"x-wp-")
        )

    async with wire_site(without_total) as site:
        assert counts(await read(site)) == ALL


async def test_a_connection_that_the_site_closed_meanwhile_is_no_failure() -> None:
    def closing(asked: Asked) -> Said:
        return then_close(site.say_healthy(asked))

    async with wire_site(closing) as site:
        answers = await read(site)

        assert counts(answers) == ALL


async def test_numbers_that_move_while_they_are_read_are_taken_as_they_come() -> None:
    moving = count(5)

    def more_each_time(asked: Asked) -> Said | None:
        if not PLACES["one collection"](asked):
            return None
        return answer(200, [{"id": 1}], X_WP_Total=str(next(moving)))

    async with wire_site(more_each_time) as site:
        assert counts(await read(site))["book"] == 5
        assert site.count("one collection") == 1


@pytest.mark.parametrize("fault", ["an endless body", "an endless rest behind gzip", "a bomb", "millions of values"])
async def test_no_answer_makes_the_agent_grow(fault: str) -> None:
    said, _ = LASTING[fault]
    Path("/proc/self/clear_refs").write_text("5")
    before = _peak_bytes()
    async with wire_site(at("one collection", said)) as site:
        await read(site)

    assert _peak_bytes() - before < 64 * 1024 * 1024


def _peak_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


async def test_more_types_than_any_site_has_are_refused_rather_than_cut() -> None:
    entry = {"name": "x", "rest_base": "x", "rest_namespace": "wp/v2"}
    many = answer(200, {f"type{number}": entry for number in range(2_001)})
    async with wire_site(at("types", many)) as site:
        answers = await read(site)

        assert "wp/v2/types is closed or broken (too_many): labels come from the slugs" in answers.warnings
        assert counts(answers) == ALL


async def test_a_sitemap_that_names_thousands_of_types_does_not_start_thousands_of_requests() -> None:
    def many(asked: Asked) -> Said | None:
        if asked.target != "/wp-sitemap.xml":
            return None
        return answer(200, "".join(f"<loc>{site.url}/wp-sitemap-posts-t{n}-1.xml</loc>" for n in range(30_000)))

    async with wire_site(many) as site:
        with pytest.raises(SiteError) as failed:
            await read(site)

        assert failed.value.reason == "too_many"
        assert len(site.asked) < 100


async def test_a_site_by_its_ipv6_address_is_read() -> None:
    async with wire_site(host="::1") as site:
        assert counts(await read(site)) == ALL


async def test_a_closed_port_is_unreachable() -> None:
    async with wire_site() as site:
        pass
    with pytest.raises(SiteUnreachable) as failed:
        await read(site)

    assert failed.value.reason == "refused"
