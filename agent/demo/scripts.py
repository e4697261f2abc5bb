"""PHP scripts that run inside a WordPress, and the JSON they print."""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.demo.blueprint import PHP_FOLDER
from agent.demo.errors import PhpFailed

SCRIPT_TIMEOUT_SECONDS = 120.0


def run_script(
    php: Sequence[str], script: str | Path, arguments: Mapping[str, Any], *, wp_load: Path | None, scratch: Path
) -> Any:
    """What a script prints as JSON, None when it prints nothing; whatever the site itself prints is left out.

    php         the command with its settings
    script      a file, or PHP text
    wp_load     the site's wp-load.php, loaded before; None for a script that loads WordPress itself
    scratch     a folder for files of the moment

    Raises PhpFailed with PHP's own words.
    """
    with tempfile.TemporaryDirectory(prefix="script-", dir=scratch) as folder:
        result = Path(folder, "result")
        if isinstance(script, str):
            text, script = script, Path(folder, "script.php")
            script.write_text(text, "utf-8")
        command = [*php, str(PHP_FOLDER / "inside.php"), str(wp_load or ""), str(script), str(result)]
        done = _run(command, json.dumps(arguments).encode())
        if done.returncode != 0 or not result.exists():
            raise PhpFailed(f"{script.name} failed inside WordPress: {_complaint(done)}")
        return _decoded(result.read_bytes(), script)


def bare_environment(**variables: str) -> dict[str, str]:
    """A bare environment: no proxy, no secret and no locale of ours reaches PHP."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", **variables}


def _run(command: list[str], text: bytes) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            command, input=text, capture_output=True, env=bare_environment(), timeout=SCRIPT_TIMEOUT_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise PhpFailed(f"PHP did not finish within {SCRIPT_TIMEOUT_SECONDS:.0f} s") from error


def _complaint(done: subprocess.CompletedProcess[bytes]) -> str:
    said = (done.stderr + b" " + done.stdout).decode("utf-8", "replace").strip()
    return said[:1500] or f"it ended with {done.returncode} and said nothing"


def _decoded(printed: bytes, script: Path) -> Any:
    if not printed.strip():
        return None
    try:
        return json.loads(printed)
    except ValueError as error:
        raise PhpFailed(f"{script.name} did not print JSON but: {printed[:400].decode('utf-8', 'replace')}") from error
