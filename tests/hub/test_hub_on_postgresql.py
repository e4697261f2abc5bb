"""The same tests on PostgreSQL: this folder and the contract's, in a process of its own, on real servers.

Django can be set up once a process, so the second database is a second run.
"""

import os
import subprocess
import sys
from pathlib import Path

import postgresql
import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(600)
def test_the_hub_does_the_same_on_postgresql(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--hub-database") != "sqlite":
        pytest.skip("this is that run")
    if postgresql.binaries() is None and not os.environ.get("WPSA_REQUIRE_POSTGRESQL"):
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    command = [
        sys.executable, "-m", "pytest", "tests/hub", "tests/contract", "--hub-database", "postgresql",
        "--ignore", "tests/hub/test_hub_setup.py",  # options, and hubs of their own in SQLite
        "-q", "-n", "0", "-p", "no:cacheprovider", "-m", "not nightly and not browser",
    ]  # fmt: skip

    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout[-8_000:] + run.stderr[-2_000:]
