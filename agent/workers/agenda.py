"""What each site of a fleet wants next, and when: kept in the shared state, where every worker sees it."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from agent.agenda import is_doubtful, wanted_at, work_for
from agent.bulkhead import Work
from agent.errors import StateError
from agent.roster import Roster, TableRoster
from agent.schedule import DailyMoment
from agent.state.history import History
from agent.state.sites import Sites


class SharedAgenda:
    """The sites of the table; the engine says whose moment has come, and the ledger whether there is anything to do."""

    catching_up = 0
    lost: StateError | None = None
    """Why nobody says so at the moment: the engine has lost its database."""

    def __init__(self, sites: Sites, roster: Roster, moments: Mapping[str, DailyMoment], history: History) -> None:
        self._sites, self._roster = sites, roster
        self._moments, self._history = moments, history
        self._asked_at: dict[str, datetime] = {}
        """What somebody asked for, of the sites in hand."""

    def __contains__(self, site: str) -> bool:
        return site in self._sites

    def named(self) -> Iterable[str]:
        return self._sites.names()

    def due(self, now: datetime) -> list[str]:
        """Nothing by itself: the engine wakes this worker for what is due. Raises StateError while it cannot."""
        if self.lost:
            raise self.lost
        return []

    def work_for(self, site: str, *, asked: bool, now: datetime) -> Work | None:
        """What to do for a site now; None when nothing is due any more, or the site is gone."""
        if isinstance(self._roster, TableRoster):
            try:
                self._roster.refresh(site)
            except KeyError:
                return None
        known = self._roster.get(site)
        if known is None:
            return None
        asked_at = self._sites.asked_at(site)
        if asked_at:
            self._asked_at[site] = asked_at
        return work_for(known.as_site(), self._moments[site], self._history, asked=asked or asked_at is not None, now=now)

    def is_doubtful(self, site: str) -> bool:
        return is_doubtful(site, self._history)

    def put(self, site: str, *, now: datetime) -> None:
        """Back in its place, by what the state says of it now."""
        answered = self._asked_at.pop(site, None)
        known = self._roster.get(site)
        if known is not None:
            at = wanted_at(known.as_site(), self._moments[site], self._history, now=now)
            self._sites.set_next(site, at, answered=answered)
