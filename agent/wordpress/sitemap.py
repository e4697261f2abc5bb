"""The sitemap: what strangers can learn of public post types that REST hides.

Core's own lists exactly the published items of every public, viewable post type that has any.
Terms it lists only when they are not empty, so it counts no taxonomy. Those of SEO plugins leave
things out and add archives: their numbers are no exact counts.
"""

import re
from dataclasses import dataclass
from html import unescape

from agent.errors import SiteError
from agent.wordpress.address import host_of, identity
from agent.wordpress.answers import SLUG
from agent.wordpress.visit import Visit, failure_of

_LOCATION = re.compile(r"<loc>\s*(?:<!\[CDATA\[)?\s*([^<\s\]]+)")
_CORE_PAGE = re.compile(r"wp-sitemap-posts-(.+)-(\d{1,6})\.xml$")
_CORE_QUERY = re.compile(r"sitemap=posts&sitemap-subtype=([^&]+)&paged=(\d{1,6})$")
_PLUGIN_PAGE = re.compile(r"/([^/]+?)-sitemap(\d{0,6})\.xml$")
_PLUGIN_OTHERS = frozenset({"author", "news", "video", "locations", "local", "geo", "root", "page-archives"})


@dataclass(frozen=True, slots=True)
class Sitemap:
    """Post types by slug, with the addresses of their pages in order."""

    pages: dict[str, list[str]]
    by_core: bool
    """False for an SEO plugin's: its counts are not exact."""


async def read_sitemap(visit: Visit, home: str, *, plain_permalinks: bool) -> Sitemap | None:
    """The index of the site's sitemap; None when there is none. One request on an ordinary site."""
    places = ["wp-sitemap.xml", "?sitemap=index"]
    for place in reversed(places) if plain_permalinks else places:
        addresses = await _locations(visit, f"{home.rstrip('/')}/{place}")
        own = [address for address in addresses if host_of(address) == host_of(home)]
        if own:
            return _by_type(own, core=bool(_CORE_PAGE.search(own[0]) or _CORE_QUERY.search(own[0])))
    return None


async def count_in_sitemap(visit: Visit, sitemap: Sitemap, slug: str) -> int | None:
    """Addresses of that post type: full pages, and the last one as it is. None when a page cannot be read."""
    pages = sitemap.pages[slug]
    last = await _locations(visit, pages[-1])
    if slug == "page":
        # Core lists the home page among the pages when it shows posts; nobody can see from outside that it does.
        last = [address for address in last if identity(address) != identity(visit.site.url)]
    # How many a full page holds is a site's own choice (2,000 by default).
    first = await _locations(visit, pages[0]) if len(pages) > 1 else last
    if not (first and last):
        return None
    return (len(pages) - 1) * len(first) + len(last) - _archives(first, sitemap)


def _archives(addresses: list[str], sitemap: Sitemap) -> int:
    """SEO plugins list a type's archive before its items: the address that all others continue."""
    if sitemap.by_core or len(addresses) < 2:
        return 0
    archive = addresses[0].rstrip("/") + "/"
    return int(all(address.startswith(archive) for address in addresses[1:]))


def _by_type(addresses: list[str], *, core: bool) -> Sitemap:
    pages: dict[str, list[tuple[int, str]]] = {}
    for address in addresses:
        found = (_CORE_PAGE.search(address) or _CORE_QUERY.search(address)) if core else _PLUGIN_PAGE.search(address)
        if found and SLUG.fullmatch(found[1]) and found[1] not in _PLUGIN_OTHERS:
            pages.setdefault(found[1], []).append((int(found[2] or 1), address))
    return Sitemap({slug: [address for _, address in sorted(numbered)] for slug, numbered in pages.items()}, core)


async def _locations(visit: Visit, url: str) -> list[str]:
    """Every <loc> of a sitemap or its index; none when there is no such thing."""
    try:
        answer = await visit.get(url, as_stranger=True, Accept="application/xml,text/xml;q=0.9,*/*;q=0.1")
    except SiteError:
        return []
    if failure_of(answer):
        return []
    return [unescape(address) for address in _LOCATION.findall(answer.body.decode("utf-8", "replace"))]
