"""What people choose for each content type: whether it is fetched, and how many items of it."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any, Final

from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from agent.hub.integrations.models import FAMILIES, SiteIntegration
from agent.hub.integrations.pages.access import for_readers, visible_integration
from agent.hub.integrations.pages.site import about, type_rows
from agent.hub.integrations.type_settings import choices_of, set_type, unset_type

FETCH_LIMIT_MOST: Final = 1_000_000
"""As many as the agent's own settings take."""
TYPES_PER_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class ChoiceRow:
    """One content type in the form."""

    family: str
    """`post_types` or `taxonomies`."""
    slug: str
    label: str
    enabled: bool
    fetch_limit: str
    """As it stands in the field, right or wrong."""
    is_chosen: bool
    """Whether somebody chose here, so that the agent's own word no longer counts."""
    goes_back: bool = False
    """Whether it is to be the agent's again."""
    error: str = ""

    @property
    def kind(self) -> str:
        return str(FAMILIES[self.family].label)

    @property
    def key(self) -> str:
        """Its name in the form: as short for any slug, so that a page of them fits the limit on a form's size."""
        return hashlib.sha256(f"{self.family}:{self.slug}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


@require_http_methods(["GET", "HEAD", "POST"])
@for_readers
def choices(request: HttpRequest, site_id: int) -> HttpResponse:
    """The form of one site; what is changed in it is stored, all of it or nothing."""
    integration = visible_integration(request, site_id)
    page = Paginator(_stored(integration), TYPES_PER_PAGE).get_page(request.GET.get("page"))
    rows = list(page)
    if request.method == "POST":
        sent = [_sent(row, request.POST) for row in rows]
        if not any(row.error for row in sent):
            _store(integration, rows, sent)
            return redirect(f"{reverse('choices', args=[site_id])}?page={page.number}&saved=1")
        rows = sent
    context = {
        **about(request, integration),
        "tab": "choices",
        "number": page.number,
        "pages": page.paginator.num_pages,
        "previous": f"?page={page.number - 1}" if page.has_previous() else "",
        "next": f"?page={page.number + 1}" if page.has_next() else "",
        "rows": rows,
        "has_errors": any(row.error for row in rows),
        "is_saved": "saved" in request.GET and request.method != "POST",
        "most": FETCH_LIMIT_MOST,
    }
    return render(request, "hub/choices.html", context)


def _stored(integration: SiteIntegration) -> list[ChoiceRow]:
    known, chosen = integration.config_json.get("content_types", {}), choices_of(integration)
    return [
        ChoiceRow(family, row.slug, row.label, row.enabled, str(row.fetch_limit), is_chosen=row.slug in chosen[family])
        for family in FAMILIES
        for row in type_rows(known.get(family, {}), {})
    ]


def _sent(row: ChoiceRow, form: Any) -> ChoiceRow:
    """The row as the form says it; one that the form does not hold stays as it is."""
    text = form.get(f"limit:{row.key}")
    if text is None:
        return row
    text = text.strip()[:20]
    is_number = text.isascii() and text.isdigit() and 1 <= int(text) <= FETCH_LIMIT_MOST
    goes_back = row.is_chosen and row.key in form.getlist("back")
    is_right = is_number or goes_back or text == row.fetch_limit
    return replace(
        row,
        enabled=row.key in form.getlist("enabled"),
        fetch_limit=text,
        goes_back=goes_back,
        error="" if is_right else f"Give a number from 1 to {FETCH_LIMIT_MOST:,}.",
    )


@transaction.atomic
def _store(integration: SiteIntegration, before: list[ChoiceRow], after: list[ChoiceRow]) -> None:
    for old, new in zip(before, after, strict=True):
        if new.goes_back:
            unset_type(integration, new.family, new.slug)
        elif (old.enabled, old.fetch_limit) != (new.enabled, new.fetch_limit):
            set_type(integration, new.family, new.slug, enabled=new.enabled, fetch_limit=int(new.fetch_limit))
