"""A state on the network is refused: what is locked there may be locked by nobody."""

from pathlib import Path

import pytest

from agent.errors import StateUnwritable
from agent.state import disk
from agent.state.disk import file_system_of
from agent.state.store import open_store

MOUNTS = r"""25 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 25 0:40 / /srv rw,relatime - nfs4 nas:/export rw,vers=4.2
31 30 254:1 / /srv/local rw - xfs /dev/vdb rw
32 25 0:41 / /mnt/my\040files rw master:3 - fuse.sshfs me@host: rw
33 25 0:42 / /over rw - ext4 /dev/vdc rw
34 33 0:43 / /over rw - cifs //nas/share rw
a line that is none
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/var/lib/wpsa", "ext4"),
        ("/srv/wpsa", "nfs4"),
        ("/srv/local/wpsa", "xfs"),
        ("/srvs", "ext4"),
        ("/mnt/my files/wpsa", "fuse.sshfs"),
        ("/over/wpsa", "cifs"),
    ],
)
def test_the_deepest_mount_says_what_a_folder_lies_on(folder: str, kind: str) -> None:
    assert file_system_of(Path(folder), MOUNTS) == kind


def test_a_system_without_mounts_says_nothing() -> None:
    assert file_system_of(Path("/var"), "") == ""


@pytest.fixture
def on_a_network_disk(state_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"30 25 0:40 / {tmp_path} rw,relatime - nfs4 nas:/export rw\n")
    monkeypatch.setattr(disk, "MOUNTS", mounts)
    return state_folder


def test_a_state_on_a_network_disk_is_refused_before_anything_is_written(on_a_network_disk: Path) -> None:
    with pytest.raises(StateUnwritable, match="network disk") as refused:
        open_store(on_a_network_disk)

    assert (refused.value.reason, refused.value.exit_code) == ("state_fs", 73)
    assert "WPSA_STATE_ALLOW_NETWORK_DISK" in refused.value.hint
    assert list(on_a_network_disk.iterdir()) == []


def test_who_allows_it_gets_it(on_a_network_disk: Path) -> None:
    open_store(on_a_network_disk, network_disk=True).close()


def test_a_system_that_does_not_tell_is_believed(on_a_network_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "MOUNTS", on_a_network_disk / "nowhere")

    open_store(on_a_network_disk).close()
