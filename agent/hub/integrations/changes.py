"""What changed between two structures of one site, in words that its owner reads. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

Kind = Literal["site", "added", "removed", "renamed", "setting", "count"]

_FAMILIES: Final = (("post_types", "Post type"), ("taxonomies", "Taxonomy"))
_COUNTED: Final = {"post_types": "item", "taxonomies": "term"}
_ABOUT: Final = (
    ("site_url", "Site address"),
    ("wordpress_version", "WordPress version"),
    ("plugin_connection_enabled", "Plugin connection"),
    ("two_way_sync_enabled", "Two-way sync"),
)
_SETTINGS: Final = (("enabled", "enabled"), ("fetch_limit", "fetch limit"))


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is different."""

    kind: Kind
    """`site` is about the site as a whole, `setting` about enabled or fetch limit; the others say themselves."""
    family: str
    """`post_types` or `taxonomies`; empty for a change of the site."""
    slug: str
    """Of the type; for a change of the site the document's key."""
    words: str
    """A sentence without its full stop. Holds labels and slugs as they are: escape it."""

    def as_json(self) -> dict[str, str]:
        return asdict(self)


def changes_between(older: Mapping[str, Any] | None, newer: Mapping[str, Any]) -> tuple[Change, ...]:
    """The changes from one document to a later one, counts last; the first document of a site changes nothing."""
    if older is None:
        return ()
    found = [*_of_the_site(older, newer)]
    for family, name in _FAMILIES:
        found += _of_types(family, name, older.get(family, {}), newer.get(family, {}))
    return tuple(sorted(found, key=lambda change: change.kind == "count"))


def _of_the_site(older: Mapping[str, Any], newer: Mapping[str, Any]) -> Iterator[Change]:
    for key, name in _ABOUT:
        if older.get(key) != newer.get(key):
            yield Change("site", "", key, f"{name}: {_said(older.get(key))} → {_said(newer.get(key))}")


def _of_types(family: str, name: str, older: Mapping[str, Any], newer: Mapping[str, Any]) -> Iterator[Change]:
    for slug in sorted(newer.keys() - older.keys()):
        number, noun = newer[slug]["count"], _COUNTED[family]
        many = f"{number:,} {noun}{'' if number == 1 else 's'}"
        yield Change("added", family, slug, f"{name} {slug} is new: “{newer[slug]['label']}”, {many}")
    for slug in sorted(older.keys() - newer.keys()):
        label = older[slug]["label"]
        yield Change("removed", family, slug, f"{name} {slug} is no longer visible (was “{label}”)")
    for slug in sorted(newer.keys() & older.keys()):
        yield from _of_one_type(family, f"{name} {slug}", slug, older[slug], newer[slug])


def _of_one_type(
    family: str, name: str, slug: str, older: Mapping[str, Any], newer: Mapping[str, Any]
) -> Iterator[Change]:
    if older["label"] != newer["label"]:
        words = f"{name} is now called “{newer['label']}” (was “{older['label']}”)"
        yield Change("renamed", family, slug, words)
    for key, setting in _SETTINGS:
        if older[key] != newer[key]:
            words = f"{name}: {setting} {_said(older[key])} → {_said(newer[key])}"
            yield Change("setting", family, slug, words)
    if older["count"] != newer["count"]:
        before, after = older["count"], newer["count"]
        words = f"{newer['label']} ({slug}): {before:,} → {after:,} ({after - before:+,})"
        yield Change("count", family, slug, words)


def _said(value: Any) -> str:
    match value:
        case None | "":
            return "unknown"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
    return str(value)
