"""Which sites fail, and since when: a failure is news when it begins, turns into another, and ends."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from agent.errors import AgentError, BackendError, SiteError
from agent.outcome import Outcome
from agent.state.records import Result


class Turning(StrEnum):
    BEGAN = "began"
    BECAME = "became"
    """It fails still, for another kind of reason."""
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Turn:
    """What an outcome changed about its site."""

    turning: Turning
    failing_since: datetime
    at: datetime
    known: bool = False
    """It failed already when this process began: news for its log, and for nobody else."""

    @property
    def failing_for_seconds(self) -> float:
        return max(0.0, (self.at - self.failing_since).total_seconds())


Hearer = Callable[[Outcome, Turn | None], None]
"""Hears of each outcome, with what is new about it; None when it is like the one before."""


class Outages:
    """Remembers how each failing site fails.

    since   of sites that failed when the process began
    kinds   of failure, by site: what has been told, also by an earlier one of these
    """

    def __init__(
        self, since: Mapping[str, datetime], *, now: Callable[[], datetime], kinds: dict[str, str] | None = None
    ) -> None:
        self._since = dict(since)
        self._kinds = {} if kinds is None else kinds
        self._now = now

    def turn_of(self, outcome: Outcome) -> Turn | None:
        site, at = outcome.site, self._now()
        if outcome.result is Result.DELIVERED:
            since = self._since.pop(site, None)
            self._kinds.pop(site, None)
            return Turn(Turning.ENDED, since, at) if since else None
        before, kind = self._kinds.get(site), kind_of(outcome.error)
        self._kinds[site] = kind
        known = site in self._since
        since = self._since.setdefault(site, at)
        if before == kind:
            return None
        return Turn(Turning.BECAME if before else Turning.BEGAN, since, at, known=known and before is None)

    def tell(self, *hearers: Hearer) -> Callable[[Outcome], None]:
        """Who is told of outcomes, with their turns."""

        def told(outcome: Outcome) -> None:
            turn = self.turn_of(outcome)
            for hear in hearers:
                hear(outcome, turn)

        return told


def kind_of(error: AgentError | None) -> str:
    """What may pass by itself is one kind, whatever it is called from one try to the next."""
    if error is not None and error.transient:
        return "site" if isinstance(error, SiteError) else "backend" if isinstance(error, BackendError) else "other"
    return type(error).__name__
