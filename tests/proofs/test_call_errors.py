"""A system call that fails once, in the middle of a sync: the right exit code, no traceback, no lie (D4)."""

import random
from pathlib import Path

import pytest
from figures import Proof
from world import World, books_in, check_history, check_integrity, check_truth

from agent.state.store import FILE_NAME

STATE = {
    "openat": ("EMFILE", "ENOSPC"),
    "pwrite64": ("ENOSPC", "EIO"),
    "fdatasync": ("EIO", "ENOSPC"),
    "ftruncate": ("ENOSPC",),
    "unlink": ("EIO",),
    "fcntl": ("ENOLCK",),
}
"""Of the state's own files. The state cannot be made (73) or written (74), what failed was tidying up (0), or the
acknowledgement had no room (75)."""
STATE_CODES = {0, 73, 74, 75}

READING = {"pread64": ("EIO",)}
"""Of the same files. A disk that fails for a moment is no damage: nothing is set aside, and nothing forgotten."""
READING_CODES = {0, 74}

LOCK = {"openat": ("EMFILE",), "ftruncate": ("ENOSPC",), "pwrite64": ("ENOSPC",)}
"""Of the file that says whose the state is: without it the state cannot be kept."""
LOCK_CODES = {73}

WIRE = {
    "socket": ("EMFILE",),
    "connect": ("ECONNREFUSED", "EINTR"),
    "sendto": ("ECONNRESET", "EAGAIN"),
    "recvfrom": ("ECONNRESET", "EINTR"),
}
"""Of any socket. One failure of the network is tried again within the run, and does not show."""
WIRE_CODES = {0}

SAMPLE = 2
"""Of each call and error in the default run; nightly takes every one."""


def state_files(world: World) -> list[Path]:
    file = world.command.home / "state" / FILE_NAME
    return [file, *(file.with_name(file.name + end) for end in ("-wal", "-shm", "-journal"))]


def check_error(world: World, call: str, error: str, number: int, *, of: list[Path], codes: set[int]) -> None:
    world.begin()
    world.site.books += 1
    pushed = world.backend.pushes[-1].generation
    failed = world.command.failed(call, error, number, of=of)
    assert failed.code in codes, failed.brief
    assert not list(world.command.home.glob(f"state/{FILE_NAME}.damaged-*")), "a sound state was set aside"
    if (call, error) == ("pwrite64", "ENOSPC") and world.backend.pushes[-1].generation > pushed:
        assert failed.code in (0, 75), f"the backend has it, and it is owed as well: {failed.brief}"
    check_truth(failed.code, failed.said, world.backend, world.command.home, expects=world.site.books)
    check_integrity(world.command.home)
    check_history(world.command.home, world.backend)

    healed = world.command.run()
    assert healed.code == 0, healed.brief
    check_history(world.command.home, world.backend)
    assert books_in(world.backend.stored["8"]) == world.site.books


def check_errors(world: World, kinds: dict[str, tuple[str, ...]], *, of: list[Path], codes: set[int], share: int) -> int:
    """How many calls were failed."""
    world.begin()
    counts = world.command.calls(*kinds, of=of)
    chance = random.Random(4)
    tried = 0
    for call, errors in kinds.items():
        assert counts[call], f"no sync does {call}"
        for error in errors:
            for number in sorted(chance.sample(range(1, counts[call] + 1), min(share, counts[call]))):
                try:
                    check_error(world, call, error, number, of=of, codes=codes)
                except AssertionError as failed:
                    raise AssertionError(f"{call} number {number} failed with {error}: {failed}") from failed
                tried += 1
    return tried


KINDS = {
    "the state": (STATE, state_files, STATE_CODES),
    "reading the state": (READING, state_files, READING_CODES),
    "the lock": (LOCK, lambda world: [world.command.home / "state" / "lock"], LOCK_CODES),
    "the wire": (WIRE, lambda world: [], WIRE_CODES),
}


@pytest.fixture
def begun(world: World) -> World:
    assert world.command.run().code == 0
    world.remember()
    return world


@pytest.mark.parametrize("share", [SAMPLE, pytest.param(1_000, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.timeout(1_200)
def test_a_call_that_fails_ends_in_its_code_and_in_no_lie(begun: World, proof: Proof, kind: str, share: int) -> None:
    calls, files_of, codes = KINDS[kind]

    tried = check_errors(begun, calls, of=files_of(begun), codes=codes, share=share)

    proof("D4 L01–L03 L18", f"a system call of {kind} fails once", f"{tried} calls", "right code, no traceback, no lie")


@pytest.mark.timeout(300)
def test_a_swallowed_error_is_noticed(begun: World, proof: Proof) -> None:
    begun.command.broken = "errors swallowed"

    with pytest.raises(AssertionError):
        check_errors(begun, {"pwrite64": ("ENOSPC",)}, of=state_files(begun), codes=STATE_CODES, share=12)

    proof("D4", "negative control: errors of the disk are swallowed", "1 rule broken", "noticed")
