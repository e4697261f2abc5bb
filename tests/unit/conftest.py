"""Every unit test runs in a clean world; see `sheltered`."""

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _sheltered(sheltered: None) -> None:
    pass


@contextmanager
def taken_descriptors() -> Iterator[list[int]]:
    """Within the block no file can be opened, until one of these is closed and taken out of the list."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(int(one.name) for one in Path("/proc/self/fd").iterdir()) + 1, hard))
    try:
        with suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        yield taken
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in taken:
            os.close(descriptor)


@pytest.fixture
def no_descriptors() -> Callable[[], AbstractContextManager[list[int]]]:
    return taken_descriptors
