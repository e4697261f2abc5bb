"""The tools that operators' files are meant for, or that find their mistakes: ours in .venv, or the machine's own."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

OUR_OWN = Path(sys.executable).parent


def ours(tool: str) -> str:
    """A tool that the tests bring with them."""
    return str(OUR_OWN / tool)


def of_the_machine(tool: str, package: str) -> str:
    """A tool that may be there; skips the test where it is not."""
    found = shutil.which(tool, path=f"{OUR_OWN}:/usr/bin:/usr/local/bin")
    if found is None:
        pytest.skip(f"needs {tool} ({package})")
    return found


def said_by(tool: str, *arguments: str | Path) -> str:
    """What the tool says of files that it finds nothing wrong with."""
    done = subprocess.run([tool, *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, f"{Path(tool).name}:\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr
