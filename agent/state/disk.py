"""Whether a folder lies on a disk of this machine: on one of the network a lock may hold nobody off."""

import re
from pathlib import Path

from agent.errors import StateUnwritable

MOUNTS = Path("/proc/self/mountinfo")
NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ncpfs", "fuse.sshfs", "fuse.rclone", "fuse.s3fs"}
"""File systems, as the kernel calls them, on which SQLite's log and its locks are for one machine at best."""


def refuse_network_disk(folder: Path) -> None:
    """Raises StateUnwritable where the state would lie on the network; a system that does not tell is believed."""
    try:
        kind = file_system_of(folder.resolve(), MOUNTS.read_text("utf-8", "replace"))
    except OSError:
        return
    if kind in NETWORK:
        raise StateUnwritable(
            f"the state's folder {folder} is on a network disk ({kind}): locks and a power cut may not be kept there",
            reason="state_fs",
            hint="Put the state on a local disk by WPSA_STATE_DIR, or set WPSA_STATE_ALLOW_NETWORK_DISK=true and let no "
            "second machine use it.",
        )


def file_system_of(folder: Path, mounts: str) -> str:
    """The kernel's word for it; empty for a folder that lies in none of the mounts.

    mounts   as in /proc/self/mountinfo (proc_pid_mountinfo(5))
    """
    found, deepest = "", -1
    for line in mounts.splitlines():
        place, _, file_system = line.partition(" - ")
        fields = place.split(" ")
        if len(fields) < 5 or not file_system:
            continue
        mounted_at = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4]))
        # Of two at one place the later one hides the other.
        if folder.is_relative_to(mounted_at) and len(mounted_at.parts) >= deepest:
            found, deepest = file_system.split(" ")[0], len(mounted_at.parts)
    return found
