"""What the state knows: questions only, also beside a running daemon."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from hashlib import sha256
from typing import Any

from agent.state.records import Delivery, Result, RunRow, SlotRow, SlotState, Snapshot
from agent.state.store import Store, corrupt, maybe_moment, to_moment, to_text
from agent.structure.build import LastKnown
from agent.structure.guard import SHRINK_REASON
from agent.structure.model import Family


class History:
    """The records of all sites, as they were written."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def slot(self, site: str) -> SlotRow | None:
        row = self._store.row("SELECT * FROM slot WHERE site = ?", site)
        if row is None:
            return None
        return SlotRow(
            site, date.fromisoformat(row["day"]), SlotState(row["state"]), row["failures"], maybe_moment(row["next_at"])
        )

    def owed_to(self, site: str) -> Delivery | None:
        """The document that waits for this site's integration; raises StateFailed when its bytes were damaged."""
        row = self._store.row("SELECT * FROM outbox WHERE site = ?", site)
        return _delivery(row) if row else None

    def due(self, *, at: datetime, sites: Iterable[str]) -> list[Delivery]:
        """Owed documents of these sites whose next try is now or past, the oldest first."""
        rows = self._store.rows("SELECT * FROM outbox WHERE next_at <= ? ORDER BY owed_at", to_text(at))
        wanted = set(sites)
        return [_delivery(row) for row in rows if row["site"] in wanted]

    def runs(self, site: str, *, limit: int = 20) -> list[RunRow]:
        """The newest runs first."""
        rows = self._store.rows("SELECT * FROM run WHERE site = ? ORDER BY id DESC LIMIT ?", site, limit)
        return [_run(row) for row in rows]

    def last_delivered_at(self, site: str) -> datetime | None:
        row = self._store.row("SELECT max(delivered_at) AS at FROM structure WHERE site = ?", site)
        return maybe_moment(row["at"]) if row else None

    def structures(self, site: str, *, limit: int = 20) -> list[Snapshot]:
        """The newest structures first."""
        rows = self._store.rows("SELECT * FROM structure WHERE site = ? ORDER BY generation DESC LIMIT ?", site, limit)
        return [_snapshot(row) for row in rows]

    def newest_structure(self, site: str) -> Snapshot | None:
        return next(iter(self.structures(site, limit=1)), None)

    def known_sites(self) -> list[str]:
        return [row["site"] for row in self._store.rows("SELECT site FROM slot ORDER BY site")]

    def last_known(self, site: str) -> LastKnown:
        """The newest counts that were ever learned."""
        rows = self._store.rows("SELECT family, slug, count FROM last_count WHERE site = ?", site)
        return {(Family(row["family"]), row["slug"]): row["count"] for row in rows}

    def last_slugs(self, site: str) -> frozenset[tuple[Family, str]]:
        """The content types of the newest structure."""
        newest = self.newest_structure(site)
        families = ((Family.POST_TYPE, "post_types"), (Family.TAXONOMY, "taxonomies"))
        return frozenset((family, slug) for family, key in families for slug in (newest.document[key] if newest else ()))

    def doubted_at(self, site: str) -> datetime | None:
        """When the last finished run refused a suspicious shrink; None when it ended otherwise."""
        row = self._store.row(
            "SELECT reason, finished_at FROM run WHERE site = ? AND finished_at IS NOT NULL ORDER BY id DESC LIMIT 1", site
        )
        return maybe_moment(row["finished_at"]) if row and row["reason"] == SHRINK_REASON else None

    def last_provenance(self, site: str) -> Mapping[str, Any]:
        """Of the newest structure that was read; empty when there is none."""
        row = self._store.row(
            "SELECT provenance FROM run WHERE site = ? AND provenance IS NOT NULL ORDER BY id DESC LIMIT 1", site
        )
        return json.loads(row["provenance"]) if row else {}

    def owing_sites(self) -> list[str]:
        """The sites that a document waits for."""
        return [row["site"] for row in self._store.rows("SELECT site FROM outbox ORDER BY site")]

    def close(self) -> None:
        self._store.close()


def _delivery(row: sqlite3.Row) -> Delivery:
    if sha256(row["body"]).hexdigest() != row["body_sha256"]:
        raise corrupt(f"the owed document of {row['site']} is not the one that was written")
    return Delivery(
        site=row["site"],
        generation=row["generation"],
        body=row["body"],
        body_sha256=row["body_sha256"],
        idempotency_key=row["idempotency_key"],
        failures=row["failures"],
        owed_at=to_moment(row["owed_at"]),
        next_at=to_moment(row["next_at"]),
        held=row["state"] == "held",
        reason=row["reason"],
        message=row["message"],
        hint=row["hint"],
    )


def _run(row: sqlite3.Row) -> RunRow:
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


def _snapshot(row: sqlite3.Row) -> Snapshot:
    return Snapshot(
        site=row["site"],
        generation=row["generation"],
        digest=row["digest"],
        fetched_at=to_moment(row["fetched_at"]),
        delivered_at=maybe_moment(row["delivered_at"]),
        document=json.loads(row["document"]),
        changes=json.loads(row["changes"]),
    )
