"""`wpsa` in a child of the zygote: run to its end, killed at a system call, or failed at one."""

import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import IO

from zygote import Child, Zygote

STRACE = which("strace")

DISK = ("write", "pwrite64", "fsync", "fdatasync", "ftruncate", "unlink", "rename", "mkdir", "fchmod")
"""What changes a file, a folder or what of them is on the disk."""
CALLS = (*DISK, "sendto")
"""Everything after which the world is another."""
RULES = Path(__file__).with_name("broken_rules.py")


@dataclass(frozen=True)
class Ended:
    """code   of the exit, or the negative number of the signal"""

    code: int
    said: str

    @property
    def brief(self) -> str:
        """The code, and what was said but the structure."""
        return f"{self.code}: " + "\n".join(line for line in self.said.splitlines() if not line.startswith(" " * 9))[-2_000:]


@dataclass
class Command:
    """`wpsa sync` of one home folder."""

    zygote: Zygote
    home: Path
    environment: dict[str, str]
    arguments: tuple[str, ...] = ("sync", "--json")
    broken: str = ""

    def start(self, *, held_by: int | None = None) -> Child:
        with self.said.open("wb") as said:
            return self.zygote.start(
                *self.arguments, env=self.environment, cwd=self.home, stdout=said.fileno(), stderr=said.fileno(),
                held_by=held_by, broken=(RULES, self.broken) if self.broken else None,
            )  # fmt: skip

    @property
    def said(self) -> Path:
        return self.home / "said"

    def ended(self, child: Child) -> Ended:
        return Ended(child.wait(), self.said.read_text())

    def run(self) -> Ended:
        return self.ended(self.start())

    def traced(self, *options: str) -> Ended:
        """Under strace, which holds the child from its first own line on."""
        reading, writing = os.pipe()
        try:
            child = self.start(held_by=reading)
            with _strace(child.pid, *options):
                os.write(writing, b"!")
                return self.ended(child)
        finally:
            os.close(reading)
            os.close(writing)

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
