"""A site whose REST API is closed to strangers: opened by the login, or told from its sitemap."""

from collections.abc import Callable
from datetime import datetime

from agent.errors import LoginRefused, RestClosed, SiteError
from agent.structure.model import (
    Answers,
    Completeness,
    ContentType,
    Count,
    CountSource,
    Coverage,
    Family,
    VersionAnswer,
)
from agent.wordpress.address import identity
from agent.wordpress.answers import INDEX_FIELDS, Index, own_links, read_index
from agent.wordpress.discovery import Found
from agent.wordpress.gathering import described_search
from agent.wordpress.public import unlisted
from agent.wordpress.root import RestRoot
from agent.wordpress.sitemap import count_in_sitemap, read_sitemap
from agent.wordpress.version import version_by_etag
from agent.wordpress.visit import Visit


async def open_closed(visit: Visit, found: Found, login_failure: LoginRefused | None) -> Index:
    """The index as the proved login sees it, or as its parts tell it; raises RestClosed when nothing opens it."""
    if visit.auth is None:
        index = await _index_from_parts(visit, found)
    else:
        index = read_index(await visit.get_json(found.root.route("", _fields=INDEX_FIELDS)))
    if index is None or identity(index.home) != identity(visit.site.url):
        raise _closed(visit, found, login_failure)
    return index


async def _index_from_parts(visit: Visit, found: Found) -> Index | None:
    """Where just the index is closed: the search route describes itself, and the address is the configured one.

    Whose address it is, the links of its answers tell.
    """
    described = await described_search(visit, found.root)
    if described is None:
        return None
    try:
        post = await visit.get_json(found.root.route("wp/v2/types/post"))
    except SiteError:
        return None
    if not any(identity(link).startswith(f"{identity(visit.site.url)}/") for link in own_links(post)):
        return None  # another site answers for a wrong path below it
    visit.warn("the REST index is closed: the site's addresses are those of the settings")
    return Index(
        url=visit.site.url,
        home=visit.site.url,
        title=(found.front.title if found.front else None) or "",
        namespaces=frozenset({"wp/v2"}),
        application_passwords=False,
        searchable=described,
    )


def _closed(visit: Visit, found: Found, login_failure: LoginRefused | None) -> RestClosed:
    cause = found.closed
    reason = cause.reason if cause else "forbidden"
    if login_failure:
        return RestClosed(
            f"{visit.site.name}: the REST API is closed to strangers ({reason}), and {login_failure.message}",
            reason=login_failure.reason,
            hint=login_failure.hint,
        )
    hint = cause.hint if cause else "Give a login (username and application password)."
    return RestClosed(f"{visit.site.name}: the REST API is closed to strangers ({reason})", reason=reason, hint=hint)


async def read_fallback(
    visit: Visit, root: RestRoot, closed: RestClosed, *, finished_at: Callable[[], datetime]
) -> Answers:
    """What the sitemap shows of a closed site, for people to see; raises `closed` when there is none.

    It names public post types that have items, and counts them. Attachments, empty types and all
    taxonomies stay unknown, so this is never pushed.
    """
    sitemap = await read_sitemap(visit, visit.site.url, plain_permalinks=root.is_query)
    if sitemap is None or not sitemap.pages:
        raise closed
    counted: list[tuple[ContentType, Count]] = []
    for slug in sitemap.pages:
        total = await count_in_sitemap(visit, sitemap, slug)
        exact = sitemap.by_core and slug != "page"
        reason = None if total is not None else "sitemap_unreadable"
        counted.append((unlisted(Family.POST_TYPE, slug), Count(total, CountSource.SITEMAP, exact, reason=reason)))
    if not sitemap.by_core:
        visit.warn("the sitemap is an SEO plugin's, which does not tell taxonomies from post types")
    visit.warn(f"{closed.message}: only what the sitemap shows is listed, and nothing of it is pushed. {closed.hint}")
    return Answers(
        site_url=visit.site.url,
        home=visit.site.url,
        title="",
        root=root.url,
        version=await _version(visit),
        counted=tuple(counted),
        coverage=Coverage(Completeness.FALLBACK, (closed.reason,)),
        finished_at=finished_at(),
        closed=closed,
        warnings=visit.warnings,
    )


async def _version(visit: Visit) -> VersionAnswer:
    try:
        value = await version_by_etag(visit, visit.site.url)
    except SiteError:
        value = None
    return VersionAnswer(value, "etag" if value else None)
