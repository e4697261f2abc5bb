"""Why a reading may have missed something, in words from a closed list."""

COVERAGE_REASONS = {
    "anonymous": "no login: of what REST hides, only types with pages on the sitemap are seen, and no taxonomies",
    "login_failed": "the login failed, so the site was read as a stranger sees it",
    "no_search_route": "the site has no search route, so what is public was concluded from other signs",
    "nobodys_found": "some types are hidden from REST and nobody may edit them, so there may be more that have no pages",
    "nobodys_possible": "there is no sitemap that would show a type hidden from REST that nobody may edit",
    "rest_hidden_found": "some public types are hidden from REST, so hidden taxonomies are likely too",
    "rest_hidden_possible": "there is no sitemap that would show public types hidden from REST",
    "role_too_weak": "the login may not see every type: an administrator's would be exact",
    "search_cut": "the search route leaves out public types that the sitemap shows, so others may be missing",
    "taxonomies_hidden": "a plugin hides public taxonomies from REST",
    "types_closed": "the listing of types or taxonomies is closed",
    "xmlrpc_unavailable": "XML-RPC is switched off or blocked, so types hidden from REST may be missing",
}
"""Each reason in a sentence, for people."""
