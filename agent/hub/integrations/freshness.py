"""How old a structure is, as people say it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

STALE_AFTER: Final = timedelta(days=1)

State = Literal["fresh", "stale", "never"]


@dataclass(frozen=True, slots=True)
class Freshness:
    """When a structure was last fetched, seen from now."""

    state: State
    at: datetime | None
    age: str
    """"3 minutes ago", or "never"."""

    @property
    def machine(self) -> str:
        return self.at.isoformat(timespec="seconds") if self.at else ""

    @property
    def exact(self) -> str:
        return self.at.strftime("%-d %B %Y, %H:%M:%S UTC") if self.at else ""


def freshness_of(last_structure_fetch: str | None, now: datetime) -> Freshness:
    """The freshness of a stored ISO 8601 time; None is never."""
    if not last_structure_fetch:
        return Freshness("never", None, "never")
    at = datetime.fromisoformat(last_structure_fetch).astimezone(UTC)
    elapsed = now - at
    return Freshness("stale" if elapsed > STALE_AFTER else "fresh", at, say_age(elapsed))


def say_age(elapsed: timedelta) -> str:
    """The age in its largest unit, rounded down; a time ahead of the clock is just now."""
    seconds = int(elapsed.total_seconds())
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if number := max(seconds, 0) // length:
            return f"{number:,} {unit}{'' if number == 1 else 's'} ago"
    return "just now"
