"""Which integration belongs to a site: looked up, checked on our side, never guessed."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from agent.backend.contract import INTEGRATION_ID_PATTERN, PAGES_LIMIT, PLATFORM
from agent.backend.statuses import NO_INTEGRATION_HINT, no_json
from agent.errors import ContractBroken, IntegrationAmbiguous, IntegrationNotFound
from agent.strictjson import BadJson
from agent.transport import Answer


@dataclass(frozen=True, slots=True)
class Target:
    """Where the documents of one site go, as configured."""

    site_id: str | None
    integration_id: str | None


Get = Callable[[str], Awaitable[Answer]]
"""The successful answer of one address; raises BackendError."""


async def find_integration(
    get: Get, target: Target, *, listing_url: str, offers: Callable[[frozenset[str]], None] = lambda _: None
) -> str:
    """The id of the one WordPress integration of this site.

    offers   hears what the backend offers besides, by its own words
    Raises IntegrationNotFound, IntegrationAmbiguous or ContractBroken.
    """
    query = {"site": target.site_id or "", "platform": PLATFORM}
    rows = [row async for row in rows_of(get, listing_url, query) if _is_ours(row, target)]
    found = _the_only(sorted({id_of(row) for row in rows}), target)
    offers(_capabilities(rows[0]))
    return found


async def rows_of(get: Get, listing_url: str, query: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
    """The integrations that the backend lists for this query, page after page.

    The listing is a bare list, a page, or an envelope around either. Only the query of a page's
    `next` is used, on the configured address: it is built from whatever Host the last proxy saw.
    Raises ContractBroken.
    """
    following: str | None = urlencode(query)
    seen: set[str] = set()
    while following is not None:
        if following in seen or len(seen) == PAGES_LIMIT:
            raise _endless()
        seen.add(following)
        rows, following_page = _page(await get(f"{listing_url}?{following}"))
        for row in rows:
            if not isinstance(row, dict):
                raise _contract("the backend's list of integrations holds something that is none")
            yield row
        following = urlsplit(following_page).query if following_page else None


def ids_in(row: dict[str, Any]) -> set[str]:
    """By what the sites of a row may be known here: the integration's id, and what it says of the site. Raises ContractBroken."""
    return {id_of(row), *(str(value) for value in _site_ids(row))}


class Whose:
    """Which of our sites a row is of, however many there are."""

    def __init__(self, targets: Mapping[str, Target]) -> None:
        self._by_integration = {target.integration_id: site for site, target in targets.items()}
        self._by_site_id = {target.site_id: site for site, target in targets.items() if not target.integration_id}

    def site_of(self, row: dict[str, Any]) -> str | None:
        """None for a row of nobody here."""
        if (site := self._by_integration.get(id_of(row))) is not None:
            return site
        sites = (self._by_site_id.get(str(value)) for value in _site_ids(row))
        return next((site for site in sites if site is not None), None)


def _page(answer: Answer) -> tuple[list[Any], str | None]:
    """(rows, the address of the next page or None), whichever of the three shapes it has."""
    try:
        body = answer.json()
    except BadJson:
        raise no_json(answer) from None
    if isinstance(body, dict) and "data" in body:
        body = body["data"]
    match body:
        case list():
            return body, None
        case {"results": list(rows), **rest}:
            following = rest.get("next")
            return rows, following if isinstance(following, str) else None
        case _:
            raise _contract("the backend's list of integrations has an unknown shape")


def _is_ours(row: dict[str, Any], target: Target) -> bool:
    """Whether a row is this site's on WordPress; a backend that ignores the filter shows others too."""
    platform = row.get("platform", PLATFORM)
    sites = {str(value) for value in _site_ids(row)}
    return str(platform).lower() == PLATFORM and (not sites or target.site_id in sites)


def _site_ids(row: dict[str, Any]) -> Iterator[Any]:
    site = row.get("site")
    if isinstance(site, dict):
        yield from (site[key] for key in ("id", "uuid", "slug") if key in site)
    elif site is not None:
        yield site
    if row.get("site_id") is not None:
        yield row["site_id"]


def _capabilities(row: dict[str, Any]) -> frozenset[str]:
    """What a row says of its `capabilities`; most backends say nothing."""
    said = row.get("capabilities")
    return frozenset(one for one in said if isinstance(one, str)) if isinstance(said, list) else frozenset()


def id_of(row: dict[str, Any]) -> str:
    """The integration's id, as it may stand in a path. Raises ContractBroken."""
    value = row.get("id")
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not re.fullmatch(INTEGRATION_ID_PATTERN, text):
        raise _contract("the backend's list of integrations holds one without a usable id")
    return text


def _the_only(found: list[str], target: Target) -> str:
    match found:
        case [one]:
            return one
        case []:
            raise IntegrationNotFound(
                f"the backend has no WordPress integration for site {target.site_id}",
                reason="be_no_integration",
                hint=NO_INTEGRATION_HINT,
            )
        case _:
            raise IntegrationAmbiguous(
                f"the backend has several WordPress integrations for site {target.site_id}: {', '.join(found[:10])}",
                reason="be_ambiguous",
                hint="Say which by WPSA_BACKEND_INTEGRATION_ID (or integration_id of the site).",
            )


def _endless() -> ContractBroken:
    return _contract(f"the backend's list of integrations has no end ({PAGES_LIMIT} pages)", reason="be_page_cap")


def _contract(message: str, *, reason: str = "be_contract") -> ContractBroken:
    return ContractBroken(message, reason=reason, hint="Show it to the backend's owner.")
