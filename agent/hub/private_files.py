"""Files that only the hub's own user may read."""

import os
import secrets
from contextlib import suppress
from pathlib import Path


def make_private_directory(directory: Path) -> None:
    """Leave a folder with mode 0700, whatever the umask."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A mounted volume may belong to another user; then its owner decides, and the files are still 0600.
    with suppress(PermissionError):
        directory.chmod(0o700)


def make_private_file(path: Path) -> None:
    """Leave a file with mode 0600; SQLite gives its -wal and -shm the mode of the database."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    path.chmod(0o600)


def write_private(path: Path, text: str) -> None:
    """Replace a file as a whole, with mode 0600 from its first byte, and durably."""
    draft = _draft(path, text)
    draft.replace(path)


def read_or_create_secret(path: Path) -> str:
    """The secret kept in the file; made up (384 bits) when there is none yet."""
    with suppress(FileNotFoundError):
        return path.read_text(encoding="ascii").strip()
    make_private_directory(path.parent)
    draft = _draft(path, secrets.token_urlsafe(48) + "\n")
    try:
        # A link fails where a rename would overwrite: of two processes starting at once, one wins for both.
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    return path.read_text(encoding="ascii").strip()


def _draft(path: Path, text: str) -> Path:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return draft
