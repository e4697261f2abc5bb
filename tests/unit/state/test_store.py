"""The one SQLite file: opened, checked, changed in whole transactions."""

import os
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from agent.errors import StateBusy, StateError, StateFailed, StateTooNew, StateUnwritable
from agent.state import store as store_module
from agent.state.schema import MIGRATIONS
from agent.state.store import FILE_NAME, Store, open_store, read_store, to_moment, to_text

INSERT = "INSERT INTO slot (site, day, state) VALUES (?, '2026-11-21', 'open')"


def sites(store: Store) -> list[str]:
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


def test_the_folder_is_free_after_a_start_that_failed(state_folder: Path) -> None:
    state_folder.mkdir()
    (state_folder / FILE_NAME).write_bytes(b"this is no database, but long enough to be looked at" * 100)
    for _ in range(2):
        with pytest.raises(StateFailed) as failed:
            open_store(state_folder)

        assert (failed.value.reason, failed.value.exit_code) == ("state_corrupt", 74)


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

    with pytest.raises(StateFailed) as failed:
        open_store(state_folder)

    assert failed.value.reason == "state_corrupt"


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

    with pytest.raises(StateFailed) as failed, store.transaction() as database:
        database.executemany(INSERT, [("x" * 4_000 + str(number),) for number in range(100)])

    assert (failed.value.reason, failed.value.exit_code) == ("state_full", 74)
    assert sites(store) == []
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
