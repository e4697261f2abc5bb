"""How much of what is public a reading saw, said in words from a closed list. Pure."""

from agent.structure.model import Completeness, Coverage
from agent.wordpress.answers import Index
from agent.wordpress.gathering import Gathered
from agent.wordpress.login import LoggedIn

REASONS = {
    "anonymous": "no login: public taxonomies that REST hides would not be seen",
    "login_failed": "the login failed, so the site was read as a stranger sees it",
    "no_search_route": "the site has no search route, so what is public was concluded from other signs",
    "rest_hidden_found": "some public types are hidden from REST, so hidden taxonomies are likely too",
    "rest_hidden_possible": "there is no sitemap that would show public types hidden from REST",
    "role_too_weak": "the login may not see every type: an administrator's would be exact",
    "taxonomies_hidden": "a plugin hides public taxonomies from REST",
    "types_closed": "the listing of types or taxonomies is closed",
    "xmlrpc_unavailable": "XML-RPC is switched off or blocked, so types hidden from REST may be missing",
}
"""Each reason in a sentence, for people."""


def coverage_of(index: Index, gathered: Gathered, login: LoggedIn) -> Coverage:
    """What this reading may have missed, and why."""
    evidence = gathered.evidence
    closed = ["types_closed"] if not (evidence.types and evidence.taxonomies) else []
    if evidence.searchable is None:
        closed.append("no_search_route")
    if login.told is not None and login.is_administrator:
        return Coverage(Completeness.PARTIAL if closed else Completeness.FULL, tuple(closed))
    reasons = [_of_login(login), *closed]
    if gathered.sitemap is None:
        reasons.append("rest_hidden_possible")
    elif evidence.hidden_types:
        reasons.append("rest_hidden_found")
    if gathered.hidden_taxonomies:
        reasons.append("taxonomies_hidden")
    partial = closed or not {"rest_hidden_possible", "rest_hidden_found", "taxonomies_hidden"}.isdisjoint(reasons)
    return Coverage(Completeness.PARTIAL if partial else Completeness.REST_ONLY, tuple(reasons))


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
