"""The one SQLite file: opened, checked, and changed in transactions that a power cut cannot halve."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.errors import StateBusy, StateError, StateFailed
from agent.state.files import OwnerLock, own_file, own_folder, unwritable
from agent.state.schema import known_version, migrate

FILE_NAME = "state.sqlite3"

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    # NORMAL loses acknowledged rows at a power cut (measured); FULL costs about a millisecond.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
    "PRAGMA secure_delete = ON",
)
_BUSY_SECONDS = 5.0


class Store:
    """One connection to the state; `transaction` is the only way to change anything."""

    def __init__(self, database: sqlite3.Connection, lock: OwnerLock | None) -> None:
        self._database = database
        self._lock = lock

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing. Raises StateError for what SQLite or the disk refuses."""
        with _translated():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                # After an I/O error SQLite may have rolled back already.
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        with _translated():
            return self._database.execute(query, values).fetchall()

    def row(self, query: str, *values: Any) -> sqlite3.Row | None:
        rows = self.rows(query, *values)
        return rows[0] if rows else None

    def close(self) -> None:
        self._database.close()
        if self._lock:
            self._lock.release()


def open_store(folder: Path) -> Store:
    """The state in this folder, made at need; raises StateError, and holds the folder until closed."""
    lock = OwnerLock(own_folder(folder))
    try:
        file = folder / FILE_NAME
        # Made here first, so that SQLite gives its mode to -wal and -shm too.
        own_file(file)
        with _connected(f"{file.resolve().as_uri()}?mode=rw") as database:
            for pragma in _PRAGMAS:
                database.execute(pragma)
            _refuse_corruption(database, file)
            migrate(database)
    except BaseException:
        lock.release()
        raise
    return Store(database, lock)


def read_store(folder: Path) -> Store | None:
    """The state for looking only, beside a running daemon; None when there is none yet."""
    file = folder / FILE_NAME
    try:
        if not file.is_file() or file.stat().st_size == 0:
            return None
    except OSError as error:
        raise unwritable(file, error) from None
    with _connected(f"{file.resolve().as_uri()}?mode=ro") as database:
        if known_version(database) == 0:
            database.close()
            return None
    return Store(database, None)


@contextmanager
def _connected(uri: str) -> Iterator[sqlite3.Connection]:
    """A connection that outlives the block, unless something in it fails."""
    with _translated():
        database = sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            database.row_factory = sqlite3.Row
            yield database
        except BaseException:
            database.close()
            raise


def _refuse_corruption(database: sqlite3.Connection, file: Path) -> None:
    verdict = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise corrupt(file.name)


def corrupt(what: str) -> StateError:
    return StateFailed(
        f"the state is damaged ({what})",
        reason="state_corrupt",
        hint="Move the folder away and start again: every site is read anew, and nothing is lost but history.",
    )


@contextmanager
def _translated() -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        text = str(error)
        if "locked" in text or "busy" in text:
            raise StateBusy(
                "the state stays locked by another program",
                reason="state_busy",
                hint="End the backup or the program that holds it.",
            ) from error
        if "malformed" in text or "not a database" in text:
            raise corrupt(text) from error
        raise StateFailed(
            f"the state cannot be written or read: {text}",
            reason="state_full" if "full" in text else "state_io",
            hint="Look at the free space and the health of the disk.",
        ) from error


def to_text(moment: datetime) -> str:
    """A moment as the state keeps it: UTC, of fixed width, so that text sorts as time does."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def to_moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def maybe_moment(text: str | None) -> datetime | None:
    return to_moment(text) if text else None


def to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
