"""What a site's front page tells: where its REST API is, and which WordPress made the page."""

import re
from contextlib import suppress
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx

from agent.structure.label import unescaped

REST_RELATION = "https://api.w.org/"

_GENERATOR = re.compile(r"WordPress ([0-9]{1,3}\.[0-9][0-9A-Za-z.-]{0,24})")


@dataclass(frozen=True, slots=True)
class FrontPage:
    url: str
    """Where the redirects ended."""
    rest_root: str | None
    generator: str | None
    """The version in `<meta name="generator">`; site owners often remove it."""
    title: str | None
    is_front: bool
    """Whether it is a page at all, and not some other answer that carries a Link header."""


def read_front_page(url: str, headers: httpx.Headers, body: bytes) -> FrontPage:
    """The facts on a front page; never raises, whatever the page is."""
    page = _Head()
    # Only the head is of interest, and some pages are megabytes long. What the parser takes for a bug
    # of its caller is a page's own nonsense: unknown sections, entities with thousands of digits.
    with suppress(AssertionError, ValueError):
        page.feed(body[:262_144].decode("utf-8", "replace"))
    announced = rest_link(headers) or page.rest_root
    return FrontPage(url, _absolute(url, announced), page.generator, page.title, is_front=b"<html" in body[:4096].lower())


def read_rsd(body: bytes) -> str | None:
    """The `apiLink` of the API named WP-API in what `xmlrpc.php?rsd` answers."""
    found = _RSD_API.search(body[:65_536].decode("utf-8", "replace"))
    return unescaped(found[1]) if found else None


_RSD_API = re.compile(r'<api\s+name="WP-API"[^<>]*\sapiLink="([^"<>]+)"')


def _absolute(base: str, announced: str | None) -> str | None:
    try:
        return urljoin(base, announced) if announced else None
    except ValueError:
        return None


def rest_link(headers: httpx.Headers) -> str | None:
    """The target of `Link: <…>; rel="https://api.w.org/"`; one header may hold several links."""
    for target, parameters in _links(", ".join(headers.get_list("link"))):
        if REST_RELATION in parameters.get("rel", "").split():
            return target
    return None


_LINK = re.compile(r'<([^<>]*)>((?:\s*;\s*[\w*-]+\s*=\s*(?:"[^"]*"|[^",;\s]*))*)')
_PARAMETER = re.compile(r';\s*([\w*-]+)\s*=\s*(?:"([^"]*)"|([^",;\s]*))')


def _links(header: str) -> list[tuple[str, dict[str, str]]]:
    """RFC 8288, as far as servers use it: [(target, {parameter: value})]."""
    return [
        (target.strip(), {key.lower(): quoted or plain for key, quoted, plain in _PARAMETER.findall(rest)})
        for target, rest in _LINK.findall(header)
    ]


class _Head(HTMLParser):
    """Reads `<link rel="https://api.w.org/">`, the generator and the title; the first of each counts."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.rest_root: str | None = None
        self.generator: str | None = None
        self.title: str | None = None
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {key: value or "" for key, value in attrs}
        self._in_title = tag == "title" and self.title is None
        if tag == "link" and REST_RELATION in attributes.get("rel", "").split():
            self.rest_root = self.rest_root or attributes.get("href") or None
        if tag == "meta" and attributes.get("name", "").lower() == "generator":
            found = _GENERATOR.fullmatch(attributes.get("content", "").strip())
            self.generator = self.generator or (found[1] if found else None)

    def handle_endtag(self, tag: str) -> None:
        self._in_title = False

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title = unescaped(data).strip()[:200] or None
