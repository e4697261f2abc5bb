"""Answers of real WordPress sites, as tests/wordpress/test_recorded.py wrote them down: for tests of logic alone.

One file for each release and login: `{"truth": …, "exchanges": [{"method", "path", "asked", "status",
"headers", "body"}]}`. The site's address is replaced by SITE, and what changes from run to run (cache keys,
times, nonces) is taken out.
"""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import respx

FOLDER = Path(__file__).parent / "recorded"
SITE = "https://site.example"
KEPT_HEADERS = ("content-type", "etag", "link", "x-wp-total", "x-wp-totalpages")
PASSWORD = "abcd EFGH 1234 ijkl MNOP 6789"
"""In place of the application password that was used."""

_METHOD_NAME = re.compile(r"(?:<methodName>|<name>methodName</name>\s*<value><string>)([\w.]+)")


def recorded(name: str) -> dict[str, Any]:
    """`7.1-stranger`, `7.1-administrator`, …"""
    return dict(json.loads((FOLDER / f"{name}.json").read_text("utf-8")))


def request_key(method: str, url: str, body: str) -> tuple[str, str, str]:
    """(method, path with its lasting query, the XML-RPC methods that a body calls)."""
    parts = urlsplit(url)
    query = urlencode([(key, value) for key, value in parse_qsl(parts.query) if key != "_ts"])
    return method, f"{parts.path}?{query}" if query else parts.path, " ".join(_METHOD_NAME.findall(body))


def replay(name: str, router: respx.Router) -> dict[str, Any]:
    """Answer as that site did; returns the truth that its own PHP told. Anything that was not asked then is 599."""
    recording = recorded(name)
    answers = {(one["method"], one["path"], one["asked"]): one for one in recording["exchanges"]}

    def answer(request: httpx.Request) -> httpx.Response:
        one = answers.get(request_key(request.method, str(request.url), request.content.decode()))
        if one is None:
            return httpx.Response(599, text="was not asked when this was recorded")
        return httpx.Response(one["status"], headers=one["headers"], text=one["body"])

    router.route(host=urlsplit(SITE).hostname).mock(side_effect=answer)
    return dict(recording["truth"])
