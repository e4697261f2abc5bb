"""The sites of a fleet on PostgreSQL: what is known of each, and when it wants something next.

It is an order and a summary, made of what the ledger says; a moment that stands here too early costs a look,
and each worker asks the ledger before it does anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.state.rows import Store

_CHUNK = 5_000
FIRST, USUAL = 10, 0
"""Priorities in the engine's queue: of what somebody waits for, and of the rest."""
ERRANDS = ""
"""What one worker of all has in hand, so that one alone asks the backend who wants a sync; no site is called so."""
LATE_AFTER = timedelta(minutes=10)
"""So long after its moment a site that nobody has in hand is late."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One site, as a fleet knows it."""

    name: str
    origin: str
    """Host and port of the server that is asked: sites of one server are not asked all at once."""
    settings: str | None = None
    """As JSON, with its secrets; None for a site that every worker's own settings name."""


@dataclass(frozen=True, slots=True)
class Change:
    """What an import did, in sites."""

    new: int
    changed: int
    as_before: int
    removed: int


@dataclass(frozen=True, slots=True)
class Due:
    name: str
    origin: str
    asked: bool


@dataclass(frozen=True, slots=True)
class Census:
    """How a fleet stands at one moment, in sites."""

    sites: int
    up_to_date: int
    """Delivered in their slot, and nothing is due."""
    due: int
    """Their moment has come, and nobody has them in hand yet; among them the late ones."""
    running: int
    late: int
    """Due for more than ten minutes."""
    stalled: int
    """In the hands of a worker that has not said for a while that it lives."""
    asked: int
    """Somebody wants them now."""
    failing: int
    """Their last run did not end with a delivery."""
    never: int
    """The backend has never acknowledged a structure of theirs."""
    oldest_due_at: datetime | None


@dataclass(frozen=True, slots=True)
class WorkerRow:
    name: str
    started_at: datetime
    silent_seconds: float
    """Since it counts as dead; negative while it lives."""
    sites: int
    """What it has in hand."""


class Sites:
    """The table of sites."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __contains__(self, name: str) -> bool:
        return bool(self._store.rows("SELECT 1 AS one FROM site WHERE name = ?", name))

    def names(self) -> list[str]:
        return [row["name"] for row in self._store.rows("SELECT name FROM site")]

    def settings_of(self, name: str) -> str | None:
        """The settings that the table has of a site; None for a site that it does not know, or without any there."""
        rows = self._store.rows("SELECT settings FROM site WHERE name = ?", name)
        return rows[0]["settings"] if rows else None

    def known_by(self, ids: Sequence[str]) -> list[str]:
        """The imported sites that have one of these ids at the backend, or whose integration has."""
        rows = self._store.rows(
            """SELECT name FROM site
               WHERE settings::jsonb ->> 'site_id' = ANY(?) OR settings::jsonb ->> 'integration_id' = ANY(?)""",
            ids, ids,
        )  # fmt: skip
        return [row["name"] for row in rows]

    def put(
        self, entries: Sequence[Entry], *, at: datetime, replace: bool = False, among: str | None = None
    ) -> Change:
        """Have these sites known; one that is new, or has changed, is due at this moment.

        replace   whether sites that are not among these are forgotten
        among     of `settings`: forget only those that workers' own settings name; of `table`: only the others
        """
        with self._store.transaction() as database:
            before = database.execute("SELECT count(*) AS n FROM site").fetchone()["n"]
            touched = 0
            for start in range(0, len(entries), _CHUNK):
                chunk = entries[start : start + _CHUNK]
                touched += database.execute(
                    """INSERT INTO site AS known (name, origin, settings, next_at)
                       SELECT *, ? FROM unnest(?::text[], ?::text[], ?::text[])
                       ON CONFLICT (name) DO UPDATE
                       SET origin = excluded.origin, settings = excluded.settings, next_at = excluded.next_at
                       WHERE known.settings IS DISTINCT FROM excluded.settings OR known.origin <> excluded.origin""",
                    (at, [e.name for e in chunk], [e.origin for e in chunk], [e.settings for e in chunk]),
                ).rowcount
            added = database.execute("SELECT count(*) AS n FROM site").fetchone()["n"] - before
            removed = 0
            if replace:
                whose = {"settings": " AND settings IS NULL", "table": " AND settings IS NOT NULL", None: ""}[among]
                removed = database.execute(
                    f"DELETE FROM site WHERE NOT name = ANY(?){whose}",  # noqa: S608 - written above
                    ([e.name for e in entries],),
                ).rowcount
        return Change(added, touched - added, len(entries) - touched, removed)

    def due(self, *, at: datetime, most: int, per_origin: int) -> list[Due]:
        """The sites to be taken up that nobody has in hand or in a queue: those asked for, then the longest due."""
        rows = self._store.rows(
            """SELECT name, origin, asked FROM (
                   SELECT name, origin, asked_at IS NOT NULL AS asked, coalesce(asked_at, next_at) AS since,
                          row_number() OVER (PARTITION BY origin ORDER BY asked_at, next_at) AS turn
                   FROM site
                   WHERE (next_at <= ? OR asked_at IS NOT NULL)
                     AND NOT EXISTS (SELECT 1 FROM claim WHERE claim.site = site.name)
                     AND NOT EXISTS (SELECT 1 FROM procrastinate_jobs AS job
                                     WHERE job.queueing_lock = site.name AND job.status IN ('todo', 'doing'))
               ) AS waiting
               WHERE turn <= ? ORDER BY asked DESC, since LIMIT ?""",
            at, per_origin, most,
        )  # fmt: skip
        return [Due(row["name"], row["origin"], row["asked"]) for row in rows]

    def queued(self) -> int:
        """How many wait in the engine's queue."""
        rows = self._store.rows("SELECT count(*) AS n FROM procrastinate_jobs WHERE status = 'todo' AND task_name = 'sync_site'")
        return int(rows[0]["n"])

    def asked_at(self, name: str) -> datetime | None:
        """When somebody asked for this site, and nobody has finished it since."""
        rows = self._store.rows("SELECT asked_at FROM site WHERE name = ?", name)
        return rows[0]["asked_at"] if rows else None

    def ask(self, names: Sequence[str], *, at: datetime) -> int:
        """Somebody wants these now; how many of them are known."""
        with self._store.transaction() as database:
            # Those that are queued already go before the others there.
            database.execute(
                "UPDATE procrastinate_jobs SET priority = ? WHERE status = 'todo' AND queueing_lock = ANY(?)",
                (FIRST, list(names)),
            )
            return database.execute("UPDATE site SET asked_at = ? WHERE name = ANY(?)", (at, list(names))).rowcount

    def set_next(self, name: str, at: datetime, *, answered: datetime | None = None) -> None:
        """When the site wants something next, as the ledger says now.

        answered   what was asked for at this moment is done
        """
        with self._store.transaction() as database:
            database.execute(
                """UPDATE site SET next_at = ?, asked_at = nullif(asked_at, ?),
                   delivered_at = (SELECT delivered_at FROM structure WHERE structure.site = site.name
                                   AND delivered_at IS NOT NULL ORDER BY generation DESC LIMIT 1),
                   result = (SELECT result FROM run WHERE run.site = site.name AND result IS NOT NULL ORDER BY id DESC LIMIT 1)
                   WHERE name = ?""",
                (at, answered, name),
            )

    def census(self, *, at: datetime) -> Census:
        [row] = self._store.rows(
            """SELECT count(*) AS sites,
                      count(*) FILTER (WHERE next_at > ? AND result = 'delivered' AND claim.site IS NULL) AS up_to_date,
                      count(*) FILTER (WHERE next_at <= ? AND claim.site IS NULL) AS due,
                      count(claim.site) FILTER (WHERE worker.alive_until >= clock_timestamp()) AS running,
                      count(*) FILTER (WHERE next_at <= ? AND claim.site IS NULL) AS late,
                      count(claim.site) FILTER (WHERE worker.alive_until < clock_timestamp()) AS stalled,
                      count(asked_at) AS asked,
                      count(*) FILTER (WHERE result <> 'delivered') AS failing,
                      count(*) FILTER (WHERE delivered_at IS NULL) AS never,
                      min(next_at) FILTER (WHERE next_at <= ? AND claim.site IS NULL) AS oldest_due_at
               FROM site LEFT JOIN claim ON claim.site = site.name LEFT JOIN worker ON worker.id = claim.worker""",
            at, at, at - LATE_AFTER, at,
        )  # fmt: skip
        return Census(**row)

    def workers(self) -> list[WorkerRow]:
        """Those that work on this state, the longest at work first."""
        rows = self._store.rows(
            """SELECT name, started_at, extract(epoch FROM clock_timestamp() - alive_until)::float8 AS silent_seconds,
                      (SELECT count(*) FROM claim WHERE claim.worker = worker.id AND claim.site <> ?) AS sites
               FROM worker ORDER BY started_at, name""",
            ERRANDS,
        )
        return [WorkerRow(**row) for row in rows]
