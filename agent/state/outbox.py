"""Owed documents as rows: put in whole, and looked after where they may be overtaken. Each call is part of a transaction."""

from datetime import datetime, timedelta
from hashlib import sha256

from agent.state.records import Delivery, row_sha256
from agent.state.rows import Database, to_json, to_text
from agent.structure.diff import Changes

FIRST_LOOK, SECOND_LOOK = timedelta(seconds=60), timedelta(minutes=10)
"""After a delivery that an older document, still on its way, may undo."""


def put_in(
    database: Database, site: str, body: bytes, *, at: datetime, may_arrive_late: bool = False
) -> int:
    """The generation of the document, which takes the place of an older one that still waits.

    may_arrive_late   whether something is on its way that this state knows nothing of
    """
    query = "SELECT max(generation) AS newest FROM structure WHERE site = ?"
    # Ever-growing, whatever the clock does.
    generation = max((database.execute(query, (site,)).fetchone()["newest"] or 0) + 1, int(at.timestamp() * 1000))
    body_sha256 = sha256(body).hexdigest()
    key = _idempotency_key(database, site, generation, body_sha256)
    owed_at = to_text(at)
    query = "SELECT 1 AS one FROM outbox WHERE site = ? AND may_arrive_late = 1"
    late = may_arrive_late or database.execute(query, (site,)).fetchone() is not None
    database.execute("DELETE FROM outbox WHERE site = ?", (site,))
    database.execute(
        """INSERT INTO outbox
           (site, generation, body, body_sha256, row_sha256, idempotency_key, state, next_at, owed_at, may_arrive_late)
           VALUES (?, ?, ?, ?, ?, ?, 'pending', ?, ?, ?)""",
        (site, generation, body, body_sha256, row_sha256(site, generation, body_sha256, key, owed_at), key,
         owed_at, owed_at, int(late)),
    )  # fmt: skip
    return generation


def _idempotency_key(database: Database, site: str, generation: int, body_sha256: str) -> str:
    instance: str = database.execute("SELECT id FROM instance").fetchone()["id"]
    return sha256("\n".join((instance, site, str(generation), body_sha256)).encode()).hexdigest()


def remember(
    database: Database,
    site: str,
    generation: int,
    digest: str,
    fetched_at: datetime,
    body: bytes,
    changes: Changes,
) -> None:
    """The structure for history, and for the next reading to be compared with."""
    row = (site, generation, digest, to_text(fetched_at), body.decode(), to_json(changes.as_json()))
    database.execute(
        """INSERT INTO structure (site, generation, digest, fetched_at, document, changes, row_sha256)
           VALUES (?, ?, ?, ?, ?, ?, ?)""",
        (*row, row_sha256(*row)),
    )


def look_back_later(database: Database, delivery: Delivery, at: datetime) -> None:
    """Plan the looks at the backend after a delivery, where an older document may still arrive."""
    which = (delivery.site, delivery.generation)
    query = "SELECT 1 AS one FROM outbox WHERE site = ? AND generation = ? AND may_arrive_late = 1"
    if database.execute(query, which).fetchone():
        database.execute(
            """INSERT INTO recheck (site, generation, next_at) VALUES (?, ?, ?) ON CONFLICT (site) DO UPDATE
               SET generation = excluded.generation, next_at = excluded.next_at, looks = 0""",
            (*which, to_text(at + FIRST_LOOK)),
        )
    else:
        database.execute("UPDATE recheck SET generation = ? WHERE site = ?", which[::-1])


def count_look(database: Database, site: str, at: datetime) -> None:
    """The backend was looked at: the second look is the last."""
    database.execute("DELETE FROM recheck WHERE site = ? AND looks > 0", (site,))
    database.execute(
        "UPDATE recheck SET looks = 1, next_at = ? WHERE site = ?", (to_text(at + SECOND_LOOK - FIRST_LOOK), site)
    )
