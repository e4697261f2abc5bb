"""The command as a person runs it: a process, with an environment of its own."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from zygote import Child, Zygote

WPSA = Path(sys.executable).with_name("wpsa")
PATIENCE_SECONDS = 20.0
API_KEY = "key-CANARY-4f/7+31&9c"
Process = subprocess.Popen[bytes] | Child


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def log(self) -> list[dict[str, Any]]:
        return log_lines(self.stderr)

    @property
    def said(self) -> list[str]:
        """The lines on stderr that are for people: everything but the log."""
        return [line for line in self.stderr.splitlines() if _event_in(line) is None]

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


class Daemon:
    """`wpsa run` while it runs."""

    def __init__(self, process: Process, stderr: Path) -> None:
        self.process = process
        self._stderr = stderr

    @property
    def log(self) -> list[dict[str, Any]]:
        return log_lines(self._stderr.read_text("utf-8"))

    def wait_for(self, event: str, **fields: Any) -> dict[str, Any]:
        """The first line of this event with these fields."""

        def found() -> dict[str, Any] | None:
            lines = [line for line in self.log if line["event"] == event]
            return next((line for line in lines if fields.items() <= line.items()), None)

        line: dict[str, Any] = wait_until(found, f"{event} {fields}", lambda: self._stderr.read_text("utf-8"))
        return line

    def ops(self, path: str, *, method: str = "GET", token: str = "") -> tuple[int, str]:
        """What the operations endpoint answers: (status, text)."""
        url = self.wait_for("operations.started")["listen"]
        request = urllib.request.Request(url + path, method=method)
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()

    def end(self, number: signal.Signals = signal.SIGTERM) -> Done:
        started = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE_SECONDS)
        return Done(code, "", self._stderr.read_text("utf-8"), time.monotonic() - started)


class Wpsa:
    """The command in one home folder; `settings` are WPSA_* variables without their prefix.

    zygote   what forks it; without one it is the installed file, with an interpreter that has imported nothing
    """

    def __init__(self, home: Path, zygote: Zygote | None, **settings: str) -> None:
        self.home = home
        self.zygote = zygote
        self.state = home / ".local" / "state" / "wpsa"
        self.settings = settings
        self.more: dict[str, str] = {}
        """Variables that are no settings of ours; with them the command is the installed file."""
        self.within: list[str] = []
        """A command that runs ours, in a world of its own: the installed file again."""

    def environment(self, **settings: str) -> dict[str, str]:
        """A new user's: nothing of the one who runs the tests."""
        # Any free port, for journeys run side by side.
        merged = {"OPS_LISTEN": "127.0.0.1:0", **self.settings, **settings}
        return {
            "HOME": str(self.home),
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            **{f"WPSA_{name}": value for name, value in merged.items()},
            **self.more,
        }

    def run(self, *arguments: str, **settings: str) -> Done:
        started = time.monotonic()
        environment = self.environment(**settings)
        if zygote := self._zygote_here:
            done = zygote.run(*arguments, env=environment, cwd=self.home)
        else:
            done = subprocess.run(
                [*self.within, WPSA, *arguments], env=environment, cwd=self.home, stdin=subprocess.DEVNULL,
                capture_output=True, timeout=60, check=False,
            )  # fmt: skip
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode(), time.monotonic() - started)

    @contextmanager
    def start(self, *arguments: str, **settings: str) -> Iterator[Daemon]:
        """A command that goes on, such as `wpsa run`; killed at the end of the block if it still lives."""
        stderr = self.home / f"stderr-{time.monotonic_ns()}"
        with stderr.open("wb") as sink:
            process = self.begin(arguments, settings, stderr=sink.fileno())
        try:
            yield Daemon(process, stderr)
        finally:
            process.kill()
            process.wait()

    def begin(self, arguments: Sequence[str], settings: Mapping[str, str], *, stderr: int) -> Process:
        """A process that the caller ends."""
        environment = self.environment(**settings)
        if zygote := self._zygote_here:
            return zygote.start(*arguments, env=environment, cwd=self.home, stderr=stderr)
        return subprocess.Popen(
            [*self.within, WPSA, *arguments], env=environment, cwd=self.home,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr,
        )  # fmt: skip

    @property
    def _zygote_here(self) -> Zygote | None:
        return None if self.within or self.more else self.zygote

    def files(self) -> dict[str, bytes]:
        """Everything the state keeps, and whatever else was left behind at home."""
        return {str(file.relative_to(self.home)): file.read_bytes() for file in self.home.rglob("*") if file.is_file()}


def log_lines(stderr: str) -> list[dict[str, Any]]:
    return [event for line in stderr.splitlines() if (event := _event_in(line))]


def _event_in(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) and "event" in value else None


def wait_until(found: Any, what: str, said: Any = lambda: "", *, seconds: float = PATIENCE_SECONDS) -> Any:
    """The first true answer of `found`, asked again and again."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come within {seconds:.0f} s\n{said()}")


def page_at(url: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=5) as answer:
        text: str = answer.read().decode("utf-8")
    return text


def free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        port: int = tried.getsockname()[1]
    return port


def base64(text: str) -> str:
    return b64encode(text.encode()).decode().rstrip("=")


def places_of(secret: str, username: str, *texts: str | bytes) -> list[str]:
    """Each spelling of a secret that stands in one of the texts."""
    close = secret.replace(" ", "")
    spellings = {
        form
        for plain in (secret, close)
        for form in (plain, quote(plain, safe=""), quote_plus(plain), base64(plain), base64(f"{username}:{plain}"))
    }
    joined = b"\n".join(text.encode() if isinstance(text, str) else text for text in texts)
    return sorted(form for form in spellings if form.encode() in joined)

