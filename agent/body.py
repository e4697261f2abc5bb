"""A body of bounded size: identity or one layer of gzip, never more bytes than allowed."""

import zlib
from collections.abc import Iterator

import httpx

_PIECE_BYTES = 64 * 1024


class BodyRefused(Exception):
    """The body is larger, or packed in another way, than we accept; `reason` names the catalogue's row."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


async def read_body(response: httpx.Response, limit_bytes: int) -> bytes:
    """The decoded body. Raw bytes are read and unpacked here in small pieces, because a megabyte
    of gzip may be a gigabyte of text, and httpx would make it one string before anyone could look.
    """
    declared = response.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:18]) > limit_bytes:
        raise BodyRefused(f"the answer is larger than {limit_bytes:,} bytes", "too_large")
    decoder = _decoder(response.headers.get("content-encoding", ""))
    body, packed = bytearray(), 0
    assert isinstance(response.stream, httpx.AsyncByteStream)
    async for piece in response.stream:  # past httpx's own layers, which decode and count
        packed += len(piece)
        for part in _gunzip(decoder, piece) if decoder else (piece,):
            body += part
            if len(body) > limit_bytes:
                raise BodyRefused(f"the answer is larger than {limit_bytes:,} bytes", "too_large")
        # Behind the end of the gzip, and in empty blocks of it, bytes come that unpack to nothing.
        if packed > limit_bytes:
            raise BodyRefused(f"the answer is larger than {limit_bytes:,} bytes", "too_large")
    if decoder and packed and not decoder.eof:
        raise _broken()
    return bytes(body)


def _decoder(encoding: str) -> "zlib._Decompress | None":
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip":
            return zlib.decompressobj(zlib.MAX_WBITS | 16)
        case _:
            raise BodyRefused("the answer is compressed in a way that was not asked for", "decode_bomb")


def _gunzip(decoder: "zlib._Decompress", piece: bytes) -> Iterator[bytes]:
    try:
        while piece:
            part = decoder.decompress(piece, _PIECE_BYTES)
            piece = decoder.unconsumed_tail
            yield part
    except zlib.error:
        raise _broken() from None


def _broken() -> BodyRefused:
    return BodyRefused("the answer's compression is broken", "decode_bomb")
