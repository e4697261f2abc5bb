"""Whoever should take the output has no room, or is gone: one line, and the code of what happened."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from journey import WPSA, Wpsa


@pytest.fixture
def alone(new_user: Callable[..., Wpsa]) -> Wpsa:
    """The command of somebody who has configured nothing."""
    return new_user()


@contextmanager
def full() -> Iterator[IO[bytes]]:
    """A disk without room."""
    with Path("/dev/full").open("wb") as device:
        yield device


@contextmanager
def gone() -> Iterator[IO[bytes]]:
    """A pipe without a reader."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        yield pipe


def run(
    wpsa: Wpsa, *arguments: str, stdout: IO[bytes] | None = None, stderr: IO[bytes] | None = None
) -> tuple[int, str]:
    """The code, and what stderr got where it was not somebody's."""
    done = subprocess.run(
        [WPSA, *arguments], env=wpsa.environment(), cwd=wpsa.home, stdin=subprocess.DEVNULL,
        stdout=stdout or subprocess.DEVNULL, stderr=stderr or subprocess.PIPE, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, (done.stderr or b"").decode()


VERBS = ["--version", "--help", "config init", "status", "status --json", "show unknown --json"]


@pytest.mark.parametrize("arguments", VERBS)
def test_an_output_without_room_is_one_line_and_74(alone: Wpsa, arguments: str) -> None:
    with full() as device:
        code, said = run(alone, *arguments.split(), stdout=device)

    assert (code, said.count("\n")) == (74, 1)
    assert said.startswith("error: a file or the output cannot be read or written: No space left on device — Make room")


@pytest.mark.parametrize(("arguments", "expected"), [("config init", 0), ("status", 0), ("show unknown --json", 2)])
def test_a_reader_that_has_left_changes_no_code(alone: Wpsa, arguments: str, expected: int) -> None:
    with gone() as pipe:
        assert run(alone, *arguments.split(), stdout=pipe) == (expected, "")


@pytest.mark.parametrize("sink", [full, gone])
@pytest.mark.parametrize("arguments", ["show unknown", "no-such-verb"])
def test_an_error_that_nobody_can_be_told_keeps_its_code(alone: Wpsa, arguments: str, sink: object) -> None:
    with sink() as device:  # type: ignore[operator]
        assert run(alone, *arguments.split(), stderr=device)[0] == 2
