"""What the state knows: questions only, also beside a running daemon."""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from hashlib import sha256
from typing import Any, TypeVar

from agent.state.records import Delivery, Result, RunRow, SlotRow, SlotState, Snapshot
from agent.state.rows import Row, Store, check_outbox, check_structure, maybe_moment, to_moment, to_text, understood
from agent.structure.build import LastKnown
from agent.structure.guard import Doubt
from agent.structure.model import Family

Record = TypeVar("Record")


class History:
    """The records of all sites, as they were written."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def store(self) -> Store:
        """Where all of it is kept."""
        return self._store

    def slot(self, site: str) -> SlotRow | None:
        return self._one(_slot, "SELECT * FROM slot WHERE site = ?", site)

    def owed_to(self, site: str) -> Delivery | None:
        """The document that waits for this site's integration; raises StateFailed when it was damaged."""
        return self._one(_delivery, "SELECT * FROM outbox WHERE site = ?", site)

    def waiting(self, site: str, *, now: datetime) -> Delivery | None:
        """What to take up for this site when its `next_at` has come: the document that is owed to it, or the one
        that was delivered in doubt. None for nothing, and for a document that no further try would help."""
        if owed := self.owed_to(site):
            return None if owed.quarantined else owed
        query = """SELECT recheck.next_at, structure.* FROM recheck JOIN structure USING (site, generation)
                   WHERE site = ?"""
        return self._one(_delivery_to_check, query, site)

    def due(self, *, at: datetime, sites: Iterable[str]) -> list[Delivery]:
        """What is to be taken up for these sites now, the longest owed first."""
        waiting = [found for site in sites if (found := self.waiting(site, now=at))]
        return sorted((one for one in waiting if one.next_at <= at), key=lambda one: one.owed_at)

    def runs(self, site: str, *, limit: int = 20) -> list[RunRow]:
        """The newest runs first."""
        return self._all(_run, "SELECT * FROM run WHERE site = ? ORDER BY id DESC LIMIT ?", site, limit)

    def failing_since(self) -> dict[str, datetime]:
        """The sites whose runs failed since their last delivery, with the first of those failures."""
        rows = self._all(
            lambda row: (row["site"], to_moment(row["since"])),
            """SELECT site, since FROM (
                   SELECT slot.site AS site, (
                       SELECT min(finished_at) FROM run AS failed WHERE failed.site = slot.site AND finished_at IS NOT NULL
                       AND id > (SELECT coalesce(max(id), 0) FROM run AS good WHERE good.site = slot.site AND result = 'delivered')
                   ) AS since
                   FROM slot JOIN run AS last ON last.id = (
                       SELECT max(id) FROM run AS ended WHERE ended.site = slot.site AND result <> 'interrupted'
                   ) WHERE last.result <> 'delivered'
               ) AS failing WHERE since IS NOT NULL""",
        )
        return dict(rows)

    def last_delivered_at(self, site: str) -> datetime | None:
        return self._one(_moment, "SELECT max(delivered_at) AS at FROM structure WHERE site = ?", site)

    def structures(self, site: str, *, limit: int = 20) -> list[Snapshot]:
        """The newest structures first."""
        query = "SELECT * FROM structure WHERE site = ? ORDER BY generation DESC LIMIT ?"
        return self._all(_snapshot, query, site, limit)

    def newest_structure(self, site: str) -> Snapshot | None:
        return next(iter(self.structures(site, limit=1)), None)

    def known_sites(self) -> list[str]:
        return [row["site"] for row in self._store.rows("SELECT site FROM slot ORDER BY site")]

    def last_known(self, site: str) -> LastKnown:
        """The newest counts that were ever learned."""
        return dict(self._all(_count, "SELECT family, slug, count FROM last_count WHERE site = ?", site))

    def doubt(self, site: str) -> Doubt | None:
        """About the last finished run, where it refused a suspicious shrink; None when it ended otherwise."""
        query = "SELECT finished_at, doubted FROM run WHERE site = ? AND finished_at IS NOT NULL ORDER BY id DESC LIMIT 1"
        return self._one(_doubt, query, site)

    def last_provenance(self, site: str) -> Mapping[str, Any]:
        """Of the newest structure that was read; empty when there is none."""
        query = "SELECT provenance FROM run WHERE site = ? AND provenance IS NOT NULL ORDER BY id DESC LIMIT 1"
        return self._one(_provenance, query, site) or {}

    def offers(self, backend: str) -> frozenset[str]:
        """What the backend at this address has said that it offers besides."""
        return frozenset(row["name"] for row in self._store.rows("SELECT name FROM offer WHERE backend = ?", backend))

    def refused_logins(self, account: str, *, since: datetime) -> list[datetime]:
        """When this login was refused since then, to whichever process that shares this state."""
        query = "SELECT at FROM refused_login WHERE account = ? AND at > ?"
        return self._all(lambda row: to_moment(row["at"]), query, account, to_text(since))

    def owing_sites(self) -> list[str]:
        """The sites that a document waits for."""
        return [row["site"] for row in self._store.rows("SELECT site FROM outbox ORDER BY site")]

    def _all(self, build: Callable[[Row], Record], query: str, *values: Any) -> list[Record]:
        rows = self._store.rows(query, *values)
        with understood("a row"):
            return [build(row) for row in rows]

    def _one(self, build: Callable[[Row], Record], query: str, *values: Any) -> Record | None:
        return next(iter(self._all(build, query, *values)), None)

    def close(self) -> None:
        self._store.close()


def _moment(row: Row) -> datetime | None:
    return maybe_moment(row["at"])


def _doubt(row: Row) -> Doubt | None:
    return Doubt(to_moment(row["finished_at"]), frozenset(json.loads(row["doubted"]))) if row["doubted"] else None


def _count(row: Row) -> tuple[tuple[Family, str], int]:
    return (Family(row["family"]), row["slug"]), row["count"]


def _provenance(row: Row) -> Mapping[str, Any]:
    return dict(json.loads(row["provenance"]))


def _slot(row: Row) -> SlotRow:
    return SlotRow(
        row["site"],
        date.fromisoformat(row["day"]),
        SlotState(row["state"]),
        row["failures"],
        maybe_moment(row["next_at"]),
    )


def _delivery(row: Row) -> Delivery:
    check_outbox(row)
    return Delivery(
        site=row["site"],
        generation=row["generation"],
        body=row["body"],
        body_sha256=row["body_sha256"],
        idempotency_key=row["idempotency_key"],
        failures=row["failures"],
        owed_at=to_moment(row["owed_at"]),
        next_at=to_moment(row["next_at"]),
        held=row["state"] != "pending",
        quarantined=row["state"] == "quarantined",
        reason=row["reason"],
        message=row["message"],
        hint=row["hint"],
    )


def _delivery_to_check(row: Row) -> Delivery:
    """From the structure that was delivered; its key has served."""
    snapshot = _snapshot(row)
    body = row["document"].encode()
    return Delivery(
        site=snapshot.site,
        generation=snapshot.generation,
        body=body,
        body_sha256=sha256(body).hexdigest(),
        idempotency_key="",
        failures=0,
        owed_at=snapshot.fetched_at,
        next_at=to_moment(row["next_at"]),
        to_check=True,
    )


def _run(row: Row) -> RunRow:
    return RunRow(
        id=row["id"],
        site=row["site"],
        trigger=row["trigger"],
        started_at=to_moment(row["started_at"]),
        finished_at=maybe_moment(row["finished_at"]),
        result=Result(row["result"]) if row["result"] else None,
        reason=row["reason"],
        message=row["message"],
        hint=row["hint"],
        generation=row["generation"],
        integration_id=row["integration_id"],
        provenance=json.loads(row["provenance"]) if row["provenance"] else None,
    )


def _snapshot(row: Row) -> Snapshot:
    check_structure(row)
    return Snapshot(
        site=row["site"],
        generation=row["generation"],
        digest=row["digest"],
        fetched_at=to_moment(row["fetched_at"]),
        delivered_at=maybe_moment(row["delivered_at"]),
        document=json.loads(row["document"]),
        changes=json.loads(row["changes"]),
    )
