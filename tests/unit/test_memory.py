"""What is freed goes back to the system."""

import ctypes
import os
from pathlib import Path

import pytest

from agent.memory import give_back_memory

MIB = 1024 * 1024


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="this C library keeps nothing to be given back")
def test_what_lies_below_something_that_stays_is_given_back_too() -> None:
    freed = [bytes(8_000) for _ in range(4_000)]
    stays = bytes(8_000)
    del freed
    before = resident_bytes()

    give_back_memory()

    assert before - resident_bytes() > 16 * MIB
    assert len(stays) == 8_000
