"""What the agent owes and what became of it: each step of a run is one transaction.

A run begins (slot open) → its structure is owed (outbox row, history, last counts, slot owed) →
the backend's receipt closes it (outbox row gone, slot closed). A crash between two steps leaves
the step before, and the next start goes on from there.

A document that may still be on its way when the next one is delivered can arrive late and take its
place: the backend is looked at a minute later, and once more.
"""

from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Protocol

from agent.errors import AgentError, BackendError, BackendPaused, DeliveryRejected, SuspiciousShrink
from agent.redact import Redactor
from agent.schedule import CLOCK_ERROR
from agent.state.history import History
from agent.state.interrupted import Quarantined, end_killed, end_stopped, unfinished
from agent.state.outbox import count_look, look_back_later, put_in, remember
from agent.state.records import Delivery, Receipt, Result, Run, Trigger
from agent.state.rows import Database, Store, to_json, to_text
from agent.structure.diff import Changes, diff
from agent.structure.model import Structure
from agent.structure.payload import digest, to_bytes, to_document

KEPT_PER_SITE = 200
"""Runs, and as many structures, that history keeps of each site."""
KEPT_FOR = timedelta(days=90)


class Gate(Protocol):
    """What lets documents out: the backend's health, as its client knows it."""

    def wait_seconds(self, site: str) -> float:
        """How long a document of this site need not be tried; 0 for not at all."""
        ...


class Ledger(History):
    """The history while it is being written."""

    def __init__(self, store: Store, redactor: Redactor) -> None:
        super().__init__(store)
        self._redactor = redactor
        self._gate: Gate | None = None

    @property
    def set_aside(self) -> Path | None:
        """Where a damaged file lies whose place this state has taken."""
        return self._store.set_aside

    def take(self, site: str) -> bool:
        """Have a site in hand; False while another process that shares this state has it."""
        return self._store.take(site)

    def give_back(self, site: str) -> None:
        """It is no longer in hand, however that ended."""
        self._store.give_back(site)

    def heed(self, gate: Gate) -> None:
        """From now on no document is due that the gate would turn back."""
        self._gate = gate

    def waiting(self, site: str, *, now: datetime) -> Delivery | None:
        delivery = super().waiting(site, now=now)
        if delivery is None or self._gate is None:
            return delivery
        opens_at = now + timedelta(seconds=self._gate.wait_seconds(site))
        return replace(delivery, next_at=max(delivery.next_at, opens_at)) if opens_at > now else delivery

    def begin(self, site: str, *, trigger: Trigger, day: date, at: datetime) -> Run:
        """A run has begun; it opens the slot of that day unless the slot is in hand already."""
        with self._store.transaction(site) as database:
            database.execute(
                """INSERT INTO slot (site, day, state) VALUES (?, ?, 'open')
                   ON CONFLICT (site) DO UPDATE SET day = excluded.day, state = 'open', failures = 0, next_at = NULL
                   WHERE excluded.day > slot.day OR slot.day > ?""",
                (site, day.isoformat(), (day + CLOCK_ERROR).isoformat()),
            )
            row = database.execute(
                "INSERT INTO run (site, trigger, started_at) VALUES (?, ?, ?) RETURNING id", (site, trigger, to_text(at))
            ).fetchone()
        return Run(
            id=row["id"],
            site=site,
            last_known=self.last_known(site),
            newest=self.newest_structure(site),
            before=self.last_provenance(site),
            doubt=self.doubt(site),
        )

    def record_unread(self, run: Run, error: AgentError, *, at: datetime, next_at: datetime) -> None:
        """The site could not be read: its open slot is tried again at `next_at`."""
        with self._store.transaction(run.site) as database:
            self._end_unread(database, run.site, Result.UNREADABLE, error, at, next_at, run_id=run.id)

    def record_crash(self, site: str, error: AgentError, *, at: datetime, next_at: datetime) -> None:
        """A bug ended the run; neither the reading nor the delivery is tried again before `next_at`."""
        with self._store.transaction(site) as database:
            self._end_unread(database, site, Result.CRASHED, error, at, next_at)
            database.execute(
                "UPDATE outbox SET failures = failures + 1, next_at = ? WHERE site = ?", (to_text(next_at), site)
            )
            database.execute("UPDATE recheck SET next_at = ? WHERE site = ?", (to_text(next_at), site))

    def owe(self, run: Run, structure: Structure, *, at: datetime) -> tuple[Delivery, Changes]:
        """Make the structure durable before it is sent; it supersedes an older one that still waits."""
        document = to_document(structure)
        body = to_bytes(document)
        changes = diff(dict(run.newest.document) if run.newest else None, document)
        with self._store.transaction(run.site) as database:
            # After the loss of the state too, something that nobody remembers may be on its way.
            lost = run.newest is None and self._store.set_aside is not None
            generation = put_in(database, run.site, body, at=at, may_arrive_late=lost)
            remember(database, run.site, generation, digest(document), structure.fetched_at, body, changes)
            database.execute("UPDATE slot SET state = 'owed', failures = 0, next_at = NULL WHERE site = ?", (run.site,))
            database.execute(
                "UPDATE run SET generation = ?, result = 'pending', provenance = ? WHERE id = ?",
                (generation, self._redactor.hide_in_json(to_json(structure.provenance)), run.id),
            )
            self._remember_counts(database, run.site, structure, at)
            self._prune(database, run.site, at)
        return self._just_owed(run.site), changes

    def owe_again(self, delivery: Delivery, *, at: datetime) -> Delivery | None:
        """The backend went back to an older structure: what it had is owed once more, as a new document.

        None when a newer one is owed, or was delivered, meanwhile.
        """
        newest = self.newest_structure(delivery.site)
        with self._store.transaction(delivery.site) as database:
            count_look(database, delivery.site, at)
            if self.owed_to(delivery.site) or newest is None or newest.generation != delivery.generation:
                return None
            generation = put_in(database, delivery.site, delivery.body, at=at)
            remember(database, delivery.site, generation, newest.digest, newest.fetched_at, delivery.body, Changes())
            database.execute(
                "INSERT INTO run (site, trigger, started_at, result, generation) VALUES (?, ?, ?, 'pending', ?)",
                (delivery.site, Trigger.LATE_ARRIVAL, to_text(at), generation),
            )
        return self._just_owed(delivery.site)

    def _just_owed(self, site: str) -> Delivery:
        delivery = self.owed_to(site)
        assert delivery is not None, "it was written in this transaction"
        return delivery

    def record_look(self, delivery: Delivery, *, at: datetime) -> None:
        """The backend was asked whether it still shows a delivered document."""
        with self._store.transaction(delivery.site) as database:
            count_look(database, delivery.site, at)

    def record_receipt(self, delivery: Delivery, receipt: Receipt, *, at: datetime) -> None:
        """The backend has it. A newer document that arrived meanwhile stays owed."""
        with self._store.transaction(delivery.site) as database:
            which = (delivery.site, delivery.generation)
            look_back_later(database, delivery, at)
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
        """The backend does not have it, or did not say so: it stays owed, and is tried again at `next_at`.

        What was refused as it is waits for the next slot's document instead. A pause is no try.
        """
        result = Result.PENDING if error.transient else Result.HELD
        state = "quarantined" if isinstance(error, DeliveryRejected) else result
        tried = not isinstance(error, BackendPaused)
        late = isinstance(error, BackendError) and error.may_arrive_late
        why = self._why(error)
        with self._store.transaction(delivery.site) as database:
            database.execute(
                """UPDATE outbox SET state = ?, failures = failures + ?, next_at = ?, reason = ?, message = ?, hint = ?,
                   may_arrive_late = CASE WHEN ? = 1 THEN 1 ELSE may_arrive_late END WHERE site = ? AND generation = ?""",
                (state, int(tried), to_text(next_at), *why, int(late), delivery.site, delivery.generation),
            )
            database.execute(
                """UPDATE run SET result = ?, finished_at = ?, reason = ?, message = ?, hint = ?
                   WHERE site = ? AND generation = ?""",
                (result, to_text(at), *why, delivery.site, delivery.generation),
            )

    def record_offers(self, backend: str, offers: frozenset[str]) -> None:
        """What it offers from now on, in place of what it said before."""
        with self._store.transaction() as database:
            database.execute("DELETE FROM offer WHERE backend = ?", (backend,))
            database.executemany("INSERT INTO offer (backend, name) VALUES (?, ?)", [(backend, one) for one in offers])

    def record_refused_login(self, account: str, *, at: datetime) -> None:
        """Only those of the last day are of use to anybody."""
        with self._store.transaction() as database:
            database.execute("DELETE FROM refused_login WHERE at < ?", (to_text(at - timedelta(days=1)),))
            database.execute("INSERT INTO refused_login (account, at) VALUES (?, ?)", (account, to_text(at)))

    def recover(self, *, at: datetime) -> list[Quarantined]:
        """After a start: runs that never ended were interrupted; what they owed still waits, and may be on its way.

        The sites that were being read each time the agent died, and now wait.
        """
        with self._store.transaction() as database:
            database.execute("UPDATE outbox SET may_arrive_late = 1")
            return end_killed(database, unfinished(self._store), at=at)

    def leave(self) -> None:
        """Before an end on purpose: what is cut short by it says nothing of its site."""
        if sites := unfinished(self._store):
            with self._store.transaction() as database:
                end_stopped(database, sites)

    def forget_held(self, *, at: datetime) -> None:
        """Settings may have changed since: what is held is tried once more now."""
        with self._store.transaction() as database:
            database.execute("UPDATE outbox SET next_at = ? WHERE state = 'held'", (to_text(at),))

    def prove_writable(self) -> None:
        """Write something that leaves no trace. Raises StateError."""
        with self._store.transaction() as database:
            database.execute("INSERT INTO offer (backend, name) VALUES ('', 'writable')")
            database.execute("DELETE FROM offer WHERE backend = ''")

    def _end_unread(
        self,
        database: Database,
        site: str,
        result: Result,
        error: AgentError,
        at: datetime,
        next_at: datetime,
        *,
        run_id: int | None = None,
    ) -> None:
        """run_id   None for whichever run of the site has not ended"""
        doubted = to_json(sorted(error.gone)) if isinstance(error, SuspiciousShrink) else None
        database.execute(
            """UPDATE run SET result = ?, finished_at = ?, reason = ?, message = ?, hint = ?, doubted = ?
               WHERE site = ? AND finished_at IS NULL AND id = coalesce(?, id)""",
            (result, to_text(at), *self._why(error), doubted, site, run_id),
        )
        database.execute(
            "UPDATE slot SET failures = failures + 1, next_at = ? WHERE site = ? AND state = 'open'",
            (to_text(next_at), site),
        )
        # A site that never answers is tried a hundred times a day, for years.
        self._prune(database, site, at)

    def _why(self, error: AgentError) -> tuple[str, str, str]:
        return error.reason, self._redactor.hide(error.message), self._redactor.hide(error.hint)

    def _remember_counts(
        self, database: Database, site: str, structure: Structure, at: datetime
    ) -> None:
        fresh = [entry for entry in structure.entries if not entry.count.stale]
        database.executemany(
            """INSERT INTO last_count (site, family, slug, count, learned_at) VALUES (?, ?, ?, ?, ?)
               ON CONFLICT (site, family, slug) DO UPDATE SET count = excluded.count, learned_at = excluded.learned_at""",
            [(site, e.content_type.family, e.content_type.slug, e.count.value, to_text(at)) for e in fresh],
        )

    def _prune(self, database: Database, site: str, at: datetime) -> None:
        """Old history goes; the newest entry, and the newest run that read the site, stay however old they are."""
        for table, order, moment, read in (
            ("run", "id", "started_at", "provenance IS NOT NULL"),
            ("structure", "generation", "fetched_at", "TRUE"),
        ):
            stays = f"{order} = (SELECT max({order}) FROM {table} WHERE site = ? AND {read})"  # noqa: S608 - its names are written above
            database.execute(
                f"""DELETE FROM {table} WHERE site = ? AND NOT coalesce({stays}, FALSE) AND {order} <=
                    (SELECT {order} FROM {table} WHERE site = ? ORDER BY {order} DESC LIMIT 1 OFFSET ?)""",  # noqa: S608 - likewise
                (site, site, site, KEPT_PER_SITE),
            )
            database.execute(
                f"""DELETE FROM {table} WHERE site = ? AND NOT coalesce({stays}, FALSE) AND {moment} < ?
                    AND {order} < (SELECT max({order}) FROM {table} WHERE site = ?)""",  # noqa: S608 - likewise
                (site, site, to_text(at - KEPT_FOR), site),
            )
