"""The pages: which sites are fresh, and the content types of each. Whole without JavaScript."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, redirect_to_login
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.db.models.fields.json import KT
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from agent.backend.contract import PLATFORM
from agent.hub.integrations.attempts import forgive, take_attempt
from agent.hub.integrations.contents import count_synced
from agent.hub.integrations.freshness import Freshness, freshness_of
from agent.hub.integrations.models import Content, SiteIntegration
from agent.hub.options import LOOPBACK_HOSTS

SITES_PER_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class SiteRow:
    """One line of the list of sites."""

    site_id: int
    name: str
    url: str
    freshness: Freshness
    wordpress_version: str | None
    totals: Mapping[str, Mapping[str, int]] | None


@dataclass(frozen=True, slots=True)
class TypeRow:
    """One post type or taxonomy as its table shows it."""

    slug: str
    label: str
    count: int
    synced: int
    enabled: bool
    fetch_limit: int

    @property
    def bar(self) -> int:
        """What the bar fills: records of items that were since deleted do not overflow it."""
        return min(self.synced, self.count)


@require_safe
def sites(request: HttpRequest) -> HttpResponse:
    """Every site with its freshness; the only site's page when there is one."""
    if not may_read(request):
        return redirect_to_login(request.get_full_path())
    rows = _site_rows(visible_integrations(request), timezone.now())
    if len(rows) == 1:
        return content_types(request, rows[0].site_id)
    states = [row.freshness.state for row in rows]
    context = {
        "page": Paginator(rows, SITES_PER_PAGE).get_page(request.GET.get("page")),
        "number_by_state": {state: states.count(state) for state in ("fresh", "stale", "never")},
    }
    return render(request, "hub/sites.html", context)


@require_safe
def content_types(request: HttpRequest, site_id: int) -> HttpResponse:
    """One site's post types and taxonomies, with what is synced of each."""
    if not may_read(request):
        return redirect_to_login(request.get_full_path())
    visible = visible_integrations(request)
    integration = get_object_or_404(visible.select_related("site"), site_id=site_id)
    known = integration.config_json.get("content_types", {})
    synced = count_synced(integration)
    context = {
        "site": integration.site,
        "integration": integration,
        "has_more_sites": visible.exclude(site_id=site_id).exists(),
        "structure": integration.config_json.get("structure", {}),
        "freshness": freshness_of(known.get("last_structure_fetch"), timezone.now()),
        "families": (
            ("Post types", type_rows(known.get("post_types", {}), synced.get(Content.Family.POST_TYPE, {}))),
            ("Taxonomies", type_rows(known.get("taxonomies", {}), synced.get(Content.Family.TAXONOMY, {}))),
        ),
    }
    return render(request, "hub/content_types.html", context)


def may_read(request: HttpRequest) -> bool:
    """Whether the pages answer: to a signed-in user, and to anybody where they are open.

    Open means addressed as loopback too, so that a proxy in front, or a foreign name that
    resolves to 127.0.0.1, does not open them to the world.
    """
    if request.user.is_authenticated:
        return True
    host, _ = split_domain_port(request.get_host())
    return bool(settings.WPSA_HUB_OPEN_PAGES) and host in LOOPBACK_HOSTS


def visible_integrations(request: HttpRequest) -> QuerySet[SiteIntegration]:
    """The only way the pages reach integrations: the user's own, or all where pages are open."""
    rows = SiteIntegration.objects.filter(platform=PLATFORM)
    return rows.filter(site__owner=request.user) if request.user.is_authenticated else rows


def _site_rows(integrations: QuerySet[SiteIntegration], now: datetime) -> list[SiteRow]:
    # Of each document only these few values are read: with thousands of sites the rest is megabytes.
    values = integrations.annotate(
        fetched=KT("config_json__content_types__last_structure_fetch"),
        version=KT("config_json__structure__wordpress_version"),
    ).values_list("site_id", "site__name", "site__url", "fetched", "version", "config_json__structure__totals")
    rows = [
        SiteRow(site_id, name, url, freshness_of(fetched, now), version, totals)
        for site_id, name, url, fetched, version, totals in values
    ]
    return sorted(rows, key=lambda row: (row.name.casefold(), row.site_id))


def type_rows(entries: Mapping[str, Any], synced: Mapping[str, int]) -> list[TypeRow]:
    """The entries as rows, sorted by label as people read it."""
    rows = [
        TypeRow(slug, entry["label"], entry["count"], synced.get(slug, 0), entry["enabled"], entry["fetch_limit"])
        for slug, entry in entries.items()
    ]
    return sorted(rows, key=lambda row: ((row.label or row.slug).casefold(), row.slug))


class SignInView(LoginView):
    """The form for people. Attempts are counted in the same bucket as those of the API."""

    template_name = "hub/sign_in.html"
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        wait = take_attempt(request.META.get("REMOTE_ADDR", ""), request.POST.get("username", ""))
        if wait is None:
            return super().post(request, *args, **kwargs)
        response = render(request, "hub/problem.html", {"title": "Too many attempts", "wait": wait}, status=429)
        response["Retry-After"] = str(wait)
        return response

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        forgive(self.request.META.get("REMOTE_ADDR", ""), self.request.POST.get("username", ""))
        return super().form_valid(form)
