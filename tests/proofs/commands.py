"""`wpsa` in a child of the zygote: run to its end, killed at a system call, or failed at one."""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import IO, Any

STRACE = which("strace")

DISK = ("write", "pwrite64", "fsync", "fdatasync", "ftruncate", "unlink", "rename", "mkdir", "fchmod")
"""What changes a file, a folder or what of them is on the disk."""
CALLS = (*DISK, "sendto")
"""Everything after which the world is another."""


@dataclass(frozen=True)
class Ended:
    """code   of the exit, or the negative number of the signal"""

    code: int
    said: str

    @property
    def brief(self) -> str:
        """The code, and what was said but the structure."""
        return f"{self.code}: " + "\n".join(line for line in self.said.splitlines() if not line.startswith(" " * 9))[-2_000:]


class Zygote:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def order(self, **order: Any) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@contextmanager
def zygote() -> Iterator[Zygote]:
    here = Path(__file__)
    with subprocess.Popen(
        [sys.executable, here.with_name("zygote.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Zygote(process)
        assert process.stdin
        process.stdin.close()


@dataclass
class Command:
    """`wpsa sync` of one home folder."""

    zygote: Zygote
    home: Path
    environment: dict[str, str]
    arguments: tuple[str, ...] = ("sync", "--json")
    broken: str = ""

    def fork(self) -> int:
        order = {
            "arguments": self.arguments, "environment": self.environment, "home": str(self.home),
            "said": str(self.said), "broken": self.broken,
        }  # fmt: skip
        pid: int = self.zygote.order(fork=order)["pid"]
        return pid

    @property
    def said(self) -> Path:
        return self.home / "said"

    def ended(self, pid: int) -> Ended:
        code = self.zygote.order(wait=pid)["code"]
        return Ended(code, self.said.read_text())

    def run(self) -> Ended:
        pid = self.fork()
        self.zygote.order(go=pid)
        return self.ended(pid)

    def traced(self, *options: str) -> Ended:
        """Under strace, which holds the child from its first own line on."""
        pid = self.fork()
        with _strace(pid, *options):
            self.zygote.order(go=pid)
            return self.ended(pid)

    def calls(self, *names: str, of: Sequence[Path] = ()) -> Counter[str]:
        """How often one whole run does each of these, or of CALLS.

        of   only on these files
        """
        log = self.home / "calls"
        self.traced("-o", str(log), "-e", f"trace={','.join(names or CALLS)}", *_only(of))
        return Counter(re.findall(r"^\d+ +(\w+)\(", log.read_text(), re.MULTILINE))

    def killed(self, call: str, number: int) -> Ended:
        """SIGKILL as it enters that call for the number-th time: the call itself does not happen."""
        return self.traced("-o", "/dev/null", "-e", f"inject={call}:signal=SIGKILL:when={number}")

    def failed(self, call: str, error: str, number: int, *, of: Sequence[Path] = ()) -> Ended:
        """That call returns this error, once, without happening."""
        return self.traced("-o", "/dev/null", "-e", f"inject={call}:error={error}:when={number}", *_only(of))


def _only(files: Sequence[Path]) -> list[str]:
    return [option for file in files for option in ("-P", str(file))]


@contextmanager
def _strace(pid: int, *options: str) -> Iterator[None]:
    assert STRACE
    command = [STRACE, "-f", "-p", str(pid), *options]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        attached = process.stderr.readline()
        assert "attached" in attached, attached + process.stderr.read()
        yield
        _drain(process.stderr)


def _drain(stream: IO[str]) -> None:
    stream.read()
