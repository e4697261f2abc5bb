"""How much of what is public a reading saw, said in the words of structure/coverage. Pure."""

from collections.abc import Collection, Iterable, Sequence

from agent.structure.model import Completeness, ContentType, Count, Coverage, Family
from agent.wordpress.answers import Index
from agent.wordpress.gathering import Gathered
from agent.wordpress.login import LoggedIn
from agent.wordpress.sitemap import Sitemap


def coverage_of(
    gathered: Gathered, login: LoggedIn, counted: Iterable[tuple[ContentType, Count]]
) -> Coverage:
    """What this reading may have missed, and why."""
    evidence = gathered.evidence
    closed = ["types_closed"] if not (evidence.types and evidence.taxonomies) else []
    if evidence.searchable is None:
        closed.append("no_search_route")
    if evidence.told_all:
        return of_administrator(closed, gathered.sitemap, counted, found=evidence.hidden_types)
    if evidence.unsearched:
        closed.append("search_cut")
    reasons = [_of_login(login), *closed]
    if not _shows_posts(gathered.sitemap, counted):
        reasons.append("rest_hidden_possible")
    elif evidence.hidden_types:
        reasons.append("rest_hidden_found")
    if gathered.hidden_taxonomies:
        reasons.append("taxonomies_hidden")
    partial = closed or not {"rest_hidden_possible", "rest_hidden_found", "taxonomies_hidden"}.isdisjoint(reasons)
    return Coverage(Completeness.PARTIAL if partial else Completeness.REST_ONLY, tuple(reasons))


def of_administrator(
    reasons: Sequence[str],
    sitemap: Sitemap | None,
    counted: Iterable[tuple[ContentType, Count]],
    *,
    found: Collection[str],
) -> Coverage:
    """For whoever may edit all that anybody may: what is hidden from REST and nobody may edit, only the sitemap shows.

    found   such types
    """
    if found:
        reasons = (*reasons, "nobodys_found")
    elif not _shows_posts(sitemap, counted):
        reasons = (*reasons, "nobodys_possible")
    return Coverage(Completeness.PARTIAL if reasons else Completeness.FULL, tuple(reasons))


def _shows_posts(sitemap: Sitemap | None, counted: Iterable[tuple[ContentType, Count]]) -> bool:
    """A sitemap without the posts that there are shows no other type either: something is wrong with it."""
    has_posts = any(kind.slug == "post" and kind.family is Family.POST_TYPE and count.value for kind, count in counted)
    return sitemap is not None and ("post" in sitemap.pages or not has_posts)


def _of_login(login: LoggedIn) -> str:
    match login.state:
        case "anonymous":
            return "anonymous"
        case "failed":
            return "login_failed"
        case _:
            return "role_too_weak" if login.told is not None else "xmlrpc_unavailable"


def language_scope(index: Index) -> str | None:
    """Where a language plugin is active: whose items the counts may be."""
    if any(namespace.startswith("wpml/") for namespace in index.namespaces):
        return "WPML is active: counts may be of the default language only"
    if any(namespace.startswith("pll/") for namespace in index.namespaces):
        return "Polylang is active: counts are of all languages unless it filters them"
    return None
