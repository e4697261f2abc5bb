"""What people chose at the backend per content type, as the backend says it and as provenance keeps it."""

from typing import Any

from agent.structure.model import Choice, Chosen, Family

CHOSEN = "type_settings"
"""Where both say it: {"post_types": {slug: {"enabled", "fetch_limit"}}, "taxonomies": {…}}."""


def chosen_in(said: Any) -> Chosen | None:
    """The choices in a row of the backend's or in a provenance; None when it says nothing of them.

    An entry of another shape is as good as unsaid.
    """
    settings = said.get(CHOSEN) if isinstance(said, dict) else None
    if not isinstance(settings, dict):
        return None
    chosen: dict[tuple[Family, str], Choice] = {}
    for family in Family:
        entries = settings.get(family.key)
        for slug, entry in entries.items() if isinstance(entries, dict) else ():
            match entry:
                case {"enabled": bool(enabled), "fetch_limit": int(limit)} if not isinstance(limit, bool):
                    chosen[family, slug] = Choice(enabled, limit)
    return chosen


def type_settings(chosen: Chosen) -> dict[str, Any]:
    """The same, to be said."""
    said: dict[str, Any] = {family.key: {} for family in Family}
    for (family, slug), choice in chosen.items():
        said[family.key][slug] = {"enabled": choice.enabled, "fetch_limit": choice.fetch_limit}
    return said
