"""The state's folder and files: ours alone, and held by one process."""

import errno
import fcntl
import os
import stat
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from agent.errors import StateError, StateUnwritable

FOLDER_MODE = 0o700
FILE_MODE = 0o600
_PARENT_MODE = 0o755

DAMAGED = "damaged"
DAMAGED_KEPT = 3

OWNER_HINT = "Give that folder to the user the agent runs as, or name another by WPSA_STATE_DIR."
_OTHER_HINT = "Mend what the system says of it, or name another folder by WPSA_STATE_DIR."
_NOT_OURS = (errno.EACCES, errno.EPERM, errno.EROFS)


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
        hint=OWNER_HINT if error.errno in _NOT_OURS else _OTHER_HINT,
    )


def set_aside(file: Path) -> Path:
    """Put a damaged database, with its log, beside its place; returns where it lies. Raises StateUnwritable.

    Evidence is not destroyed, and does not fill the disk either: the last three are kept.
    """
    try:
        # When it was last written: what happened then is what its reader will look for.
        written_at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
        aside = file.with_name(f"{file.name}.{DAMAGED}-{written_at:%Y%m%dT%H%M%SZ}")
        while aside.exists():
            aside = aside.with_name(f"{aside.name}-again")
        for ending in ("-wal", "-shm", ""):
            with suppress(FileNotFoundError):
                Path(f"{file}{ending}").replace(f"{aside}{ending}")
        earlier = {one for one in file.parent.glob(f"{file.name}.{DAMAGED}-*") if not one.name.endswith(("-wal", "-shm"))}
        for old in sorted(earlier - {aside})[: -(DAMAGED_KEPT - 1)]:
            for ending in ("-wal", "-shm", ""):
                Path(f"{old}{ending}").unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(file, error) from None
    return aside


class OwnerLock:
    """One owner of the folder at a time; the kernel frees it when the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        file = folder / "lock"
        own_file(file)
        self._descriptor = -1
        try:
            self._descriptor = os.open(file, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            self._take(folder)
            os.truncate(self._descriptor, 0)
            os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)
        except OSError as error:
            self.release()
            raise unwritable(file, error) from None
        except StateError:
            self.release()
            raise

    def _take(self, folder: Path) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._descriptor, 20).decode("ascii", "replace").strip() or "unknown"
            raise StateUnwritable(
                f"another wpsa (process {holder}) works on the state in {folder}",
                reason="locked",
                hint="Stop it first, or name another folder by WPSA_STATE_DIR.",
            ) from None
        except OSError as error:
            raise StateUnwritable(
                f"nothing can be locked in {folder} ({error.strerror}): two processes could write the state at once",
                reason="state_fs",
                hint="Put the state on a local disk by WPSA_STATE_DIR.",
            ) from None

    def release(self) -> None:
        """Once: the number of a closed descriptor may be somebody else's by now."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
