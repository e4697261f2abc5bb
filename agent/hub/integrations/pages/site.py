"""One site: its content types, how it is doing, and “Sync now”."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from agent.hub.integrations.contents import count_synced
from agent.hub.integrations.freshness import freshness_of
from agent.hub.integrations.models import FAMILIES, SiteIntegration
from agent.hub.integrations.pages.access import for_readers, visible_integration, visible_integrations
from agent.hub.integrations.syncing import ask_for_sync, newest_request, newest_runs

TITLES: Final = {"post_types": "Post types", "taxonomies": "Taxonomies"}


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
@for_readers
def content_types(request: HttpRequest, site_id: int) -> HttpResponse:
    """One site's post types and taxonomies, with what is synced of each."""
    integration = visible_integration(request, site_id)
    known, synced = integration.config_json.get("content_types", {}), count_synced(integration)
    families = [
        (TITLES[key], type_rows(known.get(key, {}), synced.get(family, {}))) for key, family in FAMILIES.items()
    ]
    context = {**about(request, integration), "families": families, "tab": "site"}
    return render(request, "hub/content_types.html", context)


@require_POST
@for_readers
def sync_now(request: HttpRequest, site_id: int) -> HttpResponse:
    """Ask the site's agent for a sync; a second click finds the first one waiting."""
    user = request.user if request.user.is_authenticated else None
    ask_for_sync(visible_integration(request, site_id), user)
    return redirect("site", site_id)


def asked_page(request: HttpRequest) -> int:
    """The number in ?page=; anything that is none is the first."""
    text = request.GET.get("page", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 1


def about(request: HttpRequest, integration: SiteIntegration) -> dict[str, Any]:
    """What the head of each of a site's pages shows."""
    freshness = freshness_of(integration.last_structure_fetch, timezone.now(), integration.failing_since)
    sync = newest_request(integration)
    return {
        "site": integration.site,
        "integration": integration,
        "has_more_sites": visible_integrations(request).exclude(pk=integration.pk).exists(),
        "structure": integration.config_json.get("structure", {}),
        "freshness": freshness,
        "sync": sync,
        # While something is under way, the page looks again by itself.
        "is_moving": freshness.at is None or (sync is not None and sync.is_open),
        "failure": next(iter(newest_runs(integration, 1)), None) if freshness.state == "failing" else None,
    }


def type_rows(entries: Mapping[str, Any], synced: Mapping[str, int]) -> list[TypeRow]:
    """The entries as rows, sorted by label as people read it."""
    rows = [
        TypeRow(slug, entry["label"], entry["count"], synced.get(slug, 0), entry["enabled"], entry["fetch_limit"])
        for slug, entry in entries.items()
    ]
    return sorted(rows, key=lambda row: ((row.label or row.slug).casefold(), row.slug))
