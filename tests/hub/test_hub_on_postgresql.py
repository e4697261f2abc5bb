"""The same tests on PostgreSQL: this folder and the contract's, in processes of their own, on a real server.

Django can be set up once a process, so the second database is a second run.
"""

import os
import subprocess
import sys
from pathlib import Path

import postgresql
import pytest

ROOT = Path(__file__).parents[2]
NO_DATABASE = "tests/hub/test_hub_operator.py::test_a_database_that_does_not_answer_is_named_without_its_password"
"""Waits ten seconds for a database of its own that is not there."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "which",
    [
        ("tests/hub", "--ignore", "tests/hub/test_hub_setup.py"),  # options, and hubs of their own in SQLite
        ("tests/contract", "-k", "page"),  # one of the three shapes of a list: they know no database
    ],
    ids=["hub", "contract"],
)
def test_the_hub_does_the_same_on_postgresql(request: pytest.FixtureRequest, which: tuple[str, ...]) -> None:
    if request.config.getoption("--hub-database") != "sqlite":
        pytest.skip("this is that run")
    if postgresql.binaries() is None and not os.environ.get("WPSA_REQUIRE_POSTGRESQL"):
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    command = [
        sys.executable, "-m", "pytest", *which, "--hub-database", "postgresql",
        "-q", "-n", "0", "-p", "no:cacheprovider", "-m", "not nightly and not browser",
        "--deselect", NO_DATABASE,
    ]  # fmt: skip

    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout[-8_000:] + run.stderr[-2_000:]
