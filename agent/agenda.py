"""What each site wants next, and when: kept in order, so that a look costs what is due and not what is configured."""

import heapq
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from agent.schedule import DailyMoment, is_due, next_slot, slot_at
from agent.state.history import History
from agent.state.records import Delivery, SlotRow, SlotState, Trigger
from agent.structure.model import Site
from agent.sync import Task

CLOCK_WENT_BACK = timedelta(minutes=1)
"""More than a clock is ever corrected by in small steps."""


class Agenda:
    """The sites by the moment at which each wants something: a reading, or another try of its delivery.

    The state is the memory; this is only its order, and is made anew after a clock went back.
    """

    def __init__(self, sites: Iterable[Site], moments: Mapping[str, DailyMoment], history: History) -> None:
        self._sites = {site.name: site for site in sites}
        self._moments, self._history = moments, history
        self._order: list[tuple[datetime, str]] = []
        self._at: dict[str, datetime] = {}
        self._looked_at: datetime | None = None

    def __contains__(self, site: str) -> bool:
        return site in self._sites

    def due(self, now: datetime) -> list[str]:
        """The sites whose moment has come, the earliest first; each once until it is put back."""
        if self._looked_at is None or now < self._looked_at - CLOCK_WENT_BACK:
            self._order, self._at = [], {}
            for site in self._sites:
                self.put(site, now=now)
        self._looked_at = now
        found = []
        while self._order and self._order[0][0] <= now:
            at, site = heapq.heappop(self._order)
            if self._at.get(site) == at:
                del self._at[site]
                found.append(site)
        return found

    def put(self, site: str, *, now: datetime) -> None:
        """Back in its place, by what the state says of it now."""
        if site in self._sites:
            at = self._next_at(site, now)
            self._at[site] = at
            heapq.heappush(self._order, (at, site))

    def work_for(self, site: str, *, asked: bool, now: datetime) -> Task | Delivery | None:
        """What to do for a site now; None when nothing is due any more, or the site is gone."""
        if site not in self._sites:
            return None
        moment = self._moments[site]
        if asked:
            return Task(self._sites[site], slot_at(moment, now).day, Trigger.DEMAND)
        if task := due_task(self._sites[site], moment, self._history.slot(site), now=now):
            return task
        waiting = self._history.waiting(site, now=now)
        return waiting if waiting and waiting.next_at <= now else None

    def is_doubtful(self, site: str) -> bool:
        """Whether the site could not be read the last time."""
        row = self._history.slot(site)
        return row is not None and row.state is SlotState.OPEN and row.failures > 0

    def _next_at(self, site: str, now: datetime) -> datetime:
        row, moment = self._history.slot(site), self._moments[site]
        if due_task(self._sites[site], moment, row, now=now):
            return now
        times = [next_slot(moment, now).starts_at]
        if row and row.state is SlotState.OPEN and row.next_at:
            times.append(row.next_at)
        if waiting := self._history.waiting(site, now=now):
            times.append(waiting.next_at)
        return min(times)


def due_task(site: Site, moment: DailyMoment, row: SlotRow | None, *, now: datetime) -> Task | None:
    """What to do for a site now by its schedule; None when nothing is due. `row` is its newest slot in hand."""
    slot = slot_at(moment, now)
    if row is None or is_due(slot, row.day):
        return Task(site, slot.day, Trigger.SCHEDULE)
    if row.state is SlotState.OPEN and (row.next_at is None or row.next_at <= now):
        return Task(site, row.day, Trigger.SCHEDULE, failures=row.failures)
    return None
