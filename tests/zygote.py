"""A process with everything imported that forks one `wpsa` after another: a command costs its work, not its start.

    with a_zygote() as zygote:
        done = zygote.run("status", env=environment, cwd=home)

A child is the installed command from its first line to its exit code; only the interpreter's own start is behind it.
Journeys of somebody who has just installed the command, and worlds of its own (other mounts, limits), take the
installed file.
"""

import atexit
import ctypes
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NoReturn

ON_THE_WAY = (
    "agent.cli", "agent.daemon", "agent.oneshot", "agent.config", "agent.naming", "agent.report", "agent.telemetry.logs",
    "rich.console", "rich.markup", "stamina", "_strptime",
)  # fmt: skip
"""What a sync and a daemon import when they need it: here already, so that no child does."""
ORDER_LIMIT_BYTES = 100_000
PR_SET_PTRACER, ANYBODY = 0x59616D61, ctypes.c_ulong(-1)
Rule = tuple[Path, str]
"""A file with a table BROKEN, and the name of a function in it that breaks a rule of the product."""


class Child:
    """What a test needs of `subprocess.Popen`, for a process that is the zygote's child."""

    def __init__(self, zygote: "Zygote", pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._zygote = zygote
        self._alive = os.pidfd_open(pid)  # readable as soon as it has ended

    def poll(self) -> int | None:
        return self.returncode if self.returncode is not None or not self._ended(0) else self.wait()

    def wait(self, timeout: float | None = None) -> int:
        """The code of the exit, or the negative number of the signal; raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not self._ended(timeout):
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            self.returncode = int(self._zygote.order({"wait": self.pid})["code"])
            os.close(self._alive)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended(self, seconds: float | None) -> bool:
        poller = select.poll()
        poller.register(self._alive, select.POLLIN)
        return bool(poller.poll(None if seconds is None else seconds * 1_000))


class Zygote:
    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders
        self._one_at_a_time = threading.Lock()

    def start(
        self,
        *arguments: str,
        env: Mapping[str, str],
        cwd: Path,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.DEVNULL,
        stderr: int,
        held_by: int | None = None,
        broken: Rule | None = None,
    ) -> Child:
        """A command that goes on.

        held_by   a pipe: the child waits for a byte in it before its first line, so that strace can take hold of it
        broken    a rule that the child breaks: the negative controls
        """
        order = {"arguments": arguments, "environment": dict(env), "home": str(cwd),
                 "broken": broken and [str(broken[0]), broken[1]]}  # fmt: skip
        with Path(os.devnull).open("r+b") as nothing:
            given = [nothing.fileno() if one == subprocess.DEVNULL else one for one in (stdin, stdout, stderr)]
            told = self.order({"fork": order}, *given, *([] if held_by is None else [held_by]))
        return Child(self, int(told["pid"]))

    def run(
        self, *arguments: str, env: Mapping[str, str], cwd: Path, given: bytes = b"", timeout: float = 60
    ) -> "subprocess.CompletedProcess[bytes]":
        """A command to its end; raises subprocess.TimeoutExpired.

        given   to be read on stdin
        """
        with TemporaryFile() as stdin, TemporaryFile() as stdout, TemporaryFile() as stderr:
            stdin.write(given)
            stdin.seek(0)
            child = self.start(
                *arguments, env=env, cwd=cwd, stdin=stdin.fileno(), stdout=stdout.fileno(), stderr=stderr.fileno()
            )
            try:
                code = child.wait(timeout)
            finally:
                child.kill()
                child.wait()
            stdout.seek(0)
            stderr.seek(0)
            return subprocess.CompletedProcess(arguments, code, stdout.read(), stderr.read())

    def order(self, order: Mapping[str, Any], *descriptors: int) -> Any:
        with self._one_at_a_time:
            socket.send_fds(self._orders, [json.dumps(order).encode()], descriptors)
            answer = self._orders.recv(ORDER_LIMIT_BYTES)
        assert answer, "the zygote has ended; its traceback is on stderr"
        return json.loads(answer)


@contextmanager
def a_zygote(*modules: str) -> Iterator[Zygote]:
    """Lasts as long as the block.

    modules   what its children need besides
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno()), *modules], pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},  # what is read at the start only, as the tests' commands have it
        )  # fmt: skip
        theirs.close()
        try:
            yield Zygote(ours)
        finally:
            ours.close()
            process.wait()


# --- in the zygote ------------------------------------------------------------------------------


def main() -> None:
    """Ends when nobody can give an order any more; in a child, with the command."""
    for name in (*ON_THE_WAY, *sys.argv[2:]):
        import_module(name)
    gc.collect()
    gc.freeze()
    orders = socket.socket(fileno=int(sys.argv[1]))
    while True:
        said, descriptors, _, _ = socket.recv_fds(orders, ORDER_LIMIT_BYTES, 4)
        if not said:
            return
        match json.loads(said):
            case {"fork": order}:
                if (pid := os.fork()) == 0:
                    orders.close()
                    be_the_command(order, descriptors)
                answer = {"pid": pid}
            case {"wait": pid}:
                _, status = os.waitpid(pid, 0)
                answer = {"code": os.waitstatus_to_exitcode(status)}
        for descriptor in descriptors:
            os.close(descriptor)
        orders.send(json.dumps(answer).encode())


def be_the_command(order: Mapping[str, Any], descriptors: list[int]) -> NoReturn:
    # Some kernels let only a parent trace; strace is none.
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, ANYBODY, 0, 0, 0)
    for number, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["home"])
    sys.argv = ["wpsa", *order["arguments"]]
    if order["broken"]:
        file, rule = Path(order["broken"][0]), order["broken"][1]
        sys.path.insert(0, str(file.parent))
        import_module(file.stem).BROKEN[rule]()
    for held_by in descriptors[3:]:
        os.read(held_by, 1)
        os.close(held_by)
    code = 1
    try:
        import_module("agent.cli").main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - a real interpreter prints it too
        traceback.print_exc()
    finally:
        # The end of an interpreter, but for its taking its modules apart, which costs more than most commands.
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001
        atexit._run_exitfuncs()  # noqa: SLF001
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
