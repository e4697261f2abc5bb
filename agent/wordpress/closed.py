"""A site whose REST API is closed: opened by the login, told by XML-RPC, or shown from its sitemap."""

from collections.abc import Callable
from datetime import datetime

from agent.errors import AnswerNotUnderstood, LoginRefused, RestClosed, SiteError
from agent.structure.model import (
    Answers,
    Completeness,
    ContentType,
    Count,
    Coverage,
    Family,
    LoginState,
    VersionAnswer,
)
from agent.wordpress.address import identity
from agent.wordpress.answers import INDEX_FIELDS, Index, own_links, read_index
from agent.wordpress.atonce import every
from agent.wordpress.counting import count_beside_rest
from agent.wordpress.coverage import of_administrator
from agent.wordpress.discovery import Found
from agent.wordpress.gathering import described_search
from agent.wordpress.login import LoggedIn
from agent.wordpress.public import unlisted
from agent.wordpress.root import RestRoot
from agent.wordpress.sitemap import read_sitemap
from agent.wordpress.version import version_by_etag
from agent.wordpress.visit import Visit


async def open_closed(visit: Visit, found: Found, login_failure: LoginRefused | None) -> Index:
    """The index as the proved login sees it, or as its parts tell it; raises RestClosed when nothing opens it."""
    index = await _index_by_login(visit, found) if visit.auth else None
    index = index or await _index_from_parts(visit, found)
    if index is None or identity(index.home) != identity(visit.site.url):
        raise _closed(visit, found, login_failure)
    return index


async def _index_by_login(visit: Visit, found: Found) -> Index | None:
    try:
        return read_index(await visit.get_json(found.root.route("", _fields=INDEX_FIELDS)))
    except (RestClosed, AnswerNotUnderstood):
        return None


async def _index_from_parts(visit: Visit, found: Found) -> Index | None:
    """Where just the index is closed, or cut: the search route describes itself, and the address is the configured one.

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
    visit.warn("the REST index is closed or cut: the site's addresses are those of the settings")
    return Index(
        url=visit.site.url,
        names_url=False,
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


async def read_beside_rest(
    visit: Visit, root: RestRoot, closed: RestClosed, login: LoggedIn, *, finished_at: Callable[[], datetime]
) -> Answers:
    """What XML-RPC and the sitemap tell of a site whose REST API stays closed; raises `closed` when neither does.

    An administrator is told everything by XML-RPC. Anybody else sees the sitemap: public post types that have
    items. Attachments, empty types and taxonomies may then be missing, so that is shown and never pushed.
    """
    told = login.told
    if told and identity(told.home or "") != identity(visit.site.url):
        raise closed  # what answers XML-RPC here is another site, or does not say which
    all_told = told is not None and login.is_administrator
    sitemap = await read_sitemap(visit, visit.site.url, plain_permalinks=root.is_query)
    if all_told and sitemap and not sitemap.by_core:
        sitemap = None  # it names other things too, and nothing here could tell them apart
    kinds: dict[tuple[Family, str], ContentType] = {
        (Family.POST_TYPE, slug): unlisted(Family.POST_TYPE, slug) for slug in (sitemap.pages if sitemap else ())
    }
    nobodys = {slug for _, slug in kinds if told and slug not in told.types}
    for kind in (*told.types.values(), *told.taxonomies.values()) if told else ():
        kinds[kind.family, kind.slug] = kind
    counts = await every(count_beside_rest(visit, kind, login, sitemap) for kind in kinds.values())
    if not any(counts):
        raise closed
    if sitemap and not sitemap.by_core:
        visit.warn("the sitemap is an SEO plugin's, which does not tell taxonomies from post types")
    if all_told:
        visit.warn(f"the REST API is closed to this login too ({closed.reason}): XML-RPC told everything")
    else:
        visit.warn(f"{closed.message}: only what the sitemap shows is listed, and nothing of it is pushed. {closed.hint}")
    counted = tuple((kind, count or _UNKNOWN) for kind, count in zip(kinds.values(), counts, strict=True))
    return Answers(
        site_url=(told.site_url if told else None) or visit.site.url,
        home=(told.home if told else None) or visit.site.url,
        title=told.title if told else "",
        root=root.url,
        version=VersionAnswer(told.version, "xmlrpc") if told and told.version else await _version(visit),
        counted=counted,
        coverage=of_administrator((), sitemap, counted, found=nobodys)
        if all_told
        else Coverage(Completeness.FALLBACK, (closed.reason,)),
        finished_at=finished_at(),
        login=LoginState(login.state, login.username, login.roles, login.failure),
        closed=None if all_told else closed,
        warnings=visit.warnings,
    )


_UNKNOWN = Count(None, reason="rest_closed")


async def _version(visit: Visit) -> VersionAnswer:
    try:
        value = await version_by_etag(visit, visit.site.url)
    except SiteError:
        value = None
    return VersionAnswer(value, "etag" if value else None)
