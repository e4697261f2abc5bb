"""Days of a large fleet on paper: the real table and planner on PostgreSQL, by a clock that a test turns.

Workers are a number here: so many sites a minute. What they would have done is written at once, so that days of a
hundred thousand sites pass in minutes. The table is only an order; whether a site is due is for the ledger to say.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest

from agent.agenda import wanted_at, work_for
from agent.schedule import DailyMoment, moment_for, slot_at
from agent.settings import ScheduleSettings
from agent.state.fleet_store import FleetStore
from agent.state.history import History
from agent.state.records import Delivery, SlotRow, SlotState
from agent.state.sites import Entry, Sites
from agent.structure.model import Site
from agent.workers.planning import PER_SERVER, QUEUED_MOST

BERLIN = ScheduleSettings(timezone="Europe/Berlin")
BEGIN = datetime(2026, 10, 23, 22, tzinfo=UTC)
"""Two midnights in Berlin before the day of 25 hours."""
DISTURBED = timedelta(hours=1)
ON_ONE_SERVER = 100


class Paper(History):
    """The slots, in memory: of a site that is brought up to date, nothing is owed."""

    def __init__(self) -> None:
        self.slots: dict[str, SlotRow] = {}

    def slot(self, site: str) -> SlotRow | None:
        return self.slots.get(site)

    def waiting(self, site: str, *, now: datetime) -> Delivery | None:
        return None


@dataclass
class Days:
    """What was done until now."""

    table: Sites
    store: FleetStore
    sites: int
    a_minute: int
    """That all workers together bring up to date."""
    pause: timedelta
    """Between two looks of the planner."""
    believes_the_table: bool = False
    """The broken rule: what the table says is done, whatever the ledger knows."""
    ledger: Paper = field(default_factory=Paper)
    done: Counter[tuple[str, date]] = field(default_factory=Counter)
    late: dict[tuple[str, date], timedelta] = field(default_factory=dict)

    def pass_until(self, end: datetime, now: datetime, *, away: tuple[datetime, datetime] | None = None) -> datetime:
        """away   between these two the database was not there, nor anybody's work"""
        chance = Random(7)
        while now < end:
            if not (away and away[0] <= now < away[1]):
                self._look(now)
            if (now - BEGIN) % DISTURBED < self.pause:
                self._disturb(now, [f"site-{chance.randrange(self.sites)}" for _ in range(20)])
            now += self.pause
        return now

    def _look(self, now: datetime) -> None:
        room = min(QUEUED_MOST, int(self.a_minute * self.pause.total_seconds() / 60))
        turns = int(self.pause.total_seconds() / 10)
        for due in self.table.due(at=now, most=room, per_origin=PER_SERVER * turns):
            site, moment = Site(due.name, f"https://{due.origin}"), moment_of(due.name)
            if self.believes_the_table or work_for(site, moment, self.ledger, asked=False, now=now):
                slot = slot_at(moment, now)
                self.done[due.name, slot.day] += 1
                self.late[due.name, slot.day] = now - slot.starts_at
                self.ledger.slots[due.name] = SlotRow(due.name, slot.day, SlotState.CLOSED, 0, None)
            self.table.set_next(due.name, wanted_at(site, moment, self.ledger, now=now))

    def _disturb(self, now: datetime, names: list[str]) -> None:
        """Jobs that came twice, or late, or from a worker that died: somebody looks before the time has come."""
        with self.store.transaction() as database:
            database.execute("UPDATE site SET next_at = ? WHERE name = ANY(?)", (now, names))

    def wrong(self, days: list[date]) -> int:
        """Sites' days that were not done exactly once."""
        return sum(self.done[f"site-{number}", day] != 1 for number in range(self.sites) for day in days)


def moment_of(site: str) -> DailyMoment:
    return moment_for(site, at=BERLIN.at, zone=BERLIN.zone)


@contextmanager
def days_of(state_url: str, sites: int, *, pause: timedelta, **fields: bool) -> Iterator[Days]:
    """A fleet in which each site has had its first structure, in the slot before the first of these days."""
    store = FleetStore(state_url)
    store.bring_up_to_date()
    table = Sites(store)
    entries = [
        Entry(f"site-{n}", "crowded.example" if n < ON_ONE_SERVER else f"host-{n}.example", "{}") for n in range(sites)
    ]
    table.put(entries, at=BEGIN)
    try:
        # Twice what a day needs: what was missed is made up for in the time that it lasted.
        yield Days(table, store, sites, max(10, sites * 2 // 1_440), pause, **fields)
    finally:
        store.close()


def four_days(days: Days) -> datetime:
    """The first brings every new site once; the third is the long one, with three hours without a database."""
    away = datetime(2026, 10, 25, 6, tzinfo=UTC)
    return days.pass_until(BEGIN + timedelta(days=4), BEGIN, away=(away, away + timedelta(hours=3)))


@pytest.mark.timeout(3_000)
@pytest.mark.parametrize(("sites", "minutes"), [(300, 12), pytest.param(100_000, 2, marks=pytest.mark.nightly)])
def test_each_site_has_its_structure_once_a_day_whatever_the_engine_does(
    state_url: str, sites: int, minutes: int
) -> None:
    with days_of(state_url, sites, pause=timedelta(minutes=minutes)) as days:
        end = four_days(days)

        whole = [date(2026, 10, day) for day in (25, 26)]
        assert days.wrong(whole) == 0
        assert max(days.done.values()) == 1
        census = days.table.census(at=end)
        late = sorted(late for (_, day), late in days.late.items() if day in whole)
        usual, worst = late[len(late) // 2], late[-1]
        print(f"{sites:,} sites: {sum(days.done.values()):,} structures, half of them within {usual}, the last {worst} late")
        assert census.sites == sites and census.late <= sites // 100
        assert usual <= timedelta(minutes=10)
        assert worst <= timedelta(hours=4)  # three without a database, and what was made up for after it


def test_days_are_seen_to_be_doubled_where_the_table_is_believed(state_url: str) -> None:
    with days_of(state_url, 300, pause=timedelta(minutes=12), believes_the_table=True) as days:
        four_days(days)

        assert max(days.done.values()) > 1
