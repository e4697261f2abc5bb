"""What each site wants next, and when: kept in order, so that a look costs what is due and not what is configured."""

import heapq
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from hashlib import sha256

from agent.schedule import DailyMoment, is_due, next_slot, slot_at
from agent.state.history import History
from agent.state.records import Delivery, SlotRow, SlotState, Trigger
from agent.structure.model import Site
from agent.sync import Task

CLOCK_WENT_BACK = timedelta(minutes=1)
"""More than a clock is ever corrected by in small steps."""
LATE = timedelta(minutes=10)
"""Nobody waits so long for his turn; who is later was kept by a standstill, together with many others."""
CAUGHT_UP_AT_ONCE = 16
CATCH_UP_SECONDS, CAUGHT_UP_A_SECOND = 900.0, 4.0
"""All others take at least so long, and come no faster than that: a restart is no reason to overrun anybody."""


_Turn = tuple[datetime, str]
"""When, and which site."""


class Agenda:
    """The sites by the moment at which each wants something: a reading, or another try of its delivery.

    The state is the memory; this is only its order, and is made anew after a clock went back.
    """

    def __init__(self, sites: Iterable[Site], moments: Mapping[str, DailyMoment], history: History) -> None:
        self._sites = {site.name: site for site in sites}
        self._moments, self._history = moments, history
        self._order: list[_Turn] = []
        self._at: dict[str, datetime] = {}
        self._catching_up: set[str] = set()
        """Late sites that have a turn already."""
        self._looked_at: datetime | None = None

    def __contains__(self, site: str) -> bool:
        return site in self._sites

    def named(self) -> Iterable[str]:
        return self._sites

    @property
    def catching_up(self) -> int:
        """How many late sites wait for a turn that keeps them apart."""
        return len(self._catching_up)

    def due(self, now: datetime) -> list[str]:
        """The sites whose moment has come, the earliest first; each once until it is put back."""
        if self._looked_at is None or now < self._looked_at - CLOCK_WENT_BACK:
            self._order, self._at, self._catching_up = [], {}, set()
            for site in self._sites:
                self.put(site, now=now)
        self._looked_at = now
        found = []
        while self._order and self._order[0][0] <= now:
            at, site = heapq.heappop(self._order)
            if self._at.get(site) == at:
                del self._at[site]
                found.append((at, site))
        return [site for _, site in self._without_a_rush(found, now)]

    def put(self, site: str, *, now: datetime) -> None:
        """Back in its place, by what the state says of it now."""
        if site in self._sites:
            self._catching_up.discard(site)
            self._put_at(wanted_at(self._sites[site], self._moments[site], self._history, now=now), site)

    def _put_at(self, at: datetime, site: str) -> None:
        self._at[site] = at
        heapq.heappush(self._order, (at, site))

    def _without_a_rush(self, found: list[_Turn], now: datetime) -> list[_Turn]:
        """Those that go now; of many late ones all but the first are put back, each to a turn of its own."""
        late = [turn for turn in found if now - turn[0] > LATE and turn[1] not in self._catching_up]
        late.sort(key=lambda turn: (turn[0], sha256(turn[1].encode()).digest()))
        put_off = late[CAUGHT_UP_AT_ONCE:]
        pause = max(CATCH_UP_SECONDS, len(put_off) / CAUGHT_UP_A_SECOND) / max(1, len(put_off))
        for number, (_, site) in enumerate(put_off, start=1):
            self._catching_up.add(site)
            self._put_at(now + timedelta(seconds=pause * number), site)
        return [turn for turn in found if turn[1] not in self._at]

    def work_for(self, site: str, *, asked: bool, now: datetime) -> Task | Delivery | None:
        """What to do for a site now; None when nothing is due any more, or the site is gone."""
        if site not in self._sites:
            return None
        return work_for(self._sites[site], self._moments[site], self._history, asked=asked, now=now)

    def is_doubtful(self, site: str) -> bool:
        """Whether the site could not be read the last time."""
        return is_doubtful(site, self._history)


def work_for(site: Site, moment: DailyMoment, history: History, *, asked: bool, now: datetime) -> Task | Delivery | None:
    """What to do for a site now, by what the state says of it; None when nothing is due."""
    if asked:
        return Task(site, slot_at(moment, now).day, Trigger.DEMAND)
    if task := due_task(site, moment, history.slot(site.name), now=now):
        return task
    waiting = history.waiting(site.name, now=now)
    return waiting if waiting and waiting.next_at <= now else None


def wanted_at(site: Site, moment: DailyMoment, history: History, *, now: datetime) -> datetime:
    """When a site wants something next; where it is due already, since when."""
    row = history.slot(site.name)
    if due_task(site, moment, row, now=now):
        return _due_since(moment, row, now)
    times = [next_slot(moment, now).starts_at]
    if row and row.state is SlotState.OPEN and row.next_at:
        times.append(row.next_at)
    if waiting := history.waiting(site.name, now=now):
        times.append(waiting.next_at)
    return min(times)


def _due_since(moment: DailyMoment, row: SlotRow | None, now: datetime) -> datetime:
    """Since when a site is due that is; a new one since now."""
    if row is None:
        return now
    is_tried_again = row.state is SlotState.OPEN and not is_due(slot_at(moment, now), row.day)
    since = row.next_at if is_tried_again else moment.on(row.day + timedelta(days=1))
    # A slot that lies far ahead was opened by a clock that was wrong.
    return min(since or now, now)


def is_doubtful(site: str, history: History) -> bool:
    row = history.slot(site)
    return row is not None and row.state is SlotState.OPEN and row.failures > 0


def due_task(site: Site, moment: DailyMoment, row: SlotRow | None, *, now: datetime) -> Task | None:
    """What to do for a site now by its schedule; None when nothing is due. `row` is its newest slot in hand."""
    slot = slot_at(moment, now)
    if row is None or is_due(slot, row.day):
        return Task(site, slot.day, Trigger.SCHEDULE)
    if row.state is SlotState.OPEN and (row.next_at is None or row.next_at <= now):
        return Task(site, row.day, Trigger.SCHEDULE, failures=row.failures)
    return None
