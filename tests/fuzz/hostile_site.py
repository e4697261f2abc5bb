"""A site whose answers are nearly right: the shapes of WordPress with anything in them, from a seed.

The same seed gives the same answers, so a failure is repeated by its number alone.
"""

import copy
import json
import random
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import httpx
from fake_wordpress import PASSWORD, FakeWordPress, Said
from fakes import ManualClock

from agent.faults import SITE
from agent.structure.model import Site
from agent.transport import Answer
from agent.wordpress.reader import SiteReader
from agent.wordpress.xmlrpc import Login

URL = "https://shop.example"

TEXTS = (
    "", " ", "any", "post", "book", "category", "..", "../../x", "/", "%2e%2e", "a" * 65, "a" * 70_000, "\x00", "a\x00b",
    "\ud800", "\U0001f600", "\u202eevil", "\u0315\u0300" * 3_000, "&amp;amp;#39;", "&#" + "1" * 5_000 + ";", "<b>x</b>",
    "<script>alert(1)</script>", "http://169.254.169.254/latest", "https://evil.example/wp-json/", "//evil.example/",
    "https://shop.example:99999/", "http://[::1", "javascript:alert(1)", "https://user:secret@shop.example/",
    "https://SHOP.example", "http://shop.example/x", "https://shop.example/" + "a" * 3_000, "9" * 5_000 + ".1",
    "٣.١", "7.1.4", "-1", "1e9", "NaN", "8, 8", "٣", "999999999999", "9999999999999", "1_0", "0", "(?P<id>[\\d]+)",
    "wp/v2", "acme/v1", "libros", "posts?per_page=100", "{{", "]]>", "<![", "<!--", "xml-rpc", "\r\nX: y", "é", "شارع",
)
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**63, 10**400, 1.5, -0.0, 1e300, [], {}, [[]], [{}], {"": ""}, [None] * 50,
    {"raw": "x", "rendered": "y"}, {"public": True}, {"public": False}, {"enum": ["any"]}, [{"id": 1}], [{"id": "1"}],
)
BYTES = (
    b"", b"\x00", b"\xef\xbb\xbf", b"\xff\xfe", b"<br />\n<b>Notice</b>: x", b"<style>{}</style>", b"<!-- cached -->", b"\n\n",
    b"<!doctype html><html><title>Just a moment...</title>", b"{", b"}", b"[", b"]", b"NaN", b'"', b"\\", b"1e999",
    b"<![CDATA[", b"<![if x]>", b"&#x110000;", b"<loc>", b"<loc>" + b" " * 9_000, b"/wp-admin/" * 900, b"<a " * 900,
    b"<!DOCTYPE x [<!ENTITY a 'b'>]>", b"<value><bigdecimal>x</bigdecimal></value>", b"<nil/>", b"[" * 70,
    b"<?xml version='1.0' encoding='nonsense'?>", b'<link rel="https://api.w.org/" href="https://evil.example/">',
)  # fmt: skip
STATUSES = (200, 200, 200, 201, 202, 204, 206, 301, 400, 401, 403, 404, 405, 410, 418, 429, 500, 503, 999)
CODES = ("wp_die", "rest_no_route", "rest_forbidden", "rest_not_logged_in", "rest_cannot_read_type", "incorrect_password")
HEADERS = ("X-WP-Total", "X-WP-TotalPages", "Link", "ETag", "Age", "Retry-After", "Content-Type", "Content-Length",
           "cf-mitigated", "Date", "Location", "Set-Cookie")  # fmt: skip
HEADER_TEXTS = tuple(text for text in TEXTS if text.isascii() and text.isprintable() and len(text) < 6_000)
LINKS = (
    '<https://evil.example/wp-json/>; rel="https://api.w.org/"', '<https://shop.example/wp-json/>; rel="https://api.w.org/"',
    "<>; rel=https://api.w.org/", "<https://[x>; rel=\"https://api.w.org/\"", "<" * 500, '<a>;rel="' * 200,
)  # fmt: skip


# The healthy part of many readings is the same; what is tried is the rest.
@lru_cache(4_096)
def _address(url: str) -> httpx.URL | None:
    """As the transport takes it; None where it would refuse."""
    try:
        return httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        return None


@lru_cache(4_096)
def _healthy(method: str, target: str, content: bytes, *, accepts_header: bool, gullible: bool) -> Said:
    return FakeWordPress(URL, accepts_header=accepts_header, gullible=gullible).answer(method, target, content)


class HostileTransport:
    """Answers like `FakeWordPress`, with mistakes; and notes whoever else would have been asked."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._accepts_header, self._gullible = self._random.random() < 0.5, self._random.random() < 0.5
        # From nearly healthy to wholly mad.
        self._madness = self._random.choice((0.05, 0.2, 0.5, 1.0))
        self.requests = 0
        self.strangers_asked: list[str] = []

    async def fetch(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        auth: httpx.Auth | None = None,
        retry: object = None,
    ) -> Answer:
        self.requests += 1
        asked = _address(url)
        if asked is None:
            raise SITE.bad_address()
        parts = urlsplit(str(asked))
        if parts.hostname != "shop.example":
            self.strangers_asked.append(str(asked))
        target = f"{parts.path}?{parts.query}"
        said = _healthy(method, target, content or b"", accepts_header=self._accepts_header, gullible=self._gullible)
        if self._random.random() < self._madness:
            said = self._spoiled(said, asked)
        return Answer(method, str(asked), said.status, httpx.Headers(_encoded(said.headers)), said.body)

    def _spoiled(self, said: Said, url: httpx.URL) -> Said:
        chance = self._random.random()
        if chance < 0.03:
            failures = (
                SITE.translate(TimeoutError(), url), SITE.bad_redirect(url), SITE.downgrade(url),
                SITE.foreign_redirect(url, httpx.URL("https://evil.example/")), SITE.redirect_loop(url),
            )  # fmt: skip
            raise self._random.choice([failure for failure in failures if failure])
        if chance < 0.13:
            code = {"code": self._random.choice(CODES), "data": {"status": 401}}
            return Said(self._random.choice(STATUSES), json.dumps(code).encode(), said.headers)
        status = said.status if self._random.random() < 0.8 else self._random.choice(STATUSES)
        return Said(status, self._body(said.body), self._headers(said.headers))

    def _headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        spoiled = dict(headers)
        while self._random.random() < 0.4:
            name = self._random.choice(HEADERS)
            if self._random.random() < 0.3:
                spoiled.pop(name, None)
            else:
                spoiled[name] = self._random.choice(LINKS if name == "Link" else HEADER_TEXTS)
        return spoiled

    def _body(self, body: bytes) -> bytes:
        chance = self._random.random()
        if chance < 0.6:
            try:
                value = json.loads(body)
            except ValueError:
                return self._bytes(body)
            for _ in range(self._random.randint(1, 4)):
                value = self._value(value)
            return json.dumps(value).encode()
        return self._bytes(body) if chance < 0.85 else body

    def _value(self, value: Any) -> Any:
        """The same value with any one node of it replaced, dropped, doubled or renamed."""
        places = list(_places(value))
        if not places or self._random.random() < 0.05:
            return self._anything()
        inside, key = self._random.choice(places)
        match self._random.randrange(6):
            case 0:
                del inside[key]
            case 1 if isinstance(inside, dict):
                inside[self._random.choice(TEXTS)] = inside[key]
            case 1:
                inside.append(self._random.choice((inside[key], self._anything())))
            case _:
                inside[key] = self._anything()
        return value

    def _anything(self) -> Any:
        return copy.deepcopy(self._random.choice(TEXTS if self._random.random() < 0.6 else VALUES))

    def _bytes(self, body: bytes) -> bytes:
        for _ in range(self._random.randint(1, 3)):
            at = self._random.randint(0, len(body))
            match self._random.randrange(5):
                case 0:
                    body = body[:at]
                case 1:
                    body = body[:at] + self._random.choice(BYTES) + body[at:]
                case 2:
                    body = self._random.choice(BYTES) + body
                case 3:
                    body = body + self._random.choice(BYTES)
                case _:
                    body = body[:at] + bytes([self._random.randrange(256)]) + body[at + 1 :]
        return body


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key or index) of every node."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield value, key
        yield from _places(inner)


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), text.encode("latin-1", "replace")) for name, text in headers.items()]


def hostile_reader(transport: HostileTransport, *, login: bool, clock: ManualClock) -> SiteReader:
    @asynccontextmanager
    async def open_site(site: Site) -> AsyncIterator[Any]:
        yield transport

    known: Callable[[Site], Login | None] = lambda site: Login("joe", PASSWORD) if login else None  # noqa: E731
    return SiteReader(open_site, clock.clock, login_for=known)
