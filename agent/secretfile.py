"""A secret from the file that an operator keeps it in."""

import re
import stat
from pathlib import Path

HANDED_OVER = tuple(map(Path, ("/run/secrets", "/var/run/secrets", "/run/credentials")))
"""Where container engines and systemd put secrets for one service."""


class Unfit(Exception):
    """What is wrong with the file, in words that go on after its name."""


def read_secret(file: Path) -> str:
    """The file's text without the newline at its end; raises Unfit."""
    try:
        if is_open_to_all(file):
            raise Unfit("everybody on this machine can read the file; allow its owner alone: chmod 600")
        text = file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Unfit(f"the file cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8'})") from None
    if not text:
        raise Unfit("the file is empty")
    return text


def is_open_to_all(file: Path) -> bool:
    """Whether every user of this machine can read the file; raises OSError."""
    mode = file.stat().st_mode
    return stat.S_ISREG(mode) and bool(mode & stat.S_IROTH) and _is_reachable_by_all(file) and not _is_handed_over(file)


def _is_reachable_by_all(file: Path) -> bool:
    """Whether no folder on the way keeps other users out."""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in file.resolve().parents)


def _is_handed_over(file: Path) -> bool:
    """Whether the file was mounted for this service: who else is in its container sees what it sees.

    Container engines mount such files for any user to read, because they do not know which one will.
    """
    absolute = file.absolute()
    return any(absolute.is_relative_to(folder) for folder in HANDED_OVER) or not _mount_points().isdisjoint(
        (absolute, absolute.parent)
    )


def _mount_points() -> set[Path]:
    """All but the root; none where the kernel does not list them."""
    try:
        lines = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return set()
    # Spaces and the like are written as three octal digits, see proc(5).
    points = (re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), line.split()[4]) for line in lines)
    return {Path(point) for point in points} - {Path("/")}
