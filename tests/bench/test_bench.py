"""The parts of the benchmark that could make it lie; the figures themselves are no matter of tests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from bench_floor import Request, as_early_as_can_be, ask_all
from bench_readers import Found, differences

USUAL = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n"
THIRD = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}"
TRUTH: Found = {"post_type": {"post": ("Posts", 3)}, "taxonomy": {"genre": ("Genres", 0)}}


@pytest.mark.anyio
async def test_the_floor_asks_nothing_before_what_it_needs(sheltered: None) -> None:
    seen: list[str] = []
    requests = [
        Request("/wp-json/?_ts=1.5", {}, frozenset()),
        Request("/c?_ts=1.5", {"Accept": "text/css"}, frozenset({0, 2})),
        Request("/b", {}, frozenset({0})),
    ]

    async with _server(seen) as url:
        statuses = await ask_all(requests, url, connections=2)

    assert [line.split("?")[0] for line in seen] == ["/wp-json/", "/b", "/c"]
    assert statuses == [200, 404, 200]  # the third that arrived is the second of the list


@pytest.mark.anyio
async def test_each_run_of_the_floor_has_a_cache_key_of_its_own(sheltered: None) -> None:
    seen: list[str] = []

    async with _server(seen) as url:
        await ask_all([Request("/a?x=1&_ts=1.5", {}, frozenset())], url, connections=1)

    assert seen[0].startswith("/a?x=1&_ts=")
    assert seen[0] != "/a?x=1&_ts=1.5"


def test_a_count_needs_both_listings_and_a_listing_only_the_index() -> None:
    targets = ("/wp-json/?_ts=1", "/wp-json/wp/v2/types?_ts=1", "/wp-json/wp/v2/taxonomies?_ts=1",
               "/wp-sitemap.xml", "/wp-json/wp/v2/posts?per_page=1&_fields=id&_ts=1")  # fmt: skip
    recorded = [Request(target, {}, frozenset(range(number))) for number, target in enumerate(targets)]

    needs = [set(one.needs) for one in as_early_as_can_be(recorded)]

    assert needs == [set(), {0}, {0}, {0}, {0, 1, 2}]


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        (TRUTH, ""),
        ({"post_type": {}, "taxonomy": TRUTH["taxonomy"]}, "post missing"),
        ({**TRUTH, "taxonomy": {**TRUTH["taxonomy"], "nav_menu": ("Menus", 1)}}, "1 taxonomies too many"),
        ({**TRUTH, "post_type": {"post": ("Posts", None)}}, "1 types miscounted"),
        ({**TRUTH, "post_type": {"post": ("Posts &amp; more", 3)}}, "1 types mislabelled"),
    ],
)
def test_whatever_differs_from_the_truth_is_named(found: Found, wrong: str) -> None:
    assert differences(found, TRUTH) == wrong


@asynccontextmanager
async def _server(seen: list[str]) -> AsyncIterator[str]:
    """Answers every request, and notes the targets."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while True:
                seen.append((await reader.readuntil(b"\r\n\r\n")).split()[1].decode())
                writer.write(THIRD if len(seen) == 3 else USUAL)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
