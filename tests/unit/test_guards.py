"""The guards of this test suite, each shown to bite."""

import socket
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("198.51.100.7", 443)])
def test_a_connection_to_another_machine_is_refused(off_loopback: list[str], address: tuple[str, int]) -> None:
    with pytest.raises(OSError, match="off loopback"):
        socket.create_connection(address, timeout=1)

    assert off_loopback
    off_loopback.clear()


def test_a_name_on_the_network_is_never_resolved(off_loopback: list[str]) -> None:
    with pytest.raises(OSError, match="off loopback"):
        socket.getaddrinfo("shop.example", 443)

    off_loopback.clear()


LEAKS = """
import asyncio, contextlib, os, socket, threading, pytest

def test_a_thread():
    threading.Thread(target=threading.Event().wait, daemon=True).start()

def test_a_descriptor():
    os.open("/dev/null", os.O_RDONLY)

def test_a_swallowed_connection():
    with contextlib.suppress(OSError):
        socket.create_connection(("192.0.2.1", 80), 1)

@pytest.mark.anyio
async def test_a_task():
    global kept
    kept = asyncio.create_task(asyncio.sleep(9))
"""


def test_what_a_test_leaves_behind_fails_it(pytester: pytest.Pytester) -> None:
    """One run with a planted leak of each kind."""
    tests = Path(__file__).parents[1]
    pytester.makepyprojecttoml(f"[tool.pytest.ini_options]\npythonpath = ['{tests}', '{tests}/journeys', '{tests.parent}']\n")
    pytester.makeconftest((tests / "conftest.py").read_text() + (tests / "unit/conftest.py").read_text())
    pytester.makepyfile(LEAKS)

    result = pytester.runpytest_subprocess("-p", "no:randomly", "-W", "ignore")

    result.assert_outcomes(passed=3, errors=3, failed=1)
    result.stdout.fnmatch_lines_random(["E*left running: <Thread*", "E*left open: *", "E*another machine*", "E*left running: {<Task*"])
