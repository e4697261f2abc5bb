"""Bodies of bounded size, on a response that was never sent."""

import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator

import httpx
import pytest

from agent.body import BodyRefused, read_body

pytestmark = pytest.mark.anyio


def response(*pieces: bytes, **headers: str) -> httpx.Response:
    async def stream() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return httpx.Response(200, headers=named, content=stream())


@pytest.mark.parametrize("encoding", ["", "identity", " Identity "])
async def test_a_plain_body_is_read_as_it_is(encoding: str) -> None:
    assert await read_body(response(b"ab", b"c", content_encoding=encoding), 3) == b"abc"


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip"])
async def test_one_layer_of_gzip_is_unpacked_however_it_is_cut(encoding: str) -> None:
    packed = gzip.compress(b"hello " * 50_000)
    pieces = [packed[i : i + 7] for i in range(0, len(packed), 7)]

    assert await read_body(response(*pieces, content_encoding=encoding), 10**6) == b"hello " * 50_000


async def test_a_declared_length_over_the_limit_is_refused_unread() -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("read")
        yield b""

    too_long = httpx.Response(200, headers={"Content-Length": "11"}, content=never())

    with pytest.raises(BodyRefused, match="larger than 10 bytes") as refused:
        await read_body(too_long, 10)
    assert refused.value.reason == "too_large"


async def test_an_undeclared_length_is_counted_on_the_way() -> None:
    with pytest.raises(BodyRefused, match="larger"):
        await read_body(response(b"12345", b"678901"), 10)


async def test_a_gzip_bomb_is_stopped_before_it_grows() -> None:
    bomb = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    packed = b"".join(bomb.compress(bytes(1024 * 1024)) for _ in range(64)) + bomb.flush()
    tracemalloc.start()

    with pytest.raises(BodyRefused, match="larger"):
        await read_body(response(packed, content_encoding="gzip"), 1024 * 1024)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * 1024 * 1024


@pytest.mark.parametrize("encoding", ["br", "zstd", "deflate", "gzip, gzip", "gzip, br", "compress"])
async def test_any_other_packing_is_refused(encoding: str) -> None:
    with pytest.raises(BodyRefused) as refused:
        await read_body(response(b"x", content_encoding=encoding), 10)

    assert refused.value.reason == "decode_bomb"


async def test_what_is_labelled_gzip_and_is_none_is_refused() -> None:
    with pytest.raises(BodyRefused, match="compression is broken"):
        await read_body(response(b'{"a": 1}', content_encoding="gzip"), 100)


async def test_gzip_that_ends_too_early_is_no_body() -> None:
    packed = gzip.compress(b'[1, 2, 3]  ' * 100)

    with pytest.raises(BodyRefused, match="compression is broken"):
        await read_body(response(packed[:-9], content_encoding="gzip"), 10_000)


async def test_an_empty_body_may_call_itself_gzip() -> None:
    assert await read_body(response(content_encoding="gzip"), 10) == b""
