"""The state's folder and files: ours alone, and held by one process."""

import fcntl
import os
import stat
from pathlib import Path

from agent.errors import StateError, StateUnwritable

FOLDER_MODE = 0o700
FILE_MODE = 0o600
_PARENT_MODE = 0o755


def own_folder(folder: Path) -> Path:
    """The folder, made with mode 0700 whatever the umask; raises StateUnwritable."""
    try:
        # One by one: mkdir(parents=True) would leave those on the way to the umask, open to everybody at 000.
        for parent in reversed(folder.parents):
            parent.mkdir(mode=_PARENT_MODE, exist_ok=True)
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        if stat.S_IMODE(folder.stat().st_mode) != FOLDER_MODE:
            folder.chmod(FOLDER_MODE)
    except OSError as error:
        raise unwritable(folder, error) from None
    return folder


def own_file(file: Path) -> None:
    """Make the file, empty, with mode 0600, unless it exists; a link in its place is refused."""
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
        try:
            os.fchmod(descriptor, FILE_MODE)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise unwritable(file, error) from None


def unwritable(path: Path, error: OSError) -> StateError:
    return StateUnwritable(
        f"the state cannot be kept at {path}: {error.strerror or error}",
        reason="state_ro",
        hint="Give that folder to the user the agent runs as, or name another by WPSA_STATE_DIR.",
    )


class OwnerLock:
    """One owner of the folder at a time; the kernel frees it when the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "lock"
        own_file(self._file)
        self._descriptor = os.open(self._file, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(self._descriptor, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(self._descriptor)
            raise StateUnwritable(
                f"another wpsa (process {holder}) works on the state in {folder}",
                reason="locked",
                hint="Stop it first, or name another folder by WPSA_STATE_DIR.",
            ) from None
        os.truncate(self._descriptor, 0)
        os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Once: the number of a closed descriptor may be somebody else's by now."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
