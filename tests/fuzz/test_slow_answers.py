"""No answer within the limits of its size may hold the agent up: nothing else runs while one is read."""

import time
from collections.abc import Callable
from contextlib import suppress

import httpx
import pytest

from agent.net.heads import BadHead, read_head
from agent.strictjson import BadJson, parse_json_in_noise
from agent.structure.label import clean_label
from agent.wordpress.front import read_front_page, read_rsd, rest_link
from agent.wordpress.sitemap import _CORE_PAGE, _LOCATION
from agent.wordpress.version import _ASSET, _OPML
from agent.wordpress.xmlrpc import XmlRpcUnavailable, parse_answer

BODY = 4 * 1024 * 1024
HEAD = 262_144
LIMIT_SECONDS = 2.0


def page(body: bytes) -> object:
    return read_front_page("https://shop.example/", httpx.Headers(), body)


def link(header: str) -> object:
    return rest_link(httpx.Headers({"link": header}))


def value(body: bytes) -> None:
    with suppress(BadJson):
        parse_json_in_noise(body)


def head(lines: bytes) -> None:
    with suppress(BadHead):
        read_head(b"HTTP/1.1 200 OK\r\n" + lines[:102_400], method="GET")


def answered(body: bytes) -> None:
    with suppress(XmlRpcUnavailable):
        parse_answer(body)


READ: dict[str, Callable[[], object]] = {
    "a label of combining marks": lambda: clean_label("\u0315\u0300" * 60_000),
    "a label of entities": lambda: clean_label("&amp;" * (BODY // 5)),
    "a label of tags": lambda: clean_label("<a" * (BODY // 2)),
    "a page of brackets": lambda: page(b"<" * HEAD),
    "a page of comments": lambda: page(b"<!--" * (HEAD // 4)),
    "a page of attributes": lambda: page(b"<a " + b"a='" * (HEAD // 3)),
    "a page of titles": lambda: page(b"<title>" + b"</titl" * (HEAD // 6)),
    "a page of folders": lambda: _ASSET.findall((b"/wp-admin/" * HEAD)[:HEAD]),
    "a page of generators": lambda: _OPML.search((b'generator="WordPress/1.1' * HEAD)[:HEAD]),
    "a list of APIs": lambda: read_rsd(b'<api name="WP-API" ' * 3_500),
    "a header of spaces": lambda: link("<a>" + " " * 90_000),
    "a header of parameters": lambda: link("<a>" + " ;a=b" * 18_000),
    "a header of quotes": lambda: link("<a>;a=" + '"' * 90_000),
    "a head of spaces": lambda: head(b"a: b" + b" " * 102_400),
    "a head of folded lines": lambda: head(b"a: b" + b"\r\n " * 30_000),
    "a head of lengths": lambda: head(b"content-length: 1\r\n" * 6_000),
    "a head of many words": lambda: head(b"connection:" + b" ,\t" * 40_000),
    "a sitemap of spaces": lambda: _LOCATION.findall("<loc>" + " " * 60_000),
    "a sitemap of places": lambda: _LOCATION.findall("<loc>" * (BODY // 5)),
    "an address of types": lambda: _CORE_PAGE.search("/wp-sitemap-posts-" * 120),
    "brackets": lambda: value(b"[" * BODY),
    "brackets that close": lambda: value((b"[" * 60 + b"]" * 60) * (BODY // 120)),
    "a string": lambda: value(b'["' + b"a" * (BODY - 9)),
    "escapes": lambda: value(b'x["' + b"\\u0041" * (BODY // 6)),
    "many beginnings": lambda: value(b"x" + b'{"a":[' * 10 + b'["' + b"a" * (BODY - 99)),
    "many comments": lambda: value(b"x" + b"<!---->" * (BODY // 7)),
    "XML of a hundred thousand levels": lambda: answered(b"<?xml version='1.0'?>" + b"<value><array><data>" * 100_000),
    "XML of empty values": lambda: answered(
        b"<methodResponse><params><param><value><array><data>" + b"<value/>" * (BODY // 8) + b"</data></array></value>"
    ),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("what", READ)
def test_it_is_read_at_once(what: str) -> None:
    started = time.process_time()
    READ[what]()

    assert time.process_time() - started < LIMIT_SECONDS
