"""Secrets in files: read as they were meant, and refused where they are none any more."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.config import load
from agent.secretfile import Unfit, read_secret

OPEN_TO_ALL = "everybody on this machine can read the file; allow its owner alone: chmod 600"
READ = "import pathlib, sys; from agent.secretfile import read_secret; print(read_secret(pathlib.Path(sys.argv[1])))"


@pytest.fixture
def key() -> Iterator[Path]:
    """A secret's file in a folder that everybody may enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made).resolve()
        folder.chmod(0o755)
        if not all(one.stat().st_mode & 0o001 for one in folder.parents):
            pytest.skip("the folder for temporary files is closed to other users")
        file = folder / "a key"
        file.write_text("k3y\n")
        file.chmod(0o600)
        yield file


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o660])
def test_a_file_of_its_owner_or_of_a_group_is_read(key: Path, mode: int) -> None:
    key.chmod(mode)

    assert read_secret(key) == "k3y"


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o444, 0o666])
def test_what_everybody_can_read_is_no_secret(key: Path, mode: int) -> None:
    key.chmod(mode)

    with pytest.raises(Unfit, match="^" + OPEN_TO_ALL):
        read_secret(key)


def test_a_link_is_as_open_as_what_it_leads_to(key: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(key)
    assert read_secret(link) == "k3y"

    key.chmod(0o644)
    with pytest.raises(Unfit, match=OPEN_TO_ALL):
        read_secret(link)


def test_a_folder_on_the_way_that_keeps_others_out_is_enough(key: Path) -> None:
    key.chmod(0o644)
    key.parent.chmod(0o750)

    assert read_secret(key) == "k3y"


def test_a_pipe_is_nobody_elses(key: Path) -> None:
    reads, writes = os.pipe()
    os.write(writes, b"k3y\n")
    os.close(writes)
    try:
        assert read_secret(Path(f"/dev/fd/{reads}")) == "k3y"
    finally:
        os.close(reads)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
@pytest.mark.parametrize(
    ("mounting", "read"),
    [
        ("mount --bind '{key}' '{target}'", "{target}"),
        ("mount --bind '{folder}' '{mounted}'", "{mounted}/a key"),
        ("mount -t tmpfs tmpfs /run && install -D -m 444 '{key}' /run/secrets/key", "/run/secrets/key"),
    ],
    ids=["the file was mounted", "its folder was mounted", "where container engines put them"],
)
def test_what_was_mounted_for_a_container_may_be_open_to_all_of_it(key: Path, mounting: str, read: str) -> None:
    key.chmod(0o444)
    target, mounted = key.parent / "target", key.parent / "mounted here"
    target.touch()
    mounted.mkdir()
    names = {"key": key, "folder": key.parent, "target": target, "mounted": mounted}
    script = f'{mounting.format(**names)} && exec "$0" -c "$1" "$2"'
    command = ["unshare", "--mount", "sh", "-c", script, sys.executable, READ, read.format(**names)]

    said = subprocess.run(command, capture_output=True, text=True, check=True)

    assert said.stdout == "k3y\n"


@pytest.mark.parametrize(
    ("text", "mode", "told"),
    [
        ('[backend]\napi_key = "k3y"\n', 0o644, True),
        ('[[sites]]\nurl = "https://a.example"\nping_url = "https://p.example/a"\n', 0o644, True),
        ('[backend]\napi_key = "k3y"\n', 0o640, False),
        ('[log]\nlevel = "debug"\n', 0o644, False),
    ],
)  # fmt: skip
def test_a_settings_file_with_secrets_in_it_should_not_be_open_to_all(key: Path, text: str, mode: int, told: bool) -> None:
    toml = key.parent / "wpsa.toml"
    toml.write_text(text)
    toml.chmod(mode)

    found = load({}, config=toml, environ={"WPSA_BACKEND_API_KEY": "k3y", "WPSA_BACKEND_URL": "https://b.example",
                                           "WPSA_BACKEND_SITE_ID": "7"}).cautions  # fmt: skip

    assert [(one.said, one.hint) for one in found] == [
        (f"everybody on this machine can read {toml}, which holds secrets", f"chmod 600 {toml}")
    ] * told
