"""All sites of an owner, a page at a time: searched, sorted and counted by the database."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from agent.backend.contract import PLATFORM
from agent.hub.integrations.freshness import STALE_AFTER, STATES, Freshness, freshness_of
from agent.hub.integrations.models import LISTED, SiteIntegration

SITES_PER_PAGE: Final = 100
RARE: Final = 20
"""Of a state that fewer than one site in so many has, all sites are found and sorted before a page is cut."""
_COLUMNS: Final = {
    "name": "site__sort_name",
    "fetched": "last_structure_fetch",
    "version": "wordpress_version",
    "posts": "posts",
    "terms": "terms",
}
SORTS: Final[Mapping[str, str]] = {
    f"{sign}{name}": f"{sign}{by}" for name, by in _COLUMNS.items() for sign in ("", "-")
}


@dataclass(frozen=True, slots=True)
class SiteRow:
    """One line of the list of sites."""

    site_id: int
    integration_id: int
    name: str
    url: str
    freshness: Freshness
    wordpress_version: str
    """Empty when unknown."""
    post_types: int
    posts: int
    taxonomies: int
    terms: int


@dataclass(frozen=True, slots=True)
class SitePage:
    """Some of an owner's sites, and how many there are."""

    rows: tuple[SiteRow, ...]
    number: int
    pages: int
    found: int
    """Sites that the search and the state left."""
    number_by_state: Mapping[str, int]
    """Of all sites, whatever was searched: {"fresh", "stale", "failing", "never"}."""

    @property
    def total(self) -> int:
        return sum(self.number_by_state.values())


def site_rows(
    owner: Any, *, search: str = "", state: str = "", sort: str = "name", page: int = 1, per_page: int = SITES_PER_PAGE
) -> SitePage:
    """One page of the owner's sites; a number out of range is the nearest page that exists.

    owner    a user, or None for everybody's (where pages are open)
    search   a part of the name or the address, in any case
    state    `fresh`, `stale`, `failing` or `never`; anything else is all of them
    sort     one of SORTS, with a minus for the other direction; anything else is by name
    """
    now = timezone.now()
    everything = sites_of(owner)
    numbers = number_by_state(everything, now)
    number_found = numbers[state] if state in STATES else sum(numbers.values())
    sort = sort if sort in SORTS else "name"
    is_common = RARE * number_found > sum(numbers.values())
    found = _along_names(owner) if owner is not None and is_common and sort in ("name", "-name") else everything
    if state in STATES:
        found = found.filter(in_state(state, now))
    if search := search.strip():
        found = found.filter(Q(site__sort_name__contains=search.casefold()) | Q(site__url__icontains=search))
        number_found = found.count()
    pages = max(1, -(-number_found // per_page))
    number = min(max(page, 1), pages)
    cut = _cut(_ordered(found, sort), (number - 1) * per_page, per_page)
    return SitePage(tuple(_row(values, now) for values in cut), number, pages, number_found, numbers)


def _ordered(found: QuerySet[SiteIntegration], sort: str) -> list[QuerySet[SiteIntegration]]:
    """The sites in their order, in parts that follow each other.

    Those never fetched are the oldest. Databases disagree where an index has its NULLs, so they are a part of their
    own: then each goes along its index and stops at the end of the page.
    """
    if _COLUMNS["fetched"] not in SORTS[sort]:
        return [found.order_by(SORTS[sort], "pk")]
    never = found.filter(last_structure_fetch=None).order_by("pk")
    fetched = found.exclude(last_structure_fetch=None).order_by(SORTS[sort], "pk")
    return [fetched, never] if sort.startswith("-") else [never, fetched]


def _cut(parts: list[QuerySet[SiteIntegration]], start: int, number: int) -> list[tuple[Any, ...]]:
    """So many rows of all parts together, from that one on."""
    first, *others = parts
    rows = list(_values(first[start : start + number]))
    if len(rows) < number and others:
        rows += _cut(others, max(0, start - first.count()), number - len(rows))
    return rows


def _along_names(owner: Any) -> QuerySet[SiteIntegration]:
    """The same as `sites_of`, asked so that the database goes along the names and stops at the end of the page."""
    return SiteIntegration.objects.filter(platform=PLATFORM, site__owner=owner)


def sites_of(owner: Any) -> QuerySet[SiteIntegration]:
    rows = SiteIntegration.objects.filter(platform=PLATFORM)
    return rows if owner is None else rows.filter(owner=owner)


def number_by_state(sites: QuerySet[SiteIntegration], now: datetime) -> dict[str, int]:
    """{"fresh", "stale", "failing", "never"}, by one query."""
    return sites.aggregate(**{name: Count("pk", filter=in_state(name, now)) for name in STATES})


def in_state(state: str, now: datetime) -> Q:
    """The condition of one state, the same that `freshness_of` tells of one row."""
    working, oldest_fresh = Q(failing_since=None), now - STALE_AFTER
    match state:
        case "failing":
            return ~working
        case "fresh":
            return working & Q(last_structure_fetch__gte=oldest_fresh)
        case "stale":
            return working & Q(last_structure_fetch__lt=oldest_fresh)
    return working & Q(last_structure_fetch=None)


def _values(rows: QuerySet[SiteIntegration]) -> Any:
    # Columns only: a document per row would be megabytes a page.
    return rows.values_list("site_id", "pk", "site__name", "site__url", *LISTED)


def _row(values: tuple[Any, ...], now: datetime) -> SiteRow:
    site_id, integration_id, name, url, fetched, failing_since, *rest = values
    return SiteRow(site_id, integration_id, name, url, freshness_of(fetched, now, failing_since), *rest)
