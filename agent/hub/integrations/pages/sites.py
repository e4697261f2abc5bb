"""All sites at a glance: which are fresh, and which need somebody."""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from agent.hub.integrations.freshness import STATES
from agent.hub.integrations.pages.access import for_readers
from agent.hub.integrations.pages.site import asked_page, content_types
from agent.hub.integrations.site_rows import SORTS, site_rows

COLUMNS: Final = (
    ("name", "Site", ""),
    ("", "Health", ""),
    ("-fetched", "Last fetched", ""),
    ("-posts", "Content", "figure"),
    ("-version", "WordPress", ""),
)
"""How a column sorts at the first click, its title, and its class."""
SEARCH_LIMIT_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks for; anything else in it is ignored."""

    search: str
    state: str
    sort: str
    page: int

    @classmethod
    def of(cls, request: HttpRequest) -> "Asked":
        asked = request.GET
        return cls(
            search=asked.get("search", "").replace("\0", "").strip()[:SEARCH_LIMIT_CHARACTERS],
            state=asked.get("state", "") if asked.get("state") in STATES else "",
            sort=asked.get("sort", "") if asked.get("sort") in SORTS else "name",
            page=asked_page(request),
        )

    @property
    def is_narrowed(self) -> bool:
        return bool(self.search or self.state)

    def address(self, **changes: Any) -> str:
        """The same list with something else about it; from its first page unless a page is named."""
        asked = {"search": self.search, "state": self.state, "sort": self.sort, **changes}
        kept = {
            key: value for key, value in asked.items() if value and (key, value) not in (("sort", "name"), ("page", 1))
        }
        return f"?{urlencode(kept)}"


@require_safe
@for_readers
def sites(request: HttpRequest) -> HttpResponse:
    """Every site with its health; the only site's page when there is one."""
    asked = Asked.of(request)
    owner = request.user if request.user.is_authenticated else None
    found = site_rows(owner, search=asked.search, state=asked.state, sort=asked.sort, page=asked.page)
    if found.total == 1 and not request.GET and found.rows:
        return content_types(request, found.rows[0].site_id)
    context = {
        "asked": asked,
        "page": found,
        "columns": [_column(asked, *column) for column in COLUMNS],
        "states": [(state, found.number_by_state[state], asked.address(state=state)) for state in STATES],
        "every_state": asked.address(state=""),
        "previous": asked.address(page=found.number - 1) if found.number > 1 else "",
        "next": asked.address(page=found.number + 1) if found.number < found.pages else "",
    }
    return render(request, "hub/sites.html", context)


def _column(asked: Asked, sort: str, title: str, kind: str) -> dict[str, str]:
    """A second click on the sorted column turns it round."""
    turned = sort.removeprefix("-") if sort.startswith("-") else f"-{sort}"
    is_sorted = bool(sort) and asked.sort in (sort, turned)
    direction = "" if not is_sorted else "descending" if asked.sort.startswith("-") else "ascending"
    following = turned if asked.sort == sort else sort
    return {
        "title": title,
        "kind": kind,
        "direction": direction,
        "address": asked.address(sort=following) if sort else "",
    }
