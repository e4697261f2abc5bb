"""How a site is doing: whether its structure is young, and whether its agent can keep it so."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, get_args

STALE_AFTER: Final = timedelta(days=1)

State = Literal["fresh", "stale", "failing", "never"]
STATES: Final = get_args(State)


@dataclass(frozen=True, slots=True)
class Freshness:
    """When a structure was last fetched, seen from now."""

    state: State
    """`failing` while the agent's runs fail, however young the structure is; else how young it is."""
    at: datetime | None
    age: str
    """"3 minutes ago", or "never"."""

    @property
    def machine(self) -> str:
        return self.at.isoformat(timespec="seconds") if self.at else ""

    @property
    def exact(self) -> str:
        return self.at.strftime("%-d %B %Y, %H:%M:%S UTC") if self.at else ""


def freshness_of(
    last_structure_fetch: datetime | str | None, now: datetime, failing_since: datetime | None = None
) -> Freshness:
    """The freshness of a stored time, which may be its ISO 8601 text; None is never."""
    if not last_structure_fetch:
        return Freshness("failing" if failing_since else "never", None, "never")
    if isinstance(last_structure_fetch, str):
        last_structure_fetch = datetime.fromisoformat(last_structure_fetch)
    at = last_structure_fetch.astimezone(UTC)
    elapsed = now - at
    young: State = "stale" if elapsed > STALE_AFTER else "fresh"
    return Freshness("failing" if failing_since else young, at, say_age(elapsed))


def say_age(elapsed: timedelta) -> str:
    """The age in its largest unit, rounded down; a time ahead of the clock is just now."""
    seconds = int(elapsed.total_seconds())
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if number := max(seconds, 0) // length:
            return f"{number:,} {unit}{'' if number == 1 else 's'} ago"
    return "just now"
