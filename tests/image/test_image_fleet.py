"""A worker of a fleet in the image: everything that it needs is there, and it writes nowhere but to its state."""

import json

import pytest
from image_builder import Container

pytestmark = [pytest.mark.image, pytest.mark.timeout(1800)]

UNTIL_IT_HAS_TRIED = """
wpsa fleet worker &
until wpsa fleet status --json | grep -q '"failing": 1'; do sleep 0.2; done
kill $!
wait $!
"""


def test_a_worker_works_on_a_root_that_cannot_be_written_and_with_no_right_at_all(
    container: Container, database_url: str
) -> None:
    nobody = "http://127.0.0.1:9"  # the port that discards: nothing listens there
    settings = {
        "STATE_URL": database_url, "STATE_DIR": "/var/lib/wpsa/worker", "BACKEND_URL": nobody, "BACKEND_API_KEY": "k",
        "OPS_LISTEN": "127.0.0.1:0",
    }  # fmt: skip

    sites = f"printf '%s\\n' url,name,integration_id {nobody},shop,1 | wpsa fleet import - --format csv"
    imported = container.run_read_only("sh", "-c", sites, **settings)
    worked = container.run_read_only("sh", "-c", UNTIL_IT_HAS_TRIED, **settings)
    stood = container.run_read_only("wpsa", "fleet", "status", "--json", **settings)

    assert imported.stdout == "1 new, 0 changed, 0 as before\n", imported.stderr
    assert worked.returncode == 0, worked.stderr
    status = json.loads(stood.stdout)
    assert (status["sites"], status["failing"], status["workers"]) == (1, 1, [])
