"""The state's folder and files: ours alone, whatever the umask."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.errors import StateUnwritable
from agent.state.files import OwnerLock, own_file, own_folder
from agent.state.store import open_store


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_nobody_else_can_read_the_state_whatever_the_umask(umask: int, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b" / "state"
    store = open_store(folder)
    with store.transaction() as database:
        database.execute("INSERT INTO slot (site, day, state) VALUES ('s', '2026-11-21', 'open')")

    files = {path.name: mode(path) for path in folder.iterdir()}
    store.close()

    assert mode(folder) == 0o700
    assert files.keys() >= {"lock", "state.sqlite3", "state.sqlite3-wal", "state.sqlite3-shm"}
    assert set(files.values()) == {0o600}


def test_folders_on_the_way_are_nobody_elses_to_write(umask: int, tmp_path: Path) -> None:
    own_folder(tmp_path / "a" / "b" / "state")

    assert not mode(tmp_path / "a") & 0o022
    assert not mode(tmp_path / "a" / "b") & 0o022


def test_a_folder_that_stood_open_is_closed(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o777)

    assert mode(own_folder(tmp_path / "state")) == 0o700


@pytest.mark.parametrize("name", ["lock", "state.sqlite3"])
def test_a_link_in_place_of_a_file_is_refused_and_not_followed(tmp_path: Path, name: str) -> None:
    own_folder(tmp_path / "state")
    target = tmp_path / "precious"
    target.write_text("precious")
    (tmp_path / "state" / name).symlink_to(target)

    with pytest.raises(StateUnwritable) as refused:
        open_store(tmp_path / "state")

    assert refused.value.exit_code == 73
    assert target.read_text() == "precious"


def test_a_folder_that_cannot_be_made_says_where_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StateUnwritable, match=str(tmp_path)) as refused:
        own_folder(tmp_path / "file" / "state")

    assert "WPSA_STATE_DIR" in refused.value.hint


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StateUnwritable):
        own_file(tmp_path)


def test_a_second_owner_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    first = OwnerLock(own_folder(tmp_path / "state"))

    with pytest.raises(StateUnwritable, match=f"process {os.getpid()}") as refused:
        OwnerLock(tmp_path / "state")

    assert refused.value.reason == "locked"
    first.release()
    OwnerLock(tmp_path / "state").release()


@pytest.mark.parametrize("call", ["open", "truncate", "pwrite"])
def test_a_lock_file_that_cannot_be_written_is_said_and_left_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    folder = own_folder(tmp_path / "state")
    own_file(folder / "lock")
    before = set(Path("/proc/self/fd").iterdir())

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("agent.state.files.own_file", lambda _: None)
        patched.setattr(f"agent.state.files.os.{call}", full)
        with pytest.raises(StateUnwritable, match="No space left") as refused:
            OwnerLock(folder)

    assert refused.value.exit_code == 73
    assert "user the agent runs as" not in refused.value.hint
    assert set(Path("/proc/self/fd").iterdir()) == before
    OwnerLock(folder).release()
