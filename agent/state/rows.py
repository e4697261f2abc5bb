"""What every keeper of the state does alike, whichever database it is: rows, their checks, and values as text."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from agent.errors import StateError, StateFailed
from agent.state.records import row_sha256

CORRUPT_REASON = "state_corrupt"


class Row(Protocol):
    """One row, by the names of its columns."""

    def __getitem__(self, column: str, /) -> Any: ...


class Cursor(Protocol):
    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...


class Database(Protocol):
    """Takes SQL that SQLite and PostgreSQL both understand, with `?` for each value."""

    def execute(self, query: str, values: Sequence[Any] = (), /) -> Cursor: ...
    def executemany(self, query: str, rows: Iterable[Sequence[Any]], /) -> Any: ...


class Store(Protocol):
    """Where the state is kept. Every call raises StateError."""

    set_aside: Path | None
    """Where a damaged file lies whose place this state has taken; None as a rule."""

    def transaction(self, site: str | None = None) -> AbstractContextManager[Database]:
        """All or nothing; the only way to change anything.

        site   whose rows are changed: of several processes only the one that has it in hand may
        """
        ...

    def rows(self, query: str, *values: Any) -> list[Any]: ...

    def take(self, site: str) -> bool:
        """Have a site in hand; False while another process has it."""
        ...

    def give_back(self, site: str) -> None: ...

    def close(self) -> None: ...


def corrupt(what: str) -> StateError:
    return StateFailed(
        f"the state is damaged ({what})",
        reason=CORRUPT_REASON,
        hint="The next wpsa run or wpsa sync sets the damaged file aside and reads every site anew.",
    )


@contextmanager
def understood(what: str) -> Iterator[None]:
    """Values that no program of ours has written are damage."""
    try:
        yield
    except (ValueError, TypeError, LookupError) as error:
        raise corrupt(f"{what} holds a value that nobody wrote") from error


def check_outbox(row: Row) -> None:
    """Raises StateFailed for an owed document that is not the one that was written."""
    frozen = (row["site"], row["generation"], row["body_sha256"], row["idempotency_key"], row["owed_at"])
    if row_sha256(*frozen) != row["row_sha256"] or sha256(row["body"]).hexdigest() != row["body_sha256"]:
        raise corrupt(f"the owed document of {row['site']} is not the one that was written")
    to_moment(row["next_at"])


def check_structure(row: Row) -> None:
    """Raises StateFailed for a structure that is not the one that was written."""
    columns = ("site", "generation", "digest", "fetched_at", "document", "changes")
    if row_sha256(*(row[column] for column in columns)) != row["row_sha256"]:
        raise corrupt(f"a structure of {row['site']} is not the one that was written")


WIDTH = len("2026-11-21T10:00:00.000000Z")


def to_text(moment: datetime) -> str:
    """A moment as the state keeps it: UTC, of fixed width, so that text sorts as time does."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def to_moment(text: str) -> datetime:
    if len(text) != WIDTH or text[-1] != "Z":
        raise ValueError("a moment of another form")
    return datetime.fromisoformat(text)  # strptime takes four times as long


def maybe_moment(text: str | None) -> datetime | None:
    return to_moment(text) if text else None


def to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
