"""The planner as a state machine: ticks, restarts, standstills, clocks that jump and change (D8)."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

import pytest
from figures import Proof
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from machines import histories, until_it_breaks

from agent.schedule import CLOCK_ERROR, DailyMoment, is_due, slot_at

ZONES = sorted(available_timezones())
STEP = timedelta(minutes=15)
GAP = timedelta(hours=3)
"""No clock is ever put forward by more, but where a whole day is left out."""


@lru_cache(maxsize=50_000)
def first_instant(zone: str, day: date, at: time) -> datetime:
    """When the wall clock of that zone first shows this time of that day, or a later one: found by looking."""
    wanted = datetime.combine(day, at)
    instant = wanted.replace(tzinfo=UTC) - timedelta(hours=16)
    while instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None) < wanted:
        instant += STEP
    return instant


class Planner(RuleBasedStateMachine):
    """One site, of which the state remembers the newest slot in hand and nothing else."""

    due: Callable[..., bool] = staticmethod(is_due)

    def __init__(self) -> None:
        super().__init__()
        self.last_day: date | None = None
        self.runs: list[date] = []
        self.honest = True
        """No clock has been set back since the last run."""

    @initialize(
        zone=st.sampled_from(ZONES),
        at=st.sampled_from([time(hour, quarter) for hour in range(24) for quarter in (0, 15, 30, 45)]),
        begin=st.integers(0, 13 * 365 * 24).map(lambda hours: datetime(2024, 1, 3, tzinfo=UTC) + timedelta(hours=hours)),
    )
    def begin(self, zone: str, at: time, begin: datetime) -> None:
        self.zone, self.at = zone, at
        self.moment = DailyMoment(at, ZoneInfo(zone))
        self.now = begin
        self.tick()

    def tick(self) -> None:
        slot = slot_at(self.moment, self.now)
        if self.due(slot, self.last_day):
            self._run(slot.day)
        self._check_nothing_is_overdue()

    def _run(self, day: date) -> None:
        set_back = self.last_day is not None and self.last_day - day > CLOCK_ERROR
        assert set_back or day not in self.runs, f"{day} twice"
        assert self.now >= first_instant(self.zone, day, self.at) - STEP, f"{day} before its time"
        if set_back:
            self.runs = [earlier for earlier in self.runs if earlier < day]
        self.runs.append(day)
        self.last_day, self.honest = day, True

    def _check_nothing_is_overdue(self) -> None:
        """The newest local day whose moment is past for certain has been run, or a later one."""
        assert self.last_day
        today = self.now.astimezone(ZoneInfo(self.zone)).date()
        past = [day for offset in range(3) if self._is_past(day := today - timedelta(days=offset))]
        assert self.last_day >= max(past), f"{max(past)} is overdue"

    def _is_past(self, day: date) -> bool:
        return first_instant(self.zone, day, self.at) + GAP <= self.now

    @rule(minutes=st.integers(1, 90))
    def go_on(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)
        self.tick()

    @rule(days=st.integers(1, 4))
    def look_every_half_hour(self, days: int) -> None:
        for _ in range(48 * days):
            self.now += timedelta(minutes=30)
            self.tick()

    @rule(hours=st.integers(20, 1_000))
    def stand_still(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        runs = len(self.runs)
        self.tick()
        self.tick()
        assert len(self.runs) <= runs + 1, "more than one catch-up"

    @rule(hours=st.integers(1, 160))
    def set_the_clock_back(self, hours: int) -> None:
        self.now -= timedelta(hours=hours)
        self.tick()

    @rule(offset=st.integers(-90, 90))
    def restart_around_the_moment(self, offset: int) -> None:
        """A restart remembers what the state does, so it is no more than another look."""
        day = self.now.astimezone(ZoneInfo(self.zone)).date() + timedelta(days=1)
        self.now = max(self.now, first_instant(self.zone, day, self.at) + timedelta(minutes=offset))
        self.tick()


class Impatient(Planner):
    """Due whenever the slot is another than the last one."""

    due = staticmethod(lambda slot, last_day: slot.day != last_day)


class EveryDayOfTheClock(Planner):
    """Due a fixed number of hours after the last time: a day is missed where one is shorter."""

    due = staticmethod(lambda slot, last_day: last_day is None or slot.day > last_day + timedelta(days=1))


@pytest.mark.parametrize("number", [100, pytest.param(5_000, marks=pytest.mark.nightly)])
@pytest.mark.timeout(1_800)
def test_each_local_day_has_one_run(proof: Proof, number: int) -> None:
    run_state_machine_as_test(Planner, settings=histories(number, steps=20))

    size = f"{number} histories of 20 steps in {len(ZONES)} zones"
    proof("D8 L20", "planner as a state machine", size, "no slot twice, none overdue")


@pytest.mark.parametrize("broken", [Impatient, EveryDayOfTheClock])
def test_a_planner_that_doubles_or_loses_a_day_is_noticed(proof: Proof, broken: type[Planner]) -> None:
    with pytest.raises(AssertionError, match=r"twice|overdue"):
        run_state_machine_as_test(broken, settings=until_it_breaks(steps=20))

    proof("D8", f"negative control: {broken.__name__}", "1 rule broken", "noticed")
