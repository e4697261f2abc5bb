"""Everything that is learned about what is public, from whichever sources are open."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from agent.errors import AnswerNotUnderstood, RestClosed, SiteError
from agent.structure.model import ContentType, Family
from agent.wordpress.answers import Index, read_listing, search_subtypes
from agent.wordpress.atonce import both, every
from agent.wordpress.counts import families_of
from agent.wordpress.login import LoggedIn
from agent.wordpress.public import ATTACHMENT, POST_FORMAT, Evidence, Listing, unlisted, with_own_routes
from agent.wordpress.root import RestRoot
from agent.wordpress.sitemap import Sitemap, read_sitemap
from agent.wordpress.statuses import code_in
from agent.wordpress.visit import Visit

AMBIGUOUS_LIMIT = 100
"""Slugs whose family is asked for, two requests each; real sites have none or one."""

_ROUTES = {Family.POST_TYPE: "wp/v2/types", Family.TAXONOMY: "wp/v2/taxonomies"}


@dataclass(frozen=True, slots=True)
class Gathered:
    evidence: Evidence
    sitemap: Sitemap | None
    hidden_taxonomies: tuple[str, ...] = ()
    """Known to exist and to be hidden: named in the warnings, since their terms cannot be counted."""

    def searchable(self, kind: ContentType) -> bool:
        """Whether the search route counts this content type, and not something else in its name."""
        evidence = self.evidence
        if kind.slug not in (evidence.searchable or ()) or kind.slug == ATTACHMENT or not evidence.has_own_search:
            return False
        return kind.slug not in evidence.ambiguous or kind.family in evidence.proved.get(kind.slug, ())


async def gather(visit: Visit, root: RestRoot, index: Index, login: LoggedIn) -> Gathered:
    """Two requests on an ordinary site, and one for the sitemap."""
    exact = may_edit_all(login, index)
    listings = both(_listing(visit, root, Family.POST_TYPE), _listing(visit, root, Family.TAXONOMY))
    (types, taxonomies), sitemap = await both(listings, _sitemap(visit, root, index))
    searchable = index.searchable or await described_search(visit, root)
    if visit.auth and (searchable is None or not searchable & taxonomies.keys()):
        types, taxonomies = await _with_edit_context(visit, root, types, taxonomies)
    types, taxonomies = with_own_routes(types, taxonomies)
    evidence = Evidence(
        types=types,
        taxonomies=taxonomies,
        searchable=searchable,
        told_types=login.told.types if login.told else {},
        told_taxonomies=login.told.taxonomies if login.told else {},
        told_all=exact,
    )
    if searchable is None:
        visit.warn("the site has no search route: what is public had to be concluded from other signs")
    evidence = replace(
        evidence,
        proved=await _settled(visit, root, evidence),
        hidden_types=await _hidden_types(visit, root, evidence, sitemap),
        unsearched=_unsearched(evidence, sitemap),
    )
    if evidence.unsearched and not exact:
        slugs = ", ".join(sorted(slug for _, slug in evidence.unsearched)[:20])
        visit.warn(f"the search route leaves out what the sitemap shows ({slugs}): more of what is public may be missing")
    hidden_taxonomies = () if exact else await _hidden_taxonomies(visit, root, index, evidence, sitemap)
    return Gathered(evidence, sitemap, hidden_taxonomies)


def may_edit_all(login: LoggedIn, index: Index) -> bool:
    """Whether what XML-RPC told is all there is: to an administrator, unless REST shows more than was told.

    A type may ask for rights of its own that nobody was given; one that REST hides as well, only the sitemap shows.
    """
    if login.told is None or not login.is_administrator:
        return False
    return (index.searchable or frozenset()) <= login.told.types.keys() | login.told.taxonomies.keys()


async def _sitemap(visit: Visit, root: RestRoot, index: Index) -> Sitemap | None:
    return await read_sitemap(visit, root.beside(index.home) or index.home, plain_permalinks=root.is_query)


def _unsearched(evidence: Evidence, sitemap: Sitemap | None) -> frozenset[tuple[Family, str]]:
    """What core's sitemap proves to be public although the search route does not know it."""
    if sitemap is None or not sitemap.by_core or evidence.searchable is None:
        return frozenset()
    types = {(Family.POST_TYPE, slug) for slug in sitemap.pages.keys() & evidence.types.keys()}
    taxonomies = {(Family.TAXONOMY, slug) for slug in sitemap.taxonomies & evidence.taxonomies.keys()}
    return frozenset(one for one in types | taxonomies if one[1] not in evidence.searchable)


async def _listing(visit: Visit, root: RestRoot, family: Family, **parameters: str) -> Listing:
    """What REST lists of a family; nothing, with a warning, when just this route is closed."""
    route = _ROUTES[family]
    try:
        value = await visit.get_json(root.route(route, **parameters))
        listing, warnings = read_listing(family, value, where=route)
    except (RestClosed, AnswerNotUnderstood) as error:
        visit.warn(f"{route} is closed or broken ({error.reason}): labels come from the slugs")
        return {}
    for warning in warnings:
        visit.warn(warning)
    return listing


async def described_search(visit: Visit, root: RestRoot) -> frozenset[str] | None:
    """The public slugs as the search route describes itself: for an index that is closed, or that releases
    before 5.3 cannot cut down to one route. None when there is no such route."""
    try:
        answer = await visit.http.fetch("OPTIONS", root.route("wp/v2/search"), auth=visit.auth)
        return search_subtypes(visit.understand(answer))
    except SiteError:
        return None


async def _with_edit_context(
    visit: Visit, root: RestRoot, types: Listing, taxonomies: Listing
) -> tuple[Listing, Listing]:
    """The same listings with what the edit context adds; it leaves out what this login may not edit."""
    more_types, more_taxonomies = await both(
        _listing(visit, root, Family.POST_TYPE, context="edit"),
        _listing(visit, root, Family.TAXONOMY, context="edit"),
    )
    return {**types, **more_types}, {**taxonomies, **more_taxonomies}


async def _settled(visit: Visit, root: RestRoot, evidence: Evidence) -> Mapping[str, frozenset[Family]]:
    """The families of slugs that the listings leave open, as the search route knows them."""
    slugs = sorted(evidence.ambiguous)
    if len(slugs) > AMBIGUOUS_LIMIT:
        raise AnswerNotUnderstood(
            f"{visit.site.name}: {len(slugs)} content types are public, and none of the listings describes them",
            reason="types_closed",
            hint="Let the security plugin allow /wp/v2/types and /wp/v2/taxonomies.",
        )
    if not evidence.has_own_search:
        return {}
    families = await every(families_of(visit, root, slug) for slug in slugs)
    for slug, found in zip(slugs, families, strict=True):
        if not found:
            visit.warn(f"{slug!r} is public, but whether as a post type or a taxonomy could not be learned")
    return dict(zip(slugs, families, strict=True))


async def _hidden_types(
    visit: Visit, root: RestRoot, evidence: Evidence, sitemap: Sitemap | None
) -> dict[str, ContentType]:
    """Post types that only the sitemap shows. An SEO plugin's also names other things: WordPress is asked."""
    known = {*evidence.types, *evidence.taxonomies, *evidence.told_types, *(evidence.searchable or ())}
    slugs = sorted(slug for slug in (sitemap.pages if sitemap else ()) if slug not in known)
    if sitemap and not sitemap.by_core:
        exist = await every(_exists_hidden(visit, root, f"wp/v2/types/{slug}") for slug in slugs[:AMBIGUOUS_LIMIT])
        slugs = [slug for slug, exists in zip(slugs, exist, strict=False) if exists]
    return {slug: unlisted(Family.POST_TYPE, slug) for slug in slugs}


# Plugins that register public taxonomies outside of REST, by the namespace that gives them away.
_KNOWN_TO_HIDE = {"wc/v3": "product_shipping_class"}


async def _hidden_taxonomies(
    visit: Visit, root: RestRoot, index: Index, evidence: Evidence, sitemap: Sitemap | None
) -> tuple[str, ...]:
    """Taxonomies that the sitemap shows, or that a plugin is known to hide, and that nobody could count."""
    slugs = [slug for namespace, slug in _KNOWN_TO_HIDE.items() if namespace in index.namespaces]
    exist = await every(_exists_hidden(visit, root, f"wp/v2/taxonomies/{slug}") for slug in slugs)
    found = {slug for slug, exists in zip(slugs, exist, strict=True) if exists}
    # Where the listing is closed, whatever the sitemap shows would seem to be hidden.
    found |= sitemap.taxonomies if sitemap and evidence.taxonomies else frozenset()
    hidden = sorted(found - evidence.taxonomies.keys() - evidence.told_taxonomies.keys() - {POST_FORMAT.slug})
    for slug in hidden:
        visit.warn(f"taxonomy {slug} exists and is hidden from REST: an administrator's login would count it")
    return tuple(hidden)


async def _exists_hidden(visit: Visit, root: RestRoot, route: str) -> bool:
    """Whether WordPress knows something that it does not show: then it refuses instead of not finding it."""
    try:
        answer = await visit.get(root.route(route))
    except SiteError:
        return False
    return answer.status in (401, 403) and code_in(answer) in ("rest_cannot_read_type", "rest_forbidden")
