"""What people chose per content type on the page; it stands above what a push says."""

from collections.abc import Mapping
from typing import Any, Final

from django.db import transaction

from agent.hub.integrations.models import Family, SiteIntegration

KEY_OF: Final = {Family.POST_TYPE: "post_types", Family.TAXONOMY: "taxonomies"}
"""The family's key in a document."""
FETCH_LIMIT_LIMIT: Final = 999_999_999_999

Choices = Mapping[str, Mapping[str, Mapping[str, Any]]]


class UnknownContentType(LookupError):
    """The site has no content type of that name, so there is nothing to set."""


@transaction.atomic
def set_type(integration: SiteIntegration, family: str, slug: str, *, enabled: bool, fetch_limit: int) -> None:
    """Choose for one content type, from now on and for what is shown already.

    family   `post_type` or `taxonomy`
    Raises UnknownContentType, and ValueError for a fetch limit out of range.
    """
    if not 0 <= fetch_limit <= FETCH_LIMIT_LIMIT:
        raise ValueError(f"a fetch limit is a number from 0 to {FETCH_LIMIT_LIMIT}")
    # A push that comes at this moment writes the same document: one waits for the other.
    locked = SiteIntegration.objects.select_for_update().get(pk=integration.pk)
    key = KEY_OF[Family(family)]
    entry = locked.config_json.get("content_types", {}).get(key, {}).get(slug)
    if entry is None:
        raise UnknownContentType(slug)
    chosen = {"enabled": enabled, "fetch_limit": fetch_limit}
    entry.update(chosen)
    locked.config_json["type_settings"] = {**choices_of(locked), key: {**choices_of(locked)[key], slug: chosen}}
    locked.save(update_fields=["config_json"])


def choices_of(integration: SiteIntegration) -> Choices:
    """{"post_types": {slug: {"enabled", "fetch_limit"}}, "taxonomies": {…}}: only what somebody chose."""
    return {**{key: {} for key in KEY_OF.values()}, **integration.config_json.get("type_settings", {})}


def with_choices(entries: Mapping[str, Any], chosen: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The entries of one family as pushed, with what was chosen laid over them."""
    return {slug: {**entry, **chosen.get(slug, {})} for slug, entry in entries.items()}
