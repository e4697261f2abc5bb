"""All sites of an owner, a page at a time: searched, sorted and counted by the database."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Count, F, Q, QuerySet
from django.utils import timezone

from agent.backend.contract import PLATFORM
from agent.hub.integrations.freshness import STALE_AFTER, STATES, Freshness, freshness_of
from agent.hub.integrations.models import LISTED, SiteIntegration

SITES_PER_PAGE: Final = 100
SORTS: Final[Mapping[str, Any]] = {
    "name": F("site__sort_name").asc(),
    "-name": F("site__sort_name").desc(),
    "fetched": F("last_structure_fetch").asc(nulls_first=True),
    "-fetched": F("last_structure_fetch").desc(nulls_last=True),
    "version": F("wordpress_version").asc(),
    "-version": F("wordpress_version").desc(),
    "posts": F("posts").asc(),
    "-posts": F("posts").desc(),
    "terms": F("terms").asc(),
    "-terms": F("terms").desc(),
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
    found, number_found = everything, sum(numbers.values())
    if state in STATES:
        found, number_found = found.filter(in_state(state, now)), numbers[state]
    if search := search.strip():
        found = found.filter(Q(site__sort_name__contains=search.casefold()) | Q(site__url__icontains=search))
        number_found = found.count()
    pages = max(1, -(-number_found // per_page))
    number = min(max(page, 1), pages)
    ordered = found.order_by(SORTS.get(sort, SORTS["name"]), "pk")
    start = (number - 1) * per_page
    rows = tuple(_row(values, now) for values in _values(ordered[start : start + per_page]))
    return SitePage(rows, number, pages, number_found, numbers)


def sites_of(owner: Any) -> QuerySet[SiteIntegration]:
    rows = SiteIntegration.objects.filter(platform=PLATFORM)
    return rows if owner is None else rows.filter(site__owner=owner)


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
