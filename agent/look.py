"""Looking without touching: a site's structure now, and what the state remembers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from agent.clock import SYSTEM
from agent.errors import UsageError
from agent.exchange import Observer
from agent.kept import read_state
from agent.naming import chosen_sites
from agent.schedule import STALE_AFTER, moment_for, next_slot
from agent.settings import Settings, SiteSettings
from agent.state.history import History
from agent.state.records import Delivery, RunRow, Snapshot
from agent.structure.diff import Changes, diff
from agent.structure.model import Structure
from agent.structure.payload import iso_utc


async def look_at(settings: Settings, site: SiteSettings, *, observers: tuple[Observer, ...] = ()) -> Structure:
    """The site's structure as it is now; nothing is pushed or stored. Raises SiteError."""
    # The network is half of the start: what only asks the state does without it.
    from agent.bootstrap import site_reader
    from agent.sync import read_site
    from agent.telemetry.observers import log_exchange

    reader = site_reader(settings, [site], observers=(log_exchange, *observers))
    return await read_site(site.as_site(), reader=reader, choices=settings.choices_for(site))


@dataclass(frozen=True, slots=True)
class Standing:
    """How one site stands."""

    site: str
    freshness: str
    """`fresh`, `stale` or `never`, by what the backend acknowledged."""
    delivered_at: datetime | None
    next_slot_at: datetime | None
    """None for a site that is not configured: it only waits for what it is still owed."""
    last_run: RunRow | None
    owed: Delivery | None
    now: datetime

    def as_json(self) -> dict[str, Any]:
        run, owed = self.last_run, self.owed
        return {
            "site": self.site,
            "freshness": self.freshness,
            "last_delivered_at": _exact(self.delivered_at),
            "next_slot_at": _exact(self.next_slot_at),
            "last_run": run and {
                "started_at": _exact(run.started_at),
                "finished_at": _exact(run.finished_at),
                "result": run.result,
                "reason": run.reason,
                "message": run.message,
                "hint": run.hint,
                "integration_id": run.integration_id,
                "provenance": run.provenance,
            },
            "pending": owed and {
                "generation": owed.generation,
                "owed_at": _exact(owed.owed_at),
                "next_at": None if owed.quarantined else _exact(owed.next_at),
                "tries": owed.failures,
                "held": owed.held,
                "quarantined": owed.quarantined,
                "reason": owed.reason,
                "message": owed.message,
                "hint": owed.hint,
            },
        }


def standings(settings: Settings, *, now: Callable[[], datetime] = SYSTEM.now) -> list[Standing]:
    """How each configured site stands, and each that the state still owes something to."""
    at = now()
    configured = [site.called for site in settings.all_sites]
    with _history(settings) as history:
        owed = [site for site in (history.owing_sites() if history else []) if site not in configured]
        return [_standing(site, history, settings, at, scheduled=site in configured) for site in configured + owed]


def _standing(
    site: str, history: History | None, settings: Settings, now: datetime, *, scheduled: bool
) -> Standing:
    delivered = history.last_delivered_at(site) if history else None
    moment = moment_for(site, at=settings.schedule.at, zone=settings.schedule.zone)
    return Standing(
        site=site,
        freshness="never" if delivered is None else "fresh" if now - delivered < STALE_AFTER else "stale",
        delivered_at=delivered,
        next_slot_at=next_slot(moment, now).starts_at if scheduled else None,
        last_run=next(iter(history.runs(site, limit=1)), None) if history else None,
        owed=history.owed_to(site) if history else None,
        now=now,
    )


def past_structures(settings: Settings, site: str) -> list[Snapshot]:
    """The newest first; raises UsageError for a site that the state does not know."""
    with _history(settings) as history:
        name = _known_name(settings, site, history)
        return history.structures(name, limit=200) if history else []


def changes_since(settings: Settings, site: str, since: str | None) -> Changes:
    """Between the last two structures, or between the newest and the last one before a day."""
    midnight = _midnight(since)
    snapshots = past_structures(settings, site)
    if not snapshots:
        return Changes()
    before = _before(snapshots, midnight)
    return diff(dict(before.document) if before else None, dict(snapshots[0].document))


def _midnight(day: str | None) -> datetime | None:
    """The beginning of a day as people write it, in UTC; raises UsageError."""
    if day is None:
        return None
    try:
        return datetime.combine(date.fromisoformat(day), time(), tzinfo=UTC)
    except ValueError:
        raise UsageError(f"{day!r} is not a day", reason="usage", hint="Write it as 2026-11-21.") from None


def _before(snapshots: list[Snapshot], midnight: datetime | None) -> Snapshot | None:
    if midnight is None:
        return snapshots[1] if len(snapshots) > 1 else None
    # Where history does not reach back so far, its oldest entry is the best there is.
    return next((snapshot for snapshot in snapshots if snapshot.fetched_at < midnight), snapshots[-1])


def _known_name(settings: Settings, site: str, history: History | None) -> str:
    if history and site in history.known_sites():
        return site
    [chosen] = chosen_sites(settings, [site])
    return chosen.called


@contextmanager
def _history(settings: Settings) -> Iterator[History | None]:
    history = read_state(settings)
    try:
        yield history
    finally:
        if history:
            history.close()


def _exact(moment: datetime | None) -> str | None:
    return iso_utc(moment) if moment else None
