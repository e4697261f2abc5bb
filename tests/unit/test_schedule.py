"""When a site is due."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from agent.schedule import DailyMoment, Slot, is_due, moment_for, next_slot, slot_at

BERLIN = ZoneInfo("Europe/Berlin")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "day", "moment"),
    [
        ("02:30", "2026-03-28", "2026-03-28T01:30"),
        ("02:30", "2026-03-29", "2026-03-29T01:30"),  # skipped: moves on by the gap, to 03:30
        ("02:30", "2026-03-30", "2026-03-30T00:30"),
        ("02:30", "2026-10-24", "2026-10-24T00:30"),
        ("02:30", "2026-10-25", "2026-10-25T00:30"),  # twice: the first one
        ("02:30", "2026-10-26", "2026-10-26T01:30"),
        ("00:00", "2026-03-29", "2026-03-28T23:00"),
    ],
)
def test_the_moment_of_a_day_when_clocks_change(at: str, day: str, moment: str) -> None:
    assert DailyMoment(time.fromisoformat(at), BERLIN).on(date.fromisoformat(day)) == utc(moment)


def test_a_fold_in_the_setting_changes_nothing() -> None:
    assert DailyMoment(time(2, 30, fold=1), BERLIN).on(date(2026, 10, 25)) == utc("2026-10-25T00:30")


@pytest.mark.parametrize(
    ("now", "day"),
    [
        ("2026-11-21T07:59:59", "2026-11-20"),
        ("2026-11-21T08:00:00", "2026-11-21"),
        ("2026-11-22T07:59:59", "2026-11-21"),
    ],
)
def test_a_slot_lasts_until_the_next_one(now: str, day: str) -> None:
    slot = slot_at(DailyMoment(time(9), BERLIN), utc(now))

    assert slot.day == date.fromisoformat(day)
    assert slot.starts_at <= utc(now)
    assert next_slot(DailyMoment(time(9), BERLIN), utc(now)).starts_at > utc(now)


@pytest.mark.parametrize(
    ("zone", "now", "day"),
    [
        ("Pacific/Kiritimati", "2026-11-20T10:00", "2026-11-21"),  # a day ahead
        ("Pacific/Pago_Pago", "2026-11-21T10:59", "2026-11-20"),
        ("Pacific/Apia", "2011-12-30T12:00", "2011-12-31"),  # the 30th never was
    ],
)
def test_a_day_is_the_sites_own_day(zone: str, now: str, day: str) -> None:
    assert slot_at(DailyMoment(time(0), ZoneInfo(zone)), utc(now)).day == date.fromisoformat(day)


def test_a_site_is_due_when_it_is_new_and_once_a_day_after_that() -> None:
    slot = slot_at(DailyMoment(time(9), BERLIN), utc("2026-11-21T12:00"))

    assert is_due(slot, None)
    assert is_due(slot, date(2026, 11, 20))
    assert not is_due(slot, date(2026, 11, 21))


def test_a_clock_that_goes_back_makes_nothing_due() -> None:
    slot = slot_at(DailyMoment(time(9), BERLIN), utc("2026-11-19T12:00"))

    assert not is_due(slot, date(2026, 11, 21))


def test_the_given_time_counts_for_every_site() -> None:
    assert moment_for("shop", at=time(3), zone=BERLIN) == DailyMoment(time(3), BERLIN)


def test_the_time_derived_from_a_name_is_the_same_in_every_process() -> None:
    assert moment_for("shop.example", at=None, zone=BERLIN).at == time(8, 17, 18)


def test_a_fleet_spreads_over_the_day() -> None:
    hours = [0] * 24
    for number in range(2_400):
        hours[moment_for(f"site-{number}.example", at=None, zone=BERLIN).at.hour] += 1

    assert min(hours) > 50
    assert max(hours) < 200


def test_a_slot_that_a_wrong_clock_opened_far_ahead_is_not_waited_for() -> None:
    slot = Slot(date(2026, 11, 21), datetime(2026, 11, 21, tzinfo=UTC))

    assert is_due(slot, date(2038, 1, 19))
    assert not is_due(slot, date(2026, 11, 22)), "a clock that was set back by a day runs no day twice"
