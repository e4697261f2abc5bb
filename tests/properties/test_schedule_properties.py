"""One slot for each local day, in every zone, whatever clocks and calendars do."""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

from builders import a_site
from hypothesis import example, given
from hypothesis import strategies as st

from agent.agenda import due_task
from agent.schedule import CLOCK_ERROR, DailyMoment, next_slot, slot_at
from agent.state.records import SlotRow, SlotState

ZONES = sorted(available_timezones())
zones = st.sampled_from(ZONES).map(ZoneInfo)
times = st.times().map(lambda at: at.replace(microsecond=0))
days = st.dates(date(2024, 1, 1), date(2039, 12, 31))


@cache
def changes_of_clocks(name: str) -> frozenset[date]:
    """Days in 2026 and 2027 on which a zone's offset is another than the day before."""
    zone, start = ZoneInfo(name), datetime(2026, 1, 1, tzinfo=UTC)
    offsets = [(start + timedelta(days=n)).astimezone(zone).utcoffset() for n in range(730)]
    return frozenset(date(2026, 1, 1) + timedelta(days=n) for n in range(1, 730) if offsets[n] != offsets[n - 1])


def test_around_every_change_of_clocks_each_day_has_its_slot() -> None:
    looked_at = 0
    for name in ZONES:
        for changed in changes_of_clocks(name):
            for at in (time(0), time(0, 15), time(1, 30), time(2), time(2, 30), time(3), time(23, 59)):
                moment = DailyMoment(at, ZoneInfo(name))
                around = [changed + timedelta(days=n) for n in range(-3, 4)]
                starts = [moment.on(day) for day in around]

                gaps = [later - earlier for earlier, later in pairwise(starts)]
                assert min(gaps) >= timedelta(hours=21), name
                assert max(gaps) <= timedelta(hours=27), name
                for day, starts_at in zip(around, starts, strict=True):
                    assert slot_at(moment, starts_at).day == day
                    assert slot_at(moment, starts_at - timedelta(microseconds=1)).day == day - timedelta(days=1)
                looked_at += 1
    assert looked_at > 3_000


@given(zones, times, days)
def test_a_slot_begins_in_the_past_and_the_next_one_in_the_future(zone: ZoneInfo, at: time, day: date) -> None:
    moment = DailyMoment(at, zone)
    now = datetime.combine(day, time(12), tzinfo=UTC)

    slot, following = slot_at(moment, now), next_slot(moment, now)

    assert slot.starts_at <= now < following.starts_at
    assert following.day == slot.day + timedelta(days=1)


steps = st.lists(
    st.one_of(
        st.integers(1, 3_600).map(lambda seconds: ("tick", seconds)),
        st.integers(1, 40 * 86_400).map(lambda seconds: ("standstill", seconds)),
        st.integers(1, 3 * 86_400).map(lambda seconds: ("back", -seconds)),
        st.just(("restart", 0)),
        st.integers(1, 900).map(lambda seconds: ("failed reading", seconds)),
    ),
    max_size=60,
)


@given(zones, times, days, steps)
def test_no_day_is_pushed_twice_and_a_standstill_is_caught_up_once(
    zone: ZoneInfo, at: time, day: date, steps: list[tuple[str, int]]
) -> None:
    moment, site = DailyMoment(at, zone), a_site()
    now = datetime.combine(day, time(12), tzinfo=UTC)
    row: SlotRow | None = None
    pushed: list[date] = []
    newest = now
    for what, seconds in steps:
        now += timedelta(seconds=seconds)
        newest = max(newest, now)
        # A clock that lags further than this was wrong before, and its slots are no longer waited for.
        now = max(now, newest - CLOCK_ERROR + timedelta(days=1))
        task = due_task(site, moment, row, now=now)
        if task is None:
            continue
        if what == "failed reading":
            row = SlotRow(site.name, task.day, SlotState.OPEN, task.failures + 1, now + timedelta(seconds=60))
            continue
        pushed.append(task.day)
        row = SlotRow(site.name, task.day, SlotState.CLOSED, 0, None)
        assert due_task(site, moment, row, now=now) is None

    assert pushed == sorted(set(pushed))
    if pushed:
        assert pushed[-1] <= slot_at(moment, newest).day


@given(zones, times, days)
@example(ZoneInfo("Europe/Lisbon"), time(12, 0, 1), date(2024, 3, 17))  # the change of clocks brings a fifteenth in
def test_ticking_through_a_fortnight_pushes_once_for_each_moment_in_it(zone: ZoneInfo, at: time, day: date) -> None:
    moment, site = DailyMoment(at, zone), a_site()
    start = datetime.combine(day, time(12), tzinfo=UTC)
    row = SlotRow(site.name, slot_at(moment, start).day, SlotState.CLOSED, 0, None)
    pushes: list[datetime] = []
    for tick in range(14 * 24 * 2):
        now = start + timedelta(minutes=30 * (tick + 1))
        if task := due_task(site, moment, row, now=now):
            row = SlotRow(site.name, task.day, SlotState.CLOSED, 0, None)
            pushes.append(now)

    moments = [moment.on(day + timedelta(days=offset)) for offset in range(-2, 18)]
    assert len(pushes) == sum(start < at_utc <= start + timedelta(days=14) for at_utc in moments)
    assert len(pushes) in (13, 14, 15)
