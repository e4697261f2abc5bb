"""Whoever should read the log is stuck, gone, or has no room: the structure arrives all the same, and the stop is prompt."""

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from backend import StandIn
from journey import PATIENCE_SECONDS, Wpsa, wait_until

PROMPT_SECONDS = 2.0


@contextmanager
def stuck() -> Iterator[int]:
    """A pipe that is full from the beginning, and whose reader does not read."""
    reader, writer = os.pipe()
    room = fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ)
    os.write(writer, b"\n" * room)
    try:
        yield writer
    finally:
        os.close(reader)
        os.close(writer)


@contextmanager
def gone() -> Iterator[int]:
    """A pipe without a reader."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        yield writer
    finally:
        os.close(writer)


@contextmanager
def full() -> Iterator[int]:
    """A disk without room."""
    with Path("/dev/full").open("wb") as device:
        yield device.fileno()


@pytest.mark.parametrize("reader", [stuck, gone, full])
@pytest.mark.parametrize("level", ["debug", "info"])
def test_a_log_that_nobody_takes_stops_neither_the_work_nor_the_stop(
    wpsa: Wpsa, backend: StandIn, reader: object, level: str
) -> None:
    with reader() as log:  # type: ignore[operator]
        daemon = wpsa.begin(["run"], {"LOG_LEVEL": level, "OPS_LISTEN": "off"}, stderr=log)
        try:
            wait_until(lambda: backend.effects, "the structure")
            started = time.monotonic()
            daemon.send_signal(signal.SIGTERM)
            code = daemon.wait(PATIENCE_SECONDS)
            seconds = time.monotonic() - started
        finally:
            daemon.kill()
            daemon.wait()

    assert (code, seconds < PROMPT_SECONDS) == (0, True)
    assert wpsa.run("status", "--json").json[0]["freshness"] == "fresh"


@pytest.mark.parametrize("reader", [gone, full])
def test_a_single_pass_ends_with_its_own_code_whatever_becomes_of_its_log(
    wpsa: Wpsa, backend: StandIn, reader: object
) -> None:
    with reader() as log:  # type: ignore[operator]
        sync = wpsa.begin(["sync", "--json"], {"LOG_LEVEL": "debug"}, stderr=log)
        try:
            code = sync.wait(PATIENCE_SECONDS)
        finally:
            sync.kill()
            sync.wait()

    assert code == 0
    assert backend.effects == 1
