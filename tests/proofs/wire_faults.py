"""Faults on a real wire, by the names of the table: what is said in the place of the right answer."""

import asyncio
import gzip
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from fakes import Said, answer, dripping, silence, then_close

PAGE = "<!doctype html><html><title>Sign in</title></html>"
NEWER = {"detail": "a newer generation is stored"}


async def reset(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"10000\r\n" + b"a" * 65_536 + b"\r\n")
        await writer.drain()


def in_two_seconds() -> bytes:
    now = datetime(2026, 11, 21, 10, tzinfo=UTC)
    dates = {"Date": format_datetime(now, usegmt=True), "Retry_After": format_datetime(now + timedelta(seconds=2), usegmt=True)}
    return answer(429, "slow down", **dates)


FAULTS: dict[str, Said] = {
    "hang-up": then_close(b""),
    "reset": reset,
    "silence": silence,
    "drip": dripping(answer(200, "{}" * 100), seconds=1),
    "no HTTP": then_close(b"SSH-2.0-OpenSSH\r\n"),
    "500": answer(500, {"detail": "away"}),
    "502": answer(502, PAGE),
    "503 with a wait": answer(503, "busy", Retry_After="2"),
    "503 maintenance": answer(503, {"code": "wp_die"}, Retry_After="2"),
    "504": answer(504, PAGE),
    "999": answer(999),
    "429 in seconds": answer(429, "slow down", Retry_After="2"),
    "429 for an hour": answer(429, "slow down", Retry_After="3600"),
    "429 with a date": in_two_seconds(),
    "429 with garbage": answer(429, "slow down", Retry_After="1e99 soon"),
    "401": answer(401, {"detail": "no"}),
    "403 for 401": answer(403, {"code": "token_not_valid"}),
    "403": answer(403, {"detail": "You do not have permission to perform this action."}),
    "404": answer(404, {"detail": "Not found."}),
    "400": answer(400, {"post_types": ["This field is required."]}),
    "409": answer(409, {"detail": "in flight"}),
    "409 newer": answer(409, NEWER),
    "413": answer(413, PAGE),
    "422": answer(422, {"detail": "the key came with other bytes"}),
    "301": answer(301, Location="http://192.0.2.1/elsewhere/"),
    "307": answer(307, Location="http://192.0.2.1/elsewhere/"),
    "web page": answer(200, PAGE),
    "nothing": answer(200),
    "half a JSON": answer(200, '{"success":'),
    "denial": answer(200, {"success": False, "message": "not today"}),
    "202": answer(202, {"success": True}),
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "endless body": endless,
    "bomb": answer(200, gzip.compress(b" " * 20_000_000), Content_Encoding="gzip"),
    "challenge": answer(403, PAGE, cf_mitigated="challenge"),
    "NaN": answer(200, '{"a":NaN}'),
    "brackets without end": answer(200, "[" * 200_000),
    "a list": answer(200, "[]"),
    "Brotli": answer(200, "x", Content_Encoding="br"),
    "another host": answer(302, Location="http://192.0.2.1/login"),
    "circle": answer(302, Location="?again"),
    "to a file": answer(302, Location="file:///etc/passwd"),
    "206": answer(206, "{}", Content_Range="bytes 0-1/200"),
    "304": b"HTTP/1.1 304 Not Modified\r\n\r\n",
    "408": answer(408, "too slow"),
    "423": answer(423, "locked"),
    "two lengths": b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 9\r\n\r\n{}       ',
    "length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "headers without end": b"HTTP/1.1 200 OK\r\n" + b"X-Padding: " + b"a" * 200_000 + b"\r\n\r\n",
    "interim answers": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 20 + answer(200, "{}"),
    "HTTP/2": b"\0\0\x12\x04\0\0\0\0\0" + b"\0" * 18,
    "Latin-1": answer(200, '{"name":"Bücher"}'.encode("latin-1")),
    "5,000 digits": answer(200, '{"id":' + "7" * 5_000 + "}"),
}


def among(right: bytes, **headers: str) -> bytes:
    """The right answer with more headers."""
    first, _, rest = right.partition(b"\r\n")
    more = "".join(f"{name.replace('_', '-')}: {text}\r\n" for name, text in headers.items())
    return first + b"\r\n" + more.encode() + rest


def with_body(right: bytes, body: bytes) -> bytes:
    head = right.partition(b"\r\n\r\n")[0].decode("latin-1")
    head = re.sub(r"(?m)^Content-Length: \d+", f"Content-Length: {len(body)}", head)
    return head.encode("latin-1") + b"\r\n\r\n" + body


def later(right: bytes) -> Said:
    async def write(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(8)
        writer.write(right)

    return write


ODDITIES: dict[str, Callable[[bytes], Said]] = {
    "a clock behind": lambda right: among(right, Date="Sun, 01 Mar 2015 10:00:00 GMT"),
    "a clock ahead": lambda right: among(right, Date="Sun, 01 Mar 2037 10:00:00 GMT"),
    "cookies": lambda right: among(right, Set_Cookie="a=b; Domain=other.example; Path=/"),
    "a day old": lambda right: among(right, Age="90000"),
    "slow": later,
    "then it hangs up": then_close,
    "a mark before": lambda right: with_body(right, b"\xef\xbb\xbf" + body_of(right)),
    "a notice before": lambda right: with_body(right, b"<br />Notice: Undefined index<br />" + body_of(right)),
    "a comment after": lambda right: with_body(right, body_of(right) + b"<!-- served from a cache -->"),
}
"""The right answer, and something odd about it."""


def body_of(right: bytes) -> bytes:
    return right.partition(b"\r\n\r\n")[2]


def instead_of(right: Callable[[], bytes], fault: str, moment: str) -> Said:
    """What is said in the place of the right answer; `right` does the work and makes it."""
    if fault in ODDITIES:
        return ODDITIES[fault](right())
    if moment == "before":
        return FAULTS[fault]
    said = right()
    return in_the_middle_of(said, fault) if moment == "middle" else FAULTS[fault]


def _then(half: bytes, end: Callable[[asyncio.StreamWriter], object]) -> Said:
    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(half)
        await writer.drain()
        ending = end(writer)
        if asyncio.iscoroutine(ending):
            await ending

    return write


def in_the_middle_of(right: bytes, fault: str) -> Said:
    """The right answer, of which only the first half comes as it should."""
    half = right[: max(len(right) - 10, len(right) // 2)]
    match fault:
        case "hang-up":
            return then_close(half)
        case "reset":
            return _then(half, reset)
        case "silence":
            return _then(half, silence)
        case _:
            return dripping(right, seconds=1)
