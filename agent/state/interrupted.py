"""Runs that the end of the agent cut short. Once is chance; a site that is being read each time may be the cause.

Such sites are read apart from each other first, so that the one that ends the agent is found, and the
others are not taken for it; that one then waits, longer each time.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.state.rows import Database, Store, to_text

KILLED, STOPPED = "killed", "stopped"
"""Why a run has the result `interrupted`."""
SUSPECT_FROM, HELD_FROM = 2, 3
"""So many times in a row."""
APART = timedelta(minutes=1)
FIRST_HOLD, LONGEST_HOLD, GROWTH = timedelta(minutes=15), timedelta(days=1), 4


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A site that waits because the agent ended each time it read it."""

    site: str
    times: int
    until: datetime


def unfinished(store: Store) -> list[str]:
    """The sites that are being read, or were when the agent died."""
    rows = store.rows("SELECT site FROM run WHERE finished_at IS NULL AND generation IS NULL")
    return sorted({row["site"] for row in rows})


def end_stopped(database: Database, sites: Iterable[str]) -> None:
    """They were cut short on purpose."""
    for site in sites:
        _end(database, site, STOPPED)


def end_killed(database: Database, sites: Iterable[str], *, at: datetime) -> list[Quarantined]:
    """They were in hand when the agent was killed, or died. Those that have to wait for it now."""
    held, suspects = [], 0
    for site in sites:
        if not _end(database, site, KILLED):
            continue
        times = _times_in_a_row(database, site)
        if times == SUSPECT_FROM:
            _put_off(database, site, at + APART * suspects)
            suspects += 1
        elif times >= HELD_FROM:
            until = at + min(LONGEST_HOLD, FIRST_HOLD * GROWTH ** (times - HELD_FROM))
            _put_off(database, site, until)
            held.append(Quarantined(site, times, until))
    return held


def _end(database: Database, site: str, why: str) -> int:
    return database.execute(
        """UPDATE run SET result = 'interrupted', finished_at = started_at, reason = ?
           WHERE site = ? AND finished_at IS NULL AND generation IS NULL""",
        (why, site),
    ).rowcount


def _times_in_a_row(database: Database, site: str) -> int:
    query = """SELECT count(*) AS times FROM run WHERE site = ? AND id > coalesce(
                   (SELECT max(id) FROM run WHERE site = ? AND coalesce(reason, '') <> ?), 0)"""
    times: int = database.execute(query, (site, site, KILLED)).fetchone()["times"]
    return times


def _put_off(database: Database, site: str, until: datetime) -> None:
    database.execute("UPDATE slot SET next_at = ? WHERE site = ? AND state = 'open'", (to_text(until), site))
