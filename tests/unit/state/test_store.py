"""The one SQLite file: opened, checked, changed in whole transactions."""

import errno
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest
from builders import NOW, a_structure

from agent.errors import StateBusy, StateError, StateFailed, StateFull, StateTooNew, StateUnwritable
from agent.redact import Redactor
from agent.state import schema
from agent.state import store as store_module
from agent.state.history import History
from agent.state.ledger import Ledger
from agent.state.records import Trigger
from agent.state.rows import to_moment, to_text
from agent.state.schema import MIGRATIONS
from agent.state.store import FILE_NAME, FileStore, open_store, read_store

INSERT = "INSERT INTO slot (site, day, state) VALUES (?, '2026-11-21', 'open')"


def sites(store: FileStore) -> list[str]:
    return [row["site"] for row in store.rows("SELECT site FROM slot ORDER BY site")]


def test_what_was_committed_is_there_after_a_new_start(state_folder: Path) -> None:
    store = open_store(state_folder)
    with store.transaction() as database:
        database.execute(INSERT, ("a",))
    store.close()

    store = open_store(state_folder)
    assert sites(store) == ["a"]
    store.close()


@pytest.mark.parametrize("error", [KeyError("x"), KeyboardInterrupt(), sqlite3.IntegrityError("x")])
def test_what_failed_halfway_was_never_there(state_folder: Path, error: BaseException) -> None:
    store = open_store(state_folder)

    with pytest.raises((type(error), StateFailed)), store.transaction() as database:
        database.execute(INSERT, ("a",))
        raise error

    assert sites(store) == []
    with store.transaction() as database:
        database.execute(INSERT, ("b",))
    assert sites(store) == ["b"]
    store.close()


def test_a_power_cut_cannot_take_what_was_committed(state_folder: Path) -> None:
    """NORMAL loses acknowledged rows at a power cut (measured); the law is FULL, on a write-ahead log."""
    store = open_store(state_folder)

    found = {name: store.rows(f"PRAGMA {name}")[0][0] for name in ("journal_mode", "synchronous", "secure_delete")}

    assert found == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1}
    store.close()


def test_two_processes_cannot_own_one_state(state_folder: Path) -> None:
    store = open_store(state_folder)
    code = (
        "import sys; from pathlib import Path; from agent.state.store import open_store; "
        "from agent.errors import StateUnwritable\n"
        "try: open_store(Path(sys.argv[1]))\nexcept StateUnwritable as e: print(e.reason, e)"
    )

    said = subprocess.run([sys.executable, "-c", code, state_folder], capture_output=True, text=True, check=True)

    assert said.stdout.startswith(f"locked another wpsa (process {os.getpid()})")
    store.close()


def test_a_place_where_nothing_can_be_locked_is_refused(state_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A share without locks; two processes there would each believe to be alone."""

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("agent.state.files.fcntl.flock", no_locks)

    with pytest.raises(StateUnwritable) as refused:
        open_store(state_folder)

    assert (refused.value.reason, refused.value.exit_code) == ("state_fs", 73)


def test_the_folder_is_free_after_a_start_that_failed(state_folder: Path) -> None:
    open_store(state_folder).close()
    with closing(sqlite3.connect(state_folder / FILE_NAME)) as database:
        database.execute("PRAGMA user_version = 99")

    for _ in range(2):
        with pytest.raises(StateTooNew):
            open_store(state_folder)


# --- damage -------------------------------------------------------------------------------------

NO_DATABASE = b"this is no database, but long enough to be looked at" * 100


def asides(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{FILE_NAME}.damaged-*"))


def test_what_is_no_database_is_set_aside_and_a_new_state_begun(state_folder: Path) -> None:
    state_folder.mkdir()
    (state_folder / FILE_NAME).write_bytes(NO_DATABASE)
    os.utime(state_folder / FILE_NAME, (1_795_255_200, 1_795_255_200))

    store = open_store(state_folder)

    assert sites(store) == []
    [aside] = asides(state_folder)
    assert store.set_aside == aside
    assert aside.name == f"{FILE_NAME}.damaged-20261121T100000Z"
    assert aside.read_bytes() == NO_DATABASE
    assert aside.stat().st_mode & 0o777 == 0o600
    store.close()


def test_a_sound_state_is_left_where_it_is(state_folder: Path) -> None:
    open_store(state_folder).close()
    store = open_store(state_folder)

    assert (store.set_aside, asides(state_folder)) == (None, [])
    store.close()


def test_the_last_three_damaged_files_are_kept(state_folder: Path) -> None:
    state_folder.mkdir()
    for number in range(5):
        (state_folder / FILE_NAME).write_bytes(NO_DATABASE + bytes([number]))
        os.utime(state_folder / FILE_NAME, (1_795_255_200 + min(number, 3), 1_795_255_200 + min(number, 3)))
        open_store(state_folder).close()

    assert [aside.read_bytes()[-1] for aside in asides(state_folder)] == [2, 3, 4]


DAMAGE = {
    "another body": "UPDATE outbox SET body = CAST('{}' AS BLOB)",
    "another key": "UPDATE outbox SET idempotency_key = 'x'",
    "another generation": "UPDATE outbox SET generation = generation - 1",
    "no moment": "UPDATE outbox SET next_at = '2026-13-45'",
    "another history": "UPDATE structure SET document = replace(document, '1', '7')",
    "no document": "UPDATE structure SET document = '{'",
    "no day": "UPDATE slot SET day = '2026-11-2q'",
    "no provenance": "UPDATE run SET provenance = '{bad'",
    "another provenance": "UPDATE run SET provenance = '[]'",
    "no end of a run": "UPDATE run SET finished_at = 'then'",
    "another doubt": "UPDATE run SET finished_at = started_at, doubted = '{}'",
    "no family": "UPDATE last_count SET family = 'x'",
    "no table": "DROP TABLE outbox",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_row_that_is_not_as_it_was_written_is_never_believed(
    state_folder: Path, redactor: Redactor, damage: str
) -> None:
    ledger = Ledger(open_store(state_folder), redactor)
    run = ledger.begin("shop", trigger=Trigger.SCHEDULE, day=NOW.date(), at=NOW)
    ledger.owe(run, a_structure(), at=NOW)
    ledger.close()
    with closing(sqlite3.connect(state_folder / FILE_NAME, isolation_level=None)) as database:
        database.execute(damage)

    store = open_store(state_folder)

    assert store.set_aside
    assert sites(store) == []
    store.close()


def test_a_disk_that_fails_is_no_damage(state_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be read at the moment must not be put away."""
    open_store(state_folder).close()

    def broken(_: object) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorname = "SQLITE_IOERR_READ"
        raise error

    monkeypatch.setattr(store_module, "_check_rows", broken)

    with pytest.raises(StateFailed) as failed:
        open_store(state_folder)

    assert (failed.value.reason, asides(state_folder)) == ("state_io", [])


@pytest.mark.parametrize("failing", ["once", "at the second look", "when it is read through"])
def test_a_file_that_could_not_be_read_for_a_moment_is_not_set_aside(
    state_folder: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """SQLite's own check calls a page damaged that the disk would not give."""
    store = open_store(state_folder)
    with store.transaction() as database:
        database.execute(INSERT, ("a",))
    store.close()
    looks = []

    def look(_: object) -> None:
        looks.append(1)
        if failing == "at the second look" and len(looks) == 2:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorname = "SQLITE_IOERR_READ"
            raise error
        if len(looks) == 1 or failing == "when it is read through":
            raise store_module.corrupt("unable to get the page. error code=266")

    class BadSector(BytesIO):
        def read(self, *_: object) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(store_module, "_check_rows", look)
        if failing == "when it is read through":
            patched.setattr(Path, "open", lambda *_, **__: BadSector())
        with pytest.raises(StateFailed) as failed:
            open_store(state_folder)

    assert (failed.value.reason, failed.value.exit_code, asides(state_folder)) == ("state_io", 74, [])
    store = open_store(state_folder)
    assert sites(store) == ["a"]
    store.close()


def test_a_message_of_sqlite_that_is_no_text_means_damage(state_folder: Path) -> None:
    """It quotes what stands in the file, and the sqlite3 module cannot read that."""
    open_store(state_folder).close()
    with closing(sqlite3.connect(state_folder / FILE_NAME, isolation_level=None)) as database:
        database.execute("PRAGMA writable_schema = ON")
        database.execute("UPDATE sqlite_schema SET sql = CAST(X'4352FF' AS TEXT) WHERE name = 'outbox'")

    store = open_store(state_folder)

    assert store.set_aside
    store.close()


def test_a_folder_that_became_read_only_is_named(state_folder: Path) -> None:
    store = open_store(state_folder)
    store.rows("PRAGMA query_only = ON")

    with pytest.raises(StateUnwritable) as failed, store.transaction() as database:
        database.execute(INSERT, ("a",))

    assert (failed.value.reason, failed.value.exit_code) == ("state_ro", 73)
    store.close()


def test_a_damaged_page_is_found_before_anything_is_believed(state_folder: Path) -> None:
    store = open_store(state_folder)
    with store.transaction() as database:
        database.executemany(INSERT, [(f"site {number} " + "x" * 500,) for number in range(200)])
    store.close()
    file = state_folder / FILE_NAME
    pages = bytearray(file.read_bytes())
    for start in range(4096 * 2, len(pages), 4096):
        pages[start : start + 64] = os.urandom(64)
    file.write_bytes(pages)

    store = open_store(state_folder)

    assert store.set_aside
    assert sites(store) == []
    store.close()


def test_a_newer_state_is_left_as_it_is(state_folder: Path) -> None:
    open_store(state_folder).close()
    with sqlite3.connect(state_folder / FILE_NAME) as database:
        database.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 5}")
    database.close()

    for opening in (open_store, read_store):
        with pytest.raises(StateTooNew):
            opening(state_folder)


def test_a_state_that_somebody_holds_is_busy_and_may_pass(
    state_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_BUSY_SECONDS", 0.01)
    store = open_store(state_folder)
    other = sqlite3.connect(state_folder / FILE_NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StateBusy) as busy, store.transaction():
        pass

    assert busy.value.transient
    other.close()
    store.close()


def test_a_full_disk_is_named(state_folder: Path) -> None:
    store = open_store(state_folder)
    store.rows("PRAGMA max_page_count = 1")

    with pytest.raises(StateFull) as failed, store.transaction() as database:
        database.executemany(INSERT, [("x" * 4_000 + str(number),) for number in range(100)])

    assert (failed.value.reason, failed.value.exit_code) == ("state_full", 74)
    assert sites(store) == []
    store.rows("PRAGMA max_page_count = 10000")
    with store.transaction() as database:
        database.execute(INSERT, ("room again",))
    assert sites(store) == ["room again"]
    store.close()


def test_a_disk_that_is_full_only_at_the_commit_leaves_nothing_open(state_folder: Path) -> None:
    """A deferred constraint fails at COMMIT as a full disk does: the next transaction must be able to begin."""
    store = open_store(state_folder)
    store.rows("CREATE TABLE a (b INTEGER REFERENCES c (d) DEFERRABLE INITIALLY DEFERRED)")
    store.rows("CREATE TABLE c (d INTEGER PRIMARY KEY)")

    with pytest.raises(StateFailed), store.transaction() as database:
        database.execute("INSERT INTO a VALUES (1)")

    with store.transaction() as database:
        database.execute(INSERT, ("after",))
    assert sites(store) == ["after"]
    store.close()


def test_the_state_has_bounds(state_folder: Path) -> None:
    store = open_store(state_folder)

    found = {name: store.rows(f"PRAGMA {name}")[0][0] for name in ("max_page_count", "journal_size_limit")}

    assert found == {"max_page_count": 1_048_576, "journal_size_limit": 4_194_304}
    store.close()


class TestLooking:
    def test_there_is_nothing_to_see_before_the_first_run(self, state_folder: Path) -> None:
        assert read_store(state_folder) is None
        state_folder.mkdir()
        (state_folder / FILE_NAME).touch()
        assert read_store(state_folder) is None

    def test_a_reader_sees_what_the_owner_writes_and_writes_nothing(self, state_folder: Path) -> None:
        owner = open_store(state_folder)
        reader = read_store(state_folder)
        assert reader is not None
        with owner.transaction() as database:
            database.execute(INSERT, ("a",))

        assert sites(reader) == ["a"]
        with pytest.raises(StateError), reader.transaction() as database:
            database.execute(INSERT, ("b",))
        reader.close()
        owner.close()

    def test_a_reader_does_not_keep_the_owner_from_writing(self, state_folder: Path) -> None:
        owner = open_store(state_folder)
        reader = read_store(state_folder)
        assert reader is not None
        assert sites(reader) == []

        with owner.transaction() as database:
            database.execute(INSERT, ("a",))

        assert sites(owner) == ["a"]
        reader.close()
        owner.close()

    def test_a_state_of_an_older_version_is_shown_and_left_as_it_is(
        self, state_folder: Path, redactor: Redactor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After an upgrade, and before the first start of the new version."""
        with monkeypatch.context() as patched:
            patched.setattr(schema, "MIGRATIONS", MIGRATIONS[:1])
            patched.setattr(store_module, "_check_rows", lambda _: None)
            store = open_store(state_folder)
        with store.transaction() as database:
            database.execute(
                """INSERT INTO outbox (site, generation, body, body_sha256, idempotency_key, state, next_at, owed_at)
                   VALUES ('shop', 7, ?, ?, 'key', 'held', ?, ?)""",
                (b"{}", sha256(b"{}").hexdigest(), to_text(NOW), to_text(NOW)),
            )
        store.close()

        reader = read_store(state_folder)
        assert reader is not None
        owed = History(reader).owed_to("shop")
        reader.close()

        assert owed is not None
        assert owed.held
        with closing(sqlite3.connect(state_folder / FILE_NAME)) as database:
            assert database.execute("PRAGMA user_version").fetchone() == (1,)

    def test_a_file_that_is_no_database_is_damage(self, state_folder: Path) -> None:
        state_folder.mkdir()
        (state_folder / FILE_NAME).write_bytes(b"no database at all, and long enough to be read" * 100)

        with pytest.raises(StateFailed):
            read_store(state_folder)

    def test_a_place_that_cannot_be_looked_at_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(StateUnwritable):
            read_store(tmp_path / ("x" * 300))


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 11, 21, 10, tzinfo=UTC),
        datetime(2026, 11, 21, 10, 0, 0, 1, tzinfo=UTC),
        datetime(2026, 11, 21, 23, tzinfo=timezone(timedelta(hours=-5))),
    ],
)
def test_moments_come_back_as_they_went(moment: datetime) -> None:
    assert to_moment(to_text(moment)) == moment
    assert len(to_text(moment)) == 27
