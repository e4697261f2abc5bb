"""The power goes at any moment: what was promised before is there, and the file is whole (D3)."""

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from commands import STRACE
from crash_states import TRACED, Disk, Step, crash_states, recorded
from figures import Proof

from agent.state.store import FILE_NAME

OWING = Path(__file__).with_name("owing.py")


def record(folder: Path, *, synchronous: str, rounds: int) -> list[Step]:
    """What the program did to the disk."""
    if STRACE is None:
        pytest.skip("needs strace")
    state = folder / "state"
    state.mkdir(mode=0o700)
    log = folder / "log"
    tests = Path(__file__).parents[1]
    subprocess.run(
        [STRACE, "-f", "-xx", "-s", "70000", "-o", log, "-e", f"trace={TRACED}",
         sys.executable, OWING, state, synchronous, str(rounds)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(tests), os.environ.get("PYTHONPATH", "")))}, check=True,
    )  # fmt: skip
    return recorded(log.read_text(), state)


PASSES = 50
"""Over the whole record."""


def check_state(disk: Disk, promises: list[str], folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in disk.items():
        (folder / name).write_bytes(content)
    owed = {int(promise.split()[1]) for promise in promises if promise.startswith("owed")}
    delivered = {int(promise.split()[1]) for promise in promises if promise.startswith("delivered")}
    with closing(sqlite3.connect(folder / FILE_NAME)) as database:
        database.execute("PRAGMA synchronous = OFF")  # of this look alone
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",), "corrupt"
        if not owed:
            return
        kept = dict(database.execute("SELECT generation, delivered_at FROM structure"))
        waiting = {generation for (generation,) in database.execute("SELECT generation FROM outbox")}
    assert owed <= kept.keys(), "a structure that was promised is lost"
    assert delivered <= {generation for generation, at in kept.items() if at}, "a receipt is lost"
    newest = max(kept)
    assert waiting == ({newest} if kept[newest] is None else set()), "what waits is not what is owed"


def check_states(steps: list[Step], folder: Path, *, wanted: int) -> int:
    """How many different states were looked at: each cut is tried again until so many are found, or no more are."""
    seen: set[bytes] = set()
    for seed in range(PASSES):
        before = len(seen)
        for disk, promises in crash_states(steps, tries=wanted // len(steps) + 1, seed=seed):
            digest = hashlib.sha256(repr((sorted((n, hashlib.sha256(c).digest()) for n, c in disk.items()), promises)).encode())
            if digest.digest() in seen or FILE_NAME not in disk:
                continue
            seen.add(digest.digest())
            try:
                check_state(disk, promises, folder)
            except sqlite3.DatabaseError as error:
                raise AssertionError(f"corrupt: {error}") from error
        if len(seen) >= wanted or len(seen) - before < wanted / 100:
            break
    return len(seen)


@pytest.mark.parametrize(
    ("wanted", "rounds"), [(1_200, 5), pytest.param(100_000, 60, marks=pytest.mark.nightly)]
)
@pytest.mark.timeout(3_600)
def test_no_loss_of_power_takes_back_a_promise(tmp_path: Path, proof: Proof, wanted: int, rounds: int) -> None:
    steps = record(tmp_path, synchronous="FULL", rounds=rounds)

    states = check_states(steps, tmp_path / "found", wanted=wanted)

    assert states >= wanted
    proof("D3 L10 P1", "power loss: writes dropped, torn or kept", f"{states:,} states", "0 lost, 0 corrupt")


@pytest.mark.parametrize("synchronous", ["NORMAL", "OFF"])
def test_a_database_that_syncs_less_is_noticed(tmp_path: Path, proof: Proof, synchronous: str) -> None:
    steps = record(tmp_path, synchronous=synchronous, rounds=5)

    with pytest.raises(AssertionError, match=r"lost|corrupt|owed"):
        check_states(steps, tmp_path / "found", wanted=2_000)

    proof("D3", f"negative control: synchronous={synchronous}", "1 pragma changed", "noticed")
