"""Machines that can be cut off: each worker in a network namespace of its own, whose way to any other can be lost.

10.99.0.1 is the database, 10.99.0.2 the backend, 10.1.0.0/16 the sites, and 10.231.N.2 machine N.
"""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

DATABASE, BACKEND = "10.99.0.1", "10.99.0.2"
SITES_NETWORK = 10

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class Network:
    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._machines = 0

    def new_machine(self) -> tuple[int, tuple[str, ...]]:
        """Its number, and what a command begins with to run there."""
        number = self._machines = self._machines + 1
        pipe = subprocess.PIPE
        command = ["unshare", "--net", "sh", "-c", "echo ready; exec cat"]
        holder = self._stack.enter_context(subprocess.Popen(command, stdin=pipe, stdout=pipe))
        assert holder.stdin and holder.stdout
        self._stack.callback(holder.stdin.close)
        assert holder.stdout.readline() == b"ready\n"
        inside = ("nsenter", f"--net=/proc/{holder.pid}/ns/net")
        _run("ip", "link", "add", f"machine{number}", "type", "veth", "peer", "name", "eth0", "netns", str(holder.pid))
        _run("ip", "addr", "add", f"10.231.{number}.1/24", "dev", f"machine{number}")
        _run("ip", "link", "set", f"machine{number}", "up")
        _run(*inside, "ip", "link", "set", "lo", "up")
        _run(*inside, "ip", "addr", "add", f"10.231.{number}.2/24", "dev", "eth0")
        _run(*inside, "ip", "link", "set", "eth0", "up")
        _run(*inside, "ip", "route", "add", "default", "via", f"10.231.{number}.1")
        return number, inside

    def cut(self, number: int, server: str) -> None:
        """From now on this machine hears nothing of that server, not even that it hears nothing."""
        _run("ip", "rule", "add", "from", server, "to", f"10.231.{number}.2", "blackhole")

    def heal(self, number: int, server: str) -> None:
        _run("ip", "rule", "del", "from", server, "to", f"10.231.{number}.2", "blackhole")


@contextmanager
def a_network() -> Iterator[Network]:
    """Whoever enters, and what it starts, is in a network that nobody else sees until the end of the block."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("ip", "unshare", "nsenter"))):
        pytest.skip("network namespaces need root, iproute2 and util-linux")
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    if _libc.unshare(_CLONE_NEWNET):
        os.close(before)
        pytest.skip(f"this machine allows no network namespaces: {os.strerror(ctypes.get_errno())}")
    try:
        _run("ip", "link", "set", "lo", "up")
        for address in (DATABASE, BACKEND):
            _run("ip", "addr", "add", f"{address}/32", "dev", "lo")
        _run("ip", "route", "add", "local", f"{SITES_NETWORK}.1.0.0/16", "dev", "lo")
        with ExitStack() as stack:
            yield Network(stack)
    finally:
        assert _libc.setns(before, _CLONE_NEWNET) == 0
        os.close(before)


def _run(*command: str) -> None:
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, f"{' '.join(command)}: {ended.stderr}"
