"""All counts of one reading: each from the most exact source there is for it, then checked against the sum."""

from collections.abc import Iterable
from dataclasses import replace

from agent.structure.model import ContentType, Count, CountSource, Family
from agent.wordpress.atonce import every
from agent.wordpress.counts import count_by_rest, search_total
from agent.wordpress.gathering import Gathered
from agent.wordpress.login import LoggedIn
from agent.wordpress.public import ATTACHMENT, POST_FORMAT
from agent.wordpress.root import RestRoot
from agent.wordpress.sitemap import Sitemap, count_in_sitemap
from agent.wordpress.visit import Visit
from agent.wordpress.xmlrpc import XmlRpcUnavailable


async def count_all(
    visit: Visit, root: RestRoot, kinds: tuple[ContentType, ...], gathered: Gathered, login: LoggedIn
) -> list[Count]:
    """One count for each content type, in order.

    Where anything was odd (a count by another route, a cache, stray output), the sum of the parts is
    compared with the total that WordPress's own search gives; on a mismatch all are counted once
    more, since items may have come or gone in between. Where a mismatch remains and the search's own
    counts add up, either of the two hides items: the larger number stands, and is not exact. Where they
    do not add up, that is said. A login that was told the terms of two taxonomies has two requests to spare,
    one for the sitemap and one for this: for it the sum of the posts is always compared.
    """
    counts = await _once(visit, root, kinds, gathered, login)
    if visit.totals_lie:
        visit.warn("a plugin switches off the counting of posts: they were counted one by one")
        return [_without_lie(kind, count) for kind, count in zip(kinds, counts, strict=True)]
    odd = visit.suspicious or any(
        count.source not in (CountSource.COLLECTION, None) and kind.rest_base is not None and _told(kind, login) is None
        for kind, count in zip(kinds, counts, strict=True)
    )
    has_to_spare = login.told is not None and len(login.told.terms) > 1
    doubted = tuple(Family) if odd else (Family.POST_TYPE,) if has_to_spare else ()
    if await _agrees(visit, root, kinds, counts, gathered, doubted):
        return counts
    counts = await _once(visit, root, kinds, gathered, login)
    if await _agrees(visit, root, kinds, counts, gathered):
        return counts
    by_search = await every(_searched(visit, root, *pair, gathered) for pair in zip(kinds, counts, strict=True))
    if await _agrees(visit, root, kinds, by_search, gathered):
        visit.warn("some collections hide items from REST, or the site's search does: the larger number is taken")
        return [_larger(*pair) for pair in zip(counts, by_search, strict=True)]
    visit.warn("the counts do not add up to the total of the site's own search: a plugin or a cache changes them")
    return [replace(count, exact=False) if count.value is not None else count for count in counts]


def _larger(count: Count, searched: Count) -> Count:
    if count.value is None or count.value == searched.value:
        return searched
    return replace(max(count, searched, key=lambda one: one.value or 0), exact=False)


def _without_lie(kind: ContentType, count: Count) -> Count:
    """A post type's total of 0 is no count where row counting is off; terms are counted another way."""
    lies = kind.family is Family.POST_TYPE and count.value == 0 and count.source is not CountSource.WALK
    return Count(None, reason="row_counting_off") if lies else count


async def _searched(
    visit: Visit, root: RestRoot, kind: ContentType, count: Count, gathered: Gathered
) -> Count:
    """The count by the search route where it knows the type, else the one that is there."""
    if count.source is CountSource.SEARCH or not gathered.searchable(kind):
        return count
    found = await count_by_rest(visit, root, replace(kind, rest_base=None), searchable=True)
    return count if found.value is None or found.value == count.value else found


async def _once(
    visit: Visit, root: RestRoot, kinds: tuple[ContentType, ...], gathered: Gathered, login: LoggedIn
) -> list[Count]:
    return await every(_count(visit, root, kind, gathered, login) for kind in kinds)


async def _count(visit: Visit, root: RestRoot, kind: ContentType, gathered: Gathered, login: LoggedIn) -> Count:
    count = Count(None, reason="hidden_from_rest")
    if (told := _told(kind, login)) is not None:
        return Count(told, CountSource.XMLRPC)
    is_post_format = (kind.family, kind.slug) == (POST_FORMAT.family, POST_FORMAT.slug)
    searchable = gathered.searchable(kind) or (is_post_format and gathered.evidence.has_own_search)
    if kind.rest_base or searchable:
        count = await count_by_rest(visit, root, kind, searchable=searchable)
    if count.value is None:
        return await count_beside_rest(visit, kind, login, gathered.sitemap) or count
    return count


def _told(kind: ContentType, login: LoggedIn) -> int | None:
    """How many terms XML-RPC has told already."""
    return login.told.terms.get(kind.slug) if login.told and kind.family is Family.TAXONOMY else None


async def count_beside_rest(
    visit: Visit, kind: ContentType, login: LoggedIn, sitemap: Sitemap | None
) -> Count | None:
    """The count by XML-RPC, or else by the sitemap; None when neither tells."""
    if (told := await _by_xmlrpc(kind, login)) is not None:
        return Count(told, CountSource.XMLRPC)
    if sitemap is None or kind.family is Family.TAXONOMY or kind.slug not in sitemap.pages:
        return None
    listed = await count_in_sitemap(visit, sitemap, kind.slug)
    # Whoever keeps a page from search engines takes it out of the sitemap.
    return None if listed is None else Count(listed, CountSource.SITEMAP, exact=False)


async def _by_xmlrpc(kind: ContentType, login: LoggedIn) -> int | None:
    """Terms for whoever may assign them; posts only for administrators, since it lists what one may edit."""
    if login.xmlrpc is None:
        return None
    try:
        if kind.family is Family.TAXONOMY:
            return await login.xmlrpc.count_terms(kind.slug)
        if login.is_administrator:
            status = "inherit" if kind.slug == ATTACHMENT else "publish"
            return await login.xmlrpc.count_posts(kind.slug, status=status)
    except XmlRpcUnavailable:
        pass
    return None


async def _agrees(
    visit: Visit,
    root: RestRoot,
    kinds: tuple[ContentType, ...],
    counts: list[Count],
    gathered: Gathered,
    families: Iterable[Family] = Family,
) -> bool:
    """Whether the counts of what the search knows add up to its own totals; True where it cannot tell."""
    for family in families:
        parts = [
            count.value
            for kind, count in zip(kinds, counts, strict=True)
            if kind.family is family and gathered.searchable(kind)
        ]
        total = await search_total(visit, root, family) if parts and None not in parts else None
        if total is not None and total != sum(part or 0 for part in parts):
            return False
    return True
