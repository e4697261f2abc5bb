"""A hub in a process of its own, and how a test arranges what is in it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OPEN_HOST = "127.0.0.1"
CLOSED_HOST = "hub.localhost"  # browsers know every name below localhost as this machine


@dataclass(frozen=True)
class Hub:
    """Where it is, and a way into it."""

    port: int
    process: "subprocess.Popen[str]"

    @property
    def url(self) -> str:
        """Where the pages ask for a login."""
        return f"http://{CLOSED_HOST}:{self.port}"

    @property
    def open_url(self) -> str:
        """Where they do not: addressed as this machine itself."""
        return f"http://{OPEN_HOST}:{self.port}"

    def arrange(self, call: str, **arguments: Any) -> Any:
        """The result of that function of `arrange.py`, run inside the hub."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps({"call": call, "arguments": arguments}) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the hub has ended; its traceback is on stderr"
        return json.loads(answer)


@contextmanager
def running(folder: Path, **environment: str) -> Iterator[Hub]:
    here = Path(__file__).parent
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WPSA_", "DJANGO_"))}
    kept["PYTHONPATH"] = str(here.parent)
    command = [sys.executable, str(here / "serve_hub.py"), str(folder)]
    with subprocess.Popen(
        command, env={**kept, **environment}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin and process.stdout
        yield Hub(int(process.stdout.readline()), process)
        process.stdin.close()
        process.wait(timeout=10)
