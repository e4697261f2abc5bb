"""When a site is due: a pure planner over local days. No clock, no memory of its own.

A site has one moment a local day. The slot of a moment lasts until the next one, so "which slot
is it now" has one answer at any time, and a site is due when it has not yet closed that slot.
That is the whole rule: it pushes at once when a site has never been synced, once a day after
that, once after a standstill of any length, and never just because of a restart. A clock that
jumps back finds an older slot, which is closed already.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from zoneinfo import ZoneInfo

STALE_AFTER = timedelta(hours=26)
"""A day and some tolerance: what was last delivered before that means that a slot was missed."""
CLOCK_ERROR = timedelta(days=7)
"""A slot in hand that lies further ahead than this was opened by a clock that was wrong, not one that was set back."""

EARLIEST = datetime(2024, 1, 1, tzinfo=UTC)
"""A clock that says less was never set: this program is younger."""


@dataclass(frozen=True, slots=True)
class DailyMoment:
    """The one moment of each local day at which a site's slot begins."""

    at: time
    zone: ZoneInfo

    def on(self, day: date) -> datetime:
        """The moment of that local day, in UTC.

        A wall time that occurs twice (autumn) means its first occurrence; one that is skipped
        (spring) moves on by the length of the gap.
        """
        return datetime.combine(day, self.at.replace(fold=0), tzinfo=self.zone).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Slot:
    """The span of one site's day: from its moment until the next day's moment."""

    day: date
    starts_at: datetime


def slot_at(moment: DailyMoment, now: datetime) -> Slot:
    """The slot that lasts at `now` (aware UTC)."""
    # Two days on either side: a zone may be a day ahead, and its moment up to a day away.
    today = now.astimezone(moment.zone).date()
    for offset in (2, 1, 0, -1, -2):
        day = today + timedelta(days=offset)
        starts_at = moment.on(day)
        if starts_at <= now:
            return Slot(day, starts_at)
    raise AssertionError("a moment of the last two days always lies in the past")


def next_slot(moment: DailyMoment, now: datetime) -> Slot:
    """The slot that begins after the one that lasts at `now`."""
    day = slot_at(moment, now).day + timedelta(days=1)
    return Slot(day, moment.on(day))


def is_due(slot: Slot, last_day: date | None) -> bool:
    """Whether a site whose newest slot in hand is `last_day` has to be read for `slot`."""
    return last_day is None or slot.day > last_day or last_day - slot.day > CLOCK_ERROR


def moment_for(site: str, *, at: time | None, zone: ZoneInfo) -> DailyMoment:
    """The given moment, or one derived from the site's name, so that a fleet spreads over the day.

    Python's own hash() is salted anew in each process, hence a digest.
    """
    if at is not None:
        return DailyMoment(at, zone)
    second = int.from_bytes(sha256(site.encode()).digest()[:8], "big") % 86_400
    return DailyMoment((datetime.min + timedelta(seconds=second)).time(), zone)
