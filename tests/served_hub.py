"""A fresh hub as a process of its own, spoken to over HTTP like any backend."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SERVE_HUB = Path(__file__).with_name("contract") / "serve_hub.py"


@contextmanager
def served_hub(folder: Path, *, more_sites: int = 0, options: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
    """What it says of itself when it is ready: url, api_key, site_id, email and password."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WPSA_", "DJANGO_"))}
    command = [sys.executable, str(SERVE_HUB), str(folder), str(more_sites)]
    environ = kept | dict(options or {}) | {"PYTHONPATH": str(SERVE_HUB.parents[1])}
    with subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        yield json.loads(process.stdout.readline())
        process.stdin.close()
        process.wait(timeout=10)
