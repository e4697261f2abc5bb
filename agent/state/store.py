"""The one SQLite file: opened, checked, and changed in transactions that a power cut cannot halve."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import date
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Any

from agent.errors import StateBusy, StateError, StateFailed, StateFull, StateUnwritable
from agent.state.disk import refuse_network_disk
from agent.state.files import OWNER_HINT, OwnerLock, own_file, own_folder, set_aside
from agent.state.rows import CORRUPT_REASON, check_outbox, check_structure, corrupt, maybe_moment, understood
from agent.state.schema import NEWEST_VERSION, known_version, migrate
from agent.structure.model import Family

FILE_NAME = "state.sqlite3"

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    # NORMAL loses acknowledged rows at a power cut (measured); FULL costs about a millisecond.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
    "PRAGMA secure_delete = ON",
    # 4 GiB of state, and 4 MiB of log behind a checkpoint: bounds that no ordinary agent comes near.
    "PRAGMA max_page_count = 1048576",
    "PRAGMA journal_size_limit = 4194304",
)
_BUSY_SECONDS = 5.0
_OF_SLOTS = """
    SELECT slot.*, last.finished_at, iif(json_valid(last.doubted), json_type(last.doubted), last.doubted) AS doubted,
        iif(json_valid(read.provenance), json_type(read.provenance), read.provenance) AS provenance
    FROM slot
    LEFT JOIN run AS last ON last.id = (SELECT max(id) FROM run WHERE site = slot.site AND finished_at IS NOT NULL)
    LEFT JOIN run AS read ON read.id = (SELECT max(id) FROM run WHERE site = slot.site AND provenance IS NOT NULL)
"""
"""What a run believes of the runs before it; of their JSON the kind, and what is none as it is."""
_CHUNK = 1 << 20


class FileStore:
    """One connection to the state; `transaction` is the only way to change anything."""

    def __init__(self, database: sqlite3.Connection, lock: OwnerLock | None, *, set_aside: Path | None = None) -> None:
        self._database = database
        self._lock = lock
        self.set_aside = set_aside
        """Where a damaged file lies whose place this state has taken; None as a rule."""

    @contextmanager
    def transaction(self, site: str | None = None) -> Iterator[sqlite3.Connection]:
        """All or nothing. Raises StateError for what SQLite or the disk refuses."""
        with _translated():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")  # on a full disk it is this that fails
            except BaseException:
                # After an I/O error SQLite may have rolled back already.
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        with _translated():
            return self._database.execute(query, values).fetchall()

    def take(self, site: str) -> bool:
        """Every site is in hand already: the lock on the folder has one owner."""
        return True

    def give_back(self, site: str) -> None:
        pass

    def close(self) -> None:
        self._database.close()
        if self._lock:
            self._lock.release()


def open_store(folder: Path, *, network_disk: bool = False) -> FileStore:
    """The state in this folder, made at need; raises StateError, and holds the folder until closed.

    A damaged file is set aside and a new state begun: what it says cannot be believed, and every site
    can be read anew. One that only could not be read at the moment stays where it is.

    network_disk   whether the folder may lie on one
    """
    own_folder(folder)
    if not network_disk:
        refuse_network_disk(folder)
    lock = OwnerLock(folder)
    file = folder / FILE_NAME
    damaged = None
    try:
        try:
            database = _opened(file)
        except StateError as error:
            if error.reason != CORRUPT_REASON:
                raise
            _doubt(file)
            damaged = set_aside(file)
            database = _opened(file)
    except BaseException:
        lock.release()
        raise
    return FileStore(database, lock, set_aside=damaged)


def _doubt(file: Path) -> None:
    """Raises StateFailed unless a file that looked damaged can be read whole, and looks so once more.

    SQLite reports a page that the disk would not give as damage, too.
    """
    try:
        for one in (file, file.with_name(f"{file.name}-wal")):
            with suppress(FileNotFoundError), one.open("rb") as content:
                while content.read(_CHUNK):
                    pass
    except OSError as error:
        raise _failed(f"{error.strerror or error}") from error
    try:
        _opened(file).close()
    except StateError as error:
        if error.reason != CORRUPT_REASON:
            raise
    else:
        raise _failed("the disk gave another content a moment ago")


def _opened(file: Path) -> sqlite3.Connection:
    """The database, sound and with all its tables; raises StateError."""
    # Made here first, so that SQLite gives its mode to -wal and -shm too.
    own_file(file)
    with _connected(f"{file.resolve().as_uri()}?mode=rw") as database:
        known_version(database)  # a newer version's file is left as it is
        for pragma in _PRAGMAS:
            database.execute(pragma)
        verdict = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise corrupt(file.name)
        migrate(database)
        with understood(file.name):
            _check_rows(database)
    return database


def _check_rows(database: sqlite3.Connection) -> None:
    """Raises StateFailed or ValueError for a row that is not as it was written, of those that a run believes."""
    for row in database.execute("SELECT * FROM outbox"):
        check_outbox(row)
    for row in database.execute(
        "SELECT *, max(generation) FROM structure GROUP BY site"  # of SQLite: the other columns are that row's
    ):
        check_structure(row)
    for row in database.execute(_OF_SLOTS):
        date.fromisoformat(row["day"])
        maybe_moment(row["next_at"])
        maybe_moment(row["finished_at"])
        if row["provenance"] not in (None, "object") or row["doubted"] not in (None, "array"):
            raise corrupt(f"a run of {row['site']} holds a value that nobody wrote")
    for row in database.execute("SELECT DISTINCT family FROM last_count"):
        Family(row["family"])


def read_store(folder: Path) -> FileStore | None:
    """The state for looking only, beside a running daemon; None when there is none yet."""
    file = folder / FILE_NAME
    try:
        if not file.is_file() or file.stat().st_size == 0:
            return None
    except OSError as error:
        raise _unreadable(file, error.strerror) from None
    if not os.access(file, os.R_OK):
        raise _unreadable(file, os.strerror(errno.EACCES))
    try:
        return _looked_at(file, "mode=ro")
    except StateUnwritable:
        # Nobody has it open, and beside it nothing can be made: in a folder that is read-only.
        return _looked_at_alone(file)


def _looked_at(file: Path, how: str) -> FileStore | None:
    with _connected(f"{file.resolve().as_uri()}?{how}") as database:
        version = known_version(database)
        if version == 0:
            database.close()
            return None
        return FileStore(database if version == NEWEST_VERSION else _migrated_copy(database), None)


def _looked_at_alone(file: Path) -> FileStore | None:
    """Without the files that SQLite wants beside it; a log that stands there still is read in another place."""
    log = file.with_name(f"{file.name}-wal")
    try:
        if not (log.exists() and log.stat().st_size):
            return _looked_at(file, "immutable=1")
        with TemporaryDirectory(prefix="wpsa-") as elsewhere:
            for one in (file, log):
                copyfile(one, Path(elsewhere) / one.name)
            with _connected(f"{(Path(elsewhere) / file.name).as_uri()}?mode=rw") as database:
                known_version(database)
                return FileStore(_migrated_copy(database), None)
    except OSError as error:
        raise _unreadable(file, error.strerror) from None


def _unreadable(file: Path, why: str | None) -> StateError:
    return StateUnwritable(
        f"the state at {file} cannot be read: {why}",
        reason="state_ro",
        hint="Run it as the user whom the agent runs as, or name another folder by WPSA_STATE_DIR.",
    )


def _migrated_copy(database: sqlite3.Connection) -> sqlite3.Connection:
    """In memory: who only looks leaves the file to the program that owns it."""
    copy = sqlite3.connect(":memory:", isolation_level=None)
    copy.row_factory = sqlite3.Row
    with closing(database):
        database.backup(copy)
    migrate(copy)
    return copy


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


@contextmanager
def _translated() -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise _ours(error) from error
    except UnicodeDecodeError as error:
        # Of the sqlite3 module itself, where SQLite's message quotes what stands in a damaged file.
        raise corrupt("it holds text that is none") from error


def _ours(error: sqlite3.DatabaseError) -> StateError:
    name = getattr(error, "sqlite_errorname", "")
    # For want of room the shared memory beside the database does not grow, and SQLite calls that an I/O error.
    kind = "FULL" if name == "SQLITE_IOERR_SHMSIZE" else name.removeprefix("SQLITE_").split("_")[0]
    match kind:
        case "BUSY" | "LOCKED":
            return StateBusy(
                "the state stays locked by another program",
                reason="state_busy",
                hint="End the backup or the program that holds it.",
            )
        case "CORRUPT" | "NOTADB" | "FORMAT":
            return corrupt(str(error))
        case "FULL":
            return StateFull(
                "the disk with the state is full",
                reason="state_full",
                hint="Make room; what was owed before is kept, and goes on by itself.",
            )
        case "READONLY" | "CANTOPEN" | "PERM" | "AUTH":
            return StateUnwritable(f"the state cannot be written: {error}", reason="state_ro", hint=OWNER_HINT)
        case _ if "decode to UTF-8" in str(error) or str(error).startswith("no such"):
            return corrupt(str(error))
        case _:
            return _failed(str(error))


def _failed(what: str) -> StateError:
    return StateFailed(
        f"the state cannot be written or read: {what}",
        reason="state_io",
        hint="Look at the health of the disk, then start again.",
    )
