"""What people chose per content type on the page; it stands above what a push says."""

from collections.abc import Mapping
from typing import Any, Final

from django.db import transaction

from agent.hub.integrations.models import FAMILIES, SiteIntegration

FETCH_LIMIT_LIMIT: Final = 999_999_999_999
SETTINGS: Final = ("enabled", "fetch_limit")

Choices = Mapping[str, Mapping[str, Mapping[str, Any]]]


class UnknownContentType(LookupError):
    """The site has no content type of that name, so there is nothing to set."""


@transaction.atomic
def set_type(integration: SiteIntegration, family: str, slug: str, *, enabled: bool, fetch_limit: int) -> None:
    """Choose for one content type, from now on and for what is shown already.

    family   `post_types` or `taxonomies`
    Raises UnknownContentType, and ValueError for a fetch limit out of range.
    """
    if not 0 <= fetch_limit <= FETCH_LIMIT_LIMIT:
        raise ValueError(f"a fetch limit is a number from 0 to {FETCH_LIMIT_LIMIT}")
    locked, entry = _locked(integration, family, slug)
    chosen = {"enabled": enabled, "fetch_limit": fetch_limit}
    entry.update(chosen)
    _save(locked, family, {**choices_of(locked)[family], slug: chosen})


@transaction.atomic
def unset_type(integration: SiteIntegration, family: str, slug: str) -> None:
    """Leave one content type to the agent again; shown is what its newest push said. Raises UnknownContentType.

    An agent that was told of the choice has pushed the choice: then its own word is shown from its next push on.
    """
    locked, entry = _locked(integration, family, slug)
    newest = locked.snapshots.filter(pk=locked.newest_snapshot).values_list("document", flat=True).first() or {}
    pushed = newest.get(family, {}).get(slug, {})
    entry.update({key: pushed[key] for key in SETTINGS if key in pushed})
    _save(locked, family, {kept: chosen for kept, chosen in choices_of(locked)[family].items() if kept != slug})


def choices_of(integration: SiteIntegration) -> Choices:
    """{"post_types": {slug: {"enabled", "fetch_limit"}}, "taxonomies": {…}}: only what somebody chose."""
    return {**{family: {} for family in FAMILIES}, **integration.config_json.get("type_settings", {})}


def with_choices(entries: Mapping[str, Any], chosen: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The entries of one family as pushed, with what was chosen laid over them."""
    return {slug: {**entry, **chosen.get(slug, {})} for slug, entry in entries.items()}


def _locked(integration: SiteIntegration, family: str, slug: str) -> tuple[SiteIntegration, dict[str, Any]]:
    """(the integration, locked: a push at this moment writes the same document; the type's entry in it)."""
    locked = SiteIntegration.objects.select_for_update().get(pk=integration.pk)
    entry = locked.config_json.get("content_types", {}).get(family, {}).get(slug)
    if entry is None:
        raise UnknownContentType(slug)
    return locked, entry


def _save(locked: SiteIntegration, family: str, chosen: Mapping[str, Any]) -> None:
    locked.config_json["type_settings"] = {**choices_of(locked), family: dict(chosen)}
    locked.save(update_fields=["config_json"])
