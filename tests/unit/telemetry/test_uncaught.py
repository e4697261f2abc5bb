"""Bugs that nobody catches, in a process of their own as they would end one."""

import subprocess
import sys

import pytest

SETTING_UP = """
import json, resource, sys, threading
from agent.redact import redactor_of
from agent.telemetry.logs import configure
from agent.telemetry.uncaught import keep_bugs_quiet
configure(level=sys.argv[1], format="json", redactor=redactor_of([(None, "s3cret-key")]))
keep_bugs_quiet()
"""
BUGS = {
    "in a thread": """
def work(): raise RuntimeError("with s3cret-key")
thread = threading.Thread(target=work); thread.start(); thread.join()
""",
    "in a destructor": """
class Fragile:
    def __del__(self): raise RuntimeError("with s3cret-key")
Fragile()
""",
}


@pytest.mark.parametrize("level", ["info", "debug"])
@pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS)
def test_a_bug_beside_the_work_is_one_line_without_secrets(bug: str, level: str) -> None:
    done = subprocess.run([sys.executable, "-c", SETTING_UP + bug, level], capture_output=True, text=True, check=True)

    assert "s3cret" not in done.stderr
    assert done.stderr.count("bug.uncaught") == 1
    assert '"error": "RuntimeError"' in done.stderr
    assert ("Traceback" in done.stderr) is (level == "debug")


def test_no_memory_is_left_in_a_core_dump() -> None:
    allowed = "import resource\n_, most = resource.getrlimit(resource.RLIMIT_CORE)\nresource.setrlimit(resource.RLIMIT_CORE, (most, most))"
    script = allowed + SETTING_UP + "print(resource.getrlimit(resource.RLIMIT_CORE)[0])"

    done = subprocess.run([sys.executable, "-c", script, "info"], capture_output=True, text=True, check=True)

    assert done.stdout == "0\n"
