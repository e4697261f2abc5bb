"""The sitemap: what strangers can learn of public post types that REST hides.

Core's own lists exactly the published items of every public, viewable post type that has any.
Terms it lists only when they are not empty, so it counts no taxonomy. Those of SEO plugins leave
things out and add archives: their numbers are no exact counts.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from agent.errors import SiteError
from agent.structure.label import unescaped
from agent.wordpress.address import host_of, identity
from agent.wordpress.answers import SLUG
from agent.wordpress.statuses import failure_of
from agent.wordpress.visit import Visit

# Each part can begin in one way only, and none is longer than an address may be: a stranger's page must
# not make the search try all ways to read it.
_LOCATION = re.compile(r"<loc>\s*(?:<!\[CDATA\[\s*)?([^<\s]{1,2048})")
_CORE_PAGE = re.compile(r"/wp-sitemap-posts-([^/]+)-([0-9]{1,6})\.xml$")
_CORE_QUERY = re.compile(r"sitemap=posts&sitemap-subtype=([^&]+)&paged=([0-9]{1,6})$")
_CORE_TERMS = re.compile(r"/wp-sitemap-taxonomies-([^/]+)-1\.xml$|sitemap=taxonomies&sitemap-subtype=([^&]+)&paged=1$")
_PLUGIN_PAGE = re.compile(r"/([^/]+?)-sitemap([0-9]{0,6})\.xml$")
_PLUGIN_OTHERS = frozenset(
    {"author", "news", "video", "locations", "local", "geo", "root", "page-archives", "category", "post_tag", "post_format"}
)


@dataclass(frozen=True, slots=True)
class Sitemap:
    """Post types by slug, with the addresses of their pages in order."""

    pages: dict[str, list[str]]
    by_core: bool
    """False for an SEO plugin's: its counts are not exact."""
    taxonomies: frozenset[str] = frozenset()
    """Slugs of public taxonomies that have terms in use; only core's own sitemap tells them from types."""


async def read_sitemap(visit: Visit, home: str, *, plain_permalinks: bool) -> Sitemap | None:
    """The index of the site's sitemap; None when there is none. One request on an ordinary site."""
    places = ["wp-sitemap.xml", "?sitemap=index"]
    for place in reversed(places) if plain_permalinks else places:
        addresses = await _locations(visit, f"{home.rstrip('/')}/{place}")
        own = [_as_reached(address, home) for address in addresses if host_of(address) == host_of(home)]
        if own:
            return _by_type(own, core=bool(_CORE_PAGE.search(own[0]) or _CORE_QUERY.search(own[0])))
    return None


def _as_reached(address: str, home: str) -> str:
    """Behind a proxy WordPress may write http where it is reached by https, or the other way round."""
    here = urlsplit(home)
    return urlsplit(address)._replace(scheme=here.scheme, netloc=here.netloc).geturl()


async def count_in_sitemap(visit: Visit, sitemap: Sitemap, slug: str) -> int | None:
    """Addresses of that post type without its archive and the home page. None when a page cannot be read."""
    pages = sitemap.pages[slug]
    # The first page may hold one address more than a full one, the last one fewer; how many a full
    # page holds is a site's own choice (2,000 by default), and the second of three is one.
    read = {number: await _locations(visit, pages[number]) for number in sorted({0, min(1, len(pages) - 1), len(pages) - 1})}
    if not all(read.values()):
        return None
    between = max(len(pages) - 3, 0) * len(read[min(1, len(pages) - 1)])
    return sum(map(len, read.values())) + between - _others(read[0], visit.site.url, sitemap, slug)


def _others(addresses: list[str], home: str, sitemap: Sitemap, slug: str) -> int:
    """How many addresses on the first page are no items of their own."""
    # Core lists the home page before the pages when it shows posts. Further down it is a page of its own, which
    # the site shows as its front page; when that page is the oldest of all, the two look alike.
    is_home = slug == "page" and bool(addresses) and identity(addresses[0]) == identity(home)
    return int(is_home) or _archives(addresses, sitemap)


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
    terms = [found[1] or found[2] for address in addresses if core and (found := _CORE_TERMS.search(address))]
    return Sitemap(
        pages={slug: [address for _, address in sorted(numbered)] for slug, numbered in pages.items()},
        by_core=core,
        taxonomies=frozenset(slug for slug in terms if SLUG.fullmatch(slug)),
    )


async def _locations(visit: Visit, url: str) -> list[str]:
    """Every <loc> of a sitemap or its index; none when there is no such thing."""
    try:
        answer = await visit.get(url, as_stranger=True, Accept="application/xml,text/xml;q=0.9,*/*;q=0.1")
    except SiteError:
        return []
    # Until 7.1.0 core sends the whole list with status 404 where the blog has fewer pages of posts than the
    # list has (WordPress/wordpress-develop#13247); a page that really is not there has no <loc>.
    if answer.status != 404 and failure_of(answer):
        return []
    return [unescaped(address.removesuffix("]]>")) for address in _LOCATION.findall(answer.body.decode("utf-8", "replace"))]
