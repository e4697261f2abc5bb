"""What changed between two documents of one site, in words that a site owner reads."""

from dataclasses import dataclass, field
from typing import Any

from agent.structure.model import Family

_ABOUT = (
    ("site_url", "site address"),
    ("wordpress_version", "WordPress version"),
    ("plugin_connection_enabled", "plugin connection"),
    ("two_way_sync_enabled", "two-way sync"),
)
_SETTINGS = (("enabled", "enabled"), ("fetch_limit", "fetch limit"))
_COUNTED = {Family.POST_TYPE: "item", Family.TAXONOMY: "term"}


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes of the structure, apart from mere changes of counts."""

    structure: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    """Of `structure`: content types that came, went or were renamed."""
    count_steps: tuple[tuple[int, int], ...] = ()
    """Before and after, for each of `counts`."""

    def __bool__(self) -> bool:
        return bool(self.structure or self.counts)

    def as_json(self) -> dict[str, list[str]]:
        return {"structure": list(self.structure), "counts": list(self.counts)}


@dataclass(slots=True)
class _Found:
    structure: list[str] = field(default_factory=list)
    counts: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    count_steps: list[tuple[int, int]] = field(default_factory=list)

    def change_of_types(self, text: str) -> None:
        self.structure.append(text)
        self.types.append(text)


def diff(before: dict[str, Any] | None, after: dict[str, Any]) -> Changes:
    """The changes from one document to a later one; the first document of a site changes nothing."""
    if before is None:
        return Changes()
    found = _Found()
    for key, name in _ABOUT:
        if before.get(key) != after.get(key):
            found.structure.append(f"{name}: {_said(before.get(key))} → {_said(after.get(key))}")
    for family in Family:
        _compare(family, before.get(family.key, {}), after.get(family.key, {}), found)
    return Changes(tuple(found.structure), tuple(found.counts), tuple(found.types), tuple(found.count_steps))


def _compare(family: Family, before: dict[str, Any], after: dict[str, Any], found: _Found) -> None:
    kind = family.replace("_", " ")
    for slug in sorted(after.keys() - before.keys()):
        number, noun = after[slug]["count"], _COUNTED[family]
        many = f"{number:,} {noun}{'' if number == 1 else 's'}"
        found.change_of_types(f"{kind} {slug} is new: “{after[slug]['label']}”, {many}")
    for slug in sorted(before.keys() - after.keys()):
        found.change_of_types(f"{kind} {slug} is no longer visible (was “{before[slug]['label']}”)")
    for slug in sorted(before.keys() & after.keys()):
        old, new = before[slug], after[slug]
        if old["label"] != new["label"]:
            found.change_of_types(f"{kind} {slug} is now called “{new['label']}” (was “{old['label']}”)")
        for key, setting in _SETTINGS:
            if old[key] != new[key]:
                found.structure.append(f"{kind} {slug}: {setting} {_said(old[key])} → {_said(new[key])}")
        if old["count"] != new["count"]:
            found.count_steps.append((old["count"], new["count"]))
            step = f"{old['count']:,} → {new['count']:,} ({new['count'] - old['count']:+,})"
            found.counts.append(f"{new['label']} ({slug}): {step}")


def _said(value: Any) -> str:
    match value:
        case None | "":
            return "unknown"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
    return str(value)
