"""Whether the hub says that it is ready, and only then."""

import subprocess
import sys
from pathlib import Path

from hub_browser import Browser
from test_hub_setup import clean_environment

# In a process of its own, because a hub that was ready once is not asked about its migrations again.
HUB = """
import sys
sys.path.insert(0, sys.argv[1])
from agent.hub.asgi import application
from agent.hub.configure import in_own_thread, migrate
from agent.hub.middleware import build_application
from django.db import connections
from hub_browser import Browser

def ask(application, path):
    answer = Browser(application).get(path)
    print(answer.status_code, answer.text)

ask(application, "/readyz")
in_own_thread(migrate)
ask(application, "/readyz")
connections.settings["default"]["OPTIONS"]["init_command"] += "PRAGMA query_only=ON;"
read_only = build_application()
ask(read_only, "/readyz")
ask(read_only, "/healthz")
"""


def test_a_hub_is_ready_whoever_asks(browser: Browser) -> None:
    answer = browser.get("/readyz", headers={"Host": "10.1.2.3:8765"})

    assert (answer.status_code, answer.text) == (200, "ready")
    assert "set-cookie" not in answer.headers


def test_a_hub_is_ready_when_its_database_is_migrated_and_takes_writes(tmp_path: Path, only_sqlite: None) -> None:
    command = [sys.executable, "-c", HUB, str(Path(__file__).parent)]

    said = subprocess.run(command, env=clean_environment(tmp_path), capture_output=True, text=True)

    assert said.stdout.splitlines() == [
        "503 the database is not migrated",
        "200 ready",
        "503 the database does not answer, or takes no writes",
        "200 ok",
    ], said.stderr
