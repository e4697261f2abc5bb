"""The past of one site: its structures, what changed between them, and its counts over time."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db.models import Q

from agent.hub.integrations.changes import Change, changes_between
from agent.hub.integrations.models import FAMILIES, SiteIntegration, StructureSnapshot

KEPT_FOR: Final = timedelta(days=90)
"""Of each of these days the last structure stays; the newest of all stays for ever. All of it when it is pruned next."""
PASSING_KEPT_FOR: Final = timedelta(days=2)
"""Structures that were replaced on the day they came stay this long …"""
PASSING_KEPT: Final = 50
"""… and only so many of them, however often somebody syncs."""
PRUNED_EVERY: Final = 16
"""Changes between two prunings of one site's history: to look for old ones at each was a quarter of what a push cost."""
ENTRIES_PER_PAGE: Final = 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the history: a structure, and how it differs from the one before."""

    snapshot: StructureSnapshot
    changes: tuple[Change, ...]
    """Empty for the oldest one that is kept."""
    is_first: bool
    """Whether nothing older is kept, so that there is nothing to compare with."""


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Some lines of the history, the newest first."""

    entries: tuple[Entry, ...]
    number: int
    pages: int
    total: int


@dataclass(slots=True)
class Series:
    """The counts of one content type, as a chart draws them."""

    label: str
    """As it is called now, or was when it was last seen."""
    points: list[tuple[datetime, int]] = field(default_factory=list)
    """Oldest first. Between two points of a span that stayed the same the count did not change."""


def remember(
    integration: SiteIntegration, document: Mapping[str, Any], *, generation: int | None, received_at: datetime
) -> None:
    """Add a structure to the history, or prolong the newest one when it is the same; now and then, prune.

    Call it while the integration is locked, and save the integration afterwards.
    """
    digest = digest_of(document)
    newest = integration.snapshots.filter(pk=integration.newest_snapshot)
    if digest == integration.structure_digest and newest.update(confirmed_at=received_at, generation=generation):
        return
    if integration.structure_since and _day(integration.structure_since) == _day(received_at):
        newest.update(is_passing=True)
    added = StructureSnapshot.objects.create(
        integration=integration,
        received_at=received_at,
        confirmed_at=received_at,
        generation=generation,
        digest=digest,
        document=document,
    )
    integration.newest_snapshot, integration.structure_digest = added.pk, digest
    integration.structure_since = received_at
    integration.changes_since_pruning += 1
    if integration.changes_since_pruning >= PRUNED_EVERY:
        _prune(integration, received_at)
        integration.changes_since_pruning = 0


def _prune(integration: SiteIntegration, now: datetime) -> None:
    passing = integration.snapshots.filter(is_passing=True).order_by("-received_at", "-pk")
    integration.snapshots.filter(pk__in=passing.values("pk")[PASSING_KEPT:]).delete()
    passed = Q(is_passing=True, received_at__lt=now - PASSING_KEPT_FOR)
    integration.snapshots.filter(passed | Q(confirmed_at__lt=now - KEPT_FOR)).delete()


def _day(moment: datetime) -> Any:
    return moment.astimezone(UTC).date()


def digest_of(document: Mapping[str, Any]) -> str:
    """SHA-256 of what lasts of a document: all but the time of reading."""
    lasting = {key: value for key, value in document.items() if key != "timestamp"}
    return hashlib.sha256(json.dumps(lasting, sort_keys=True).encode()).hexdigest()


def history_of(integration: SiteIntegration, *, page: int = 1, per_page: int = ENTRIES_PER_PAGE) -> HistoryPage:
    """One page of the history; a number out of range is the nearest page that exists."""
    snapshots = integration.snapshots.order_by("-received_at", "-pk")
    total = snapshots.count()
    pages = max(1, -(-total // per_page))
    number = min(max(page, 1), pages)
    start = (number - 1) * per_page
    # One more than is shown, for the last line to be compared with.
    found = list(snapshots[start : start + per_page + 1])
    entries = tuple(
        Entry(newer, changes_between(older.document if older else None, newer.document), is_first=older is None)
        for newer, older in zip(found, [*found[1:], None], strict=False)
    )
    return HistoryPage(entries[:per_page], number, pages, total)


def changes_since(
    integration: SiteIntegration, since: datetime | None
) -> tuple[StructureSnapshot | None, StructureSnapshot | None, tuple[Change, ...]]:
    """(what was there then, what is there now, what changed); both are None before the first push.

    since   a time before all that is kept means the oldest; None means the structure before the newest
    """
    snapshots = integration.snapshots.order_by("-received_at", "-pk")
    newest = snapshots.first()
    if newest is None:
        return None, None, ()
    if since is None:
        older = next(iter(snapshots[1:2]), newest)
    else:
        older = snapshots.filter(received_at__lte=since).first() or snapshots.last() or newest
    return older, newest, changes_between(older.document, newest.document)


def counts_over_time(integration: SiteIntegration) -> Mapping[str, Mapping[str, Series]]:
    """{"post_types": {slug: Series}, "taxonomies": {slug: Series}} over all that is kept."""
    snapshots = integration.snapshots.order_by("received_at", "pk")
    return series_of(snapshots.values_list("received_at", "confirmed_at", "document"))


def series_of(spans: Iterable[tuple[datetime, datetime, Mapping[str, Any]]]) -> Mapping[str, Mapping[str, Series]]:
    """The series of (first seen, last seen, document), given oldest first."""
    found: dict[str, dict[str, Series]] = {family: {} for family in FAMILIES}
    for began, ended, document in spans:
        for family, series in found.items():
            for slug, entry in document[family].items():
                one = series.setdefault(slug, Series(entry["label"]))
                one.label = entry["label"]
                one.points += [(moment, entry["count"]) for moment in dict.fromkeys((began, ended))]
    return found
