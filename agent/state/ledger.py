"""What the agent owes and what became of it: each step of a run is one transaction.

A run begins (slot open) → its structure is owed (outbox row, history, last counts, slot owed) →
the backend's receipt closes it (outbox row gone, slot closed). A crash between two steps leaves
the step before, and the next start goes on from there.
"""

import sqlite3
from datetime import date, datetime
from hashlib import sha256

from agent.errors import AgentError
from agent.redact import Redactor
from agent.schedule import CLOCK_ERROR
from agent.state.history import History
from agent.state.records import Delivery, Receipt, Result, Run, Trigger
from agent.state.store import Store, to_json, to_text
from agent.structure.diff import Changes, diff
from agent.structure.model import Structure
from agent.structure.payload import digest, to_bytes, to_document

KEPT_PER_SITE = 200
"""Runs, and as many structures, that history keeps of each site."""


class Ledger(History):
    """The history while it is being written."""

    def __init__(self, store: Store, redactor: Redactor) -> None:
        super().__init__(store)
        self._redactor = redactor

    def begin(self, site: str, *, trigger: Trigger, day: date, at: datetime) -> Run:
        """A run has begun; it opens the slot of that day unless the slot is in hand already."""
        with self._store.transaction() as database:
            database.execute(
                """INSERT INTO slot (site, day, state) VALUES (?, ?, 'open')
                   ON CONFLICT (site) DO UPDATE SET day = excluded.day, state = 'open', failures = 0, next_at = NULL
                   WHERE excluded.day > slot.day OR slot.day > ?""",
                (site, day.isoformat(), (day + CLOCK_ERROR).isoformat()),
            )
            cursor = database.execute(
                "INSERT INTO run (site, trigger, started_at) VALUES (?, ?, ?)", (site, trigger, to_text(at))
            )
        return Run(
            id=cursor.lastrowid or 0,
            site=site,
            last_known=self.last_known(site),
            before=self.last_provenance(site),
            slugs=self.last_slugs(site),
            doubted_at=self.doubted_at(site),
        )

    def record_unread(self, run: Run, error: AgentError, *, at: datetime, next_at: datetime) -> None:
        """The site could not be read: its open slot is tried again at `next_at`."""
        with self._store.transaction() as database:
            self._end_unread(database, run.site, Result.UNREADABLE, error, at, next_at, run_id=run.id)

    def record_crash(self, site: str, error: AgentError, *, at: datetime, next_at: datetime) -> None:
        """A bug ended the run; neither the reading nor the delivery is tried again before `next_at`."""
        with self._store.transaction() as database:
            self._end_unread(database, site, Result.CRASHED, error, at, next_at)
            database.execute(
                "UPDATE outbox SET failures = failures + 1, next_at = ? WHERE site = ?", (to_text(next_at), site)
            )

    def owe(self, run: Run, structure: Structure, *, at: datetime) -> tuple[Delivery, Changes]:
        """Make the structure durable before it is sent; it supersedes an older one that still waits."""
        document = to_document(structure)
        body = to_bytes(document)
        body_sha256 = sha256(body).hexdigest()
        before = self.newest_structure(run.site)
        changes = diff(dict(before.document) if before else None, document)
        with self._store.transaction() as database:
            # Ever-growing, whatever the clock does.
            generation = max((before.generation if before else 0) + 1, int(at.timestamp() * 1000))
            key = self._idempotency_key(database, run.site, generation, body_sha256)
            database.execute(
                """INSERT OR REPLACE INTO outbox
                   (site, generation, body, body_sha256, idempotency_key, state, next_at, owed_at)
                   VALUES (?, ?, ?, ?, ?, 'pending', ?, ?)""",
                (run.site, generation, body, body_sha256, key, to_text(at), to_text(at)),
            )
            database.execute(
                "INSERT INTO structure (site, generation, digest, fetched_at, document, changes) VALUES (?, ?, ?, ?, ?, ?)",
                (run.site, generation, digest(document), to_text(structure.fetched_at), body.decode(),
                 to_json(changes.as_json())),
            )
            database.execute("UPDATE slot SET state = 'owed', failures = 0, next_at = NULL WHERE site = ?", (run.site,))
            database.execute(
                "UPDATE run SET generation = ?, result = 'pending', provenance = ? WHERE id = ?",
                (generation, self._redactor.hide(to_json(structure.provenance)), run.id),
            )
            self._remember_counts(database, run.site, structure, at)
            self._prune(database, run.site)
        delivery = self.owed_to(run.site)
        assert delivery is not None, "it was written in this transaction"
        return delivery, changes

    def record_receipt(self, delivery: Delivery, receipt: Receipt, *, at: datetime) -> None:
        """The backend has it. A newer document that arrived meanwhile stays owed."""
        with self._store.transaction() as database:
            which = (delivery.site, delivery.generation)
            gone = database.execute("DELETE FROM outbox WHERE site = ? AND generation = ?", which).rowcount
            if gone:
                database.execute("UPDATE slot SET state = 'closed' WHERE site = ? AND state = 'owed'", (delivery.site,))
            database.execute(
                "UPDATE structure SET delivered_at = ? WHERE site = ? AND generation = ?", (to_text(at), *which)
            )
            database.execute(
                """UPDATE run SET result = 'delivered', finished_at = ?, integration_id = ?,
                   reason = NULL, message = NULL, hint = NULL WHERE site = ? AND generation = ?""",
                (to_text(at), receipt.integration_id, *which),
            )

    def record_failure(self, delivery: Delivery, error: AgentError, *, at: datetime, next_at: datetime) -> None:
        """The backend does not have it, or did not say so: it stays owed, and is tried again at `next_at`."""
        result = Result.PENDING if error.transient else Result.HELD
        why = self._why(error)
        with self._store.transaction() as database:
            database.execute(
                """UPDATE outbox SET state = ?, failures = failures + 1, next_at = ?, reason = ?, message = ?, hint = ?
                   WHERE site = ? AND generation = ?""",
                (result, to_text(next_at), *why, delivery.site, delivery.generation),
            )
            database.execute(
                """UPDATE run SET result = ?, finished_at = ?, reason = ?, message = ?, hint = ?
                   WHERE site = ? AND generation = ?""",
                (result, to_text(at), *why, delivery.site, delivery.generation),
            )

    def recover(self) -> None:
        """After a start: runs that never ended were interrupted; what they owed still waits."""
        with self._store.transaction() as database:
            database.execute(
                """UPDATE run SET result = 'interrupted', finished_at = started_at
                   WHERE finished_at IS NULL AND generation IS NULL"""
            )

    def forget_held(self, *, at: datetime) -> None:
        """Settings may have changed since: what is held is tried once more now."""
        with self._store.transaction() as database:
            database.execute("UPDATE outbox SET next_at = ? WHERE state = 'held'", (to_text(at),))

    def _end_unread(
        self,
        database: sqlite3.Connection,
        site: str,
        result: Result,
        error: AgentError,
        at: datetime,
        next_at: datetime,
        *,
        run_id: int | None = None,
    ) -> None:
        """run_id   None for whichever run of the site has not ended"""
        database.execute(
            """UPDATE run SET result = ?, finished_at = ?, reason = ?, message = ?, hint = ?
               WHERE site = ? AND finished_at IS NULL AND id = coalesce(?, id)""",
            (result, to_text(at), *self._why(error), site, run_id),
        )
        database.execute(
            "UPDATE slot SET failures = failures + 1, next_at = ? WHERE site = ? AND state = 'open'",
            (to_text(next_at), site),
        )
        # A site that never answers is tried a hundred times a day, for years.
        self._prune(database, site)

    def _why(self, error: AgentError) -> tuple[str, str, str]:
        return error.reason, self._redactor.hide(error.message), self._redactor.hide(error.hint)

    def _remember_counts(
        self, database: sqlite3.Connection, site: str, structure: Structure, at: datetime
    ) -> None:
        fresh = [entry for entry in structure.entries if not entry.count.stale]
        database.executemany(
            "INSERT OR REPLACE INTO last_count (site, family, slug, count, learned_at) VALUES (?, ?, ?, ?, ?)",
            [(site, e.content_type.family, e.content_type.slug, e.count.value, to_text(at)) for e in fresh],
        )

    def _idempotency_key(self, database: sqlite3.Connection, site: str, generation: int, body_sha256: str) -> str:
        instance = database.execute("SELECT id FROM instance").fetchone()["id"]
        return sha256("\n".join((instance, site, str(generation), body_sha256)).encode()).hexdigest()

    def _prune(self, database: sqlite3.Connection, site: str) -> None:
        for table, order in (("run", "id"), ("structure", "generation")):
            database.execute(
                f"""DELETE FROM {table} WHERE site = ? AND {order} <=
                    (SELECT {order} FROM {table} WHERE site = ? ORDER BY {order} DESC LIMIT 1 OFFSET ?)""",  # noqa: S608 - its two names are written above
                (site, site, KEPT_PER_SITE),
            )
