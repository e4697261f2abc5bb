"""The compositions that operators copy, started by a real engine: what they see, ask for and stop."""

import json
from pathlib import Path

import pytest
from composed import Composition, Engine, secret
from image_builder import until

from agent.demo.wordpress import WordPress

pytestmark = [pytest.mark.image, pytest.mark.timeout(1800)]

USER = 10001
NOBODY = "http://127.0.0.1:9"
"""The port that discards: nothing listens there."""
ASKED = """
import os, urllib.request
address = open("/var/lib/wpsa/ops-address").read().strip()
with urllib.request.urlopen(address + "/readyz", timeout=5) as answer:
    print(answer.status, answer.read().decode())
"""
WHO = """
import os
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
print(os.getuid(), os.getgid(), status["CapBnd"], status["NoNewPrivs"])
"""


def test_the_agent_with_its_hub_works_is_asked_and_stopped(engine: Engine, site: WordPress, tmp_path: Path) -> None:
    composition = Composition(engine, "hub.yaml", tmp_path, WPSA_SITE_URL=site.url)
    with composition.up():
        log = composition.follow()
        said = until(log, "structure synced successfully")
        ready = composition.inside("python3", "-c", ASKED)
        synced = composition.inside("wpsa", "sync", "--json")
        written = composition.inside("touch", "/anywhere", "/opt/wpsa/anywhere")
        who = composition.inside("python3", "-c", WHO)
        healthy = composition.is_healthy()
        code = composition.stop(most_seconds=2)
        log.communicate()
        kept = composition.run("run", "--rm", "wpsa", "history", site.url, "--json")

    assert "Sign in to the hub as owner@localhost with the password" in said, "the page is open to more than loopback"
    assert ready.stdout.startswith("200 "), ready.stderr
    assert synced.returncode == 0, synced.stderr
    assert [one["result"] for one in json.loads(synced.stdout)["sites"]] == ["delivered"]
    assert written.stderr.count("Read-only file system") == 2
    assert who.stdout.split() == [str(USER), str(USER), "0" * 16, "1"]
    assert healthy
    assert code == 0
    assert len(json.loads(kept.stdout)) == 2, "the volume outlasts the container"


def test_a_key_is_taken_from_a_file_that_the_containers_user_can_read(
    engine: Engine, site: WordPress, tmp_path: Path
) -> None:
    """75: nobody is there to take the structure, so it waits; but the key was read, and not refused."""
    settings = {"WPSA_SITE_URL": site.url, "WPSA_BACKEND_URL": NOBODY, "WPSA_BACKEND_SITE_ID": "1"}
    composition = Composition(engine, "backend.yaml", tmp_path, verb=["sync"], **settings)
    ways = {"for the container's user alone": (USER, 0o400), "for everybody": (0, 0o444), "for root alone": (0, 0o400)}
    secret(tmp_path, "backend_api_key", "key\n", owner=USER, mode=0o400)
    with composition.up("--no-start"):
        ended = {}
        for way, (owner, mode) in ways.items():
            secret(tmp_path, "backend_api_key", "key\n", owner=owner, mode=mode)
            ended[way] = composition.start()
        said = composition.said()

    assert ended == dict(zip(ways, (75, 75, 78), strict=True)), said
    assert said.count("WPSA_BACKEND_API_KEY_FILE: the file cannot be read") == 1


def test_the_hub_keeps_its_data_in_postgresql_and_is_ready_with_it(
    engine: Engine, site: WordPress, database_url: str, tmp_path: Path
) -> None:
    secret(tmp_path, "hub_database_url", database_url, owner=USER, mode=0o400)
    composition = Composition(engine, "hub-postgresql.yaml", tmp_path, WPSA_SITE_URL=site.url)
    with composition.up():
        log = composition.follow()
        until(log, "structure synced successfully")
        healthy = composition.is_healthy()
        code = composition.stop(most_seconds=2)
        log.communicate()

    assert healthy
    assert code == 0


def test_a_fleet_learns_its_sites_and_a_worker_works_on_a_disk_of_memory(
    engine: Engine, database_url: str, tmp_path: Path
) -> None:
    texts = {"database_url": database_url, "backend_api_key": "key", "sites.csv": f"url,name,site_id\n{NOBODY},shop,1\n"}
    for name, text in texts.items():
        secret(tmp_path, name, text, owner=USER, mode=0o400)
    importing = Composition(engine, "fleet.yaml", tmp_path, service="import")
    with importing.up("--no-start"):
        learnt, said = importing.start(), importing.said()
    worker = Composition(engine, "fleet.yaml", tmp_path, service="worker", WPSA_BACKEND_URL=NOBODY)
    with worker.up():
        log = worker.follow()
        until(log, "fleet worker started")
        healthy = worker.is_healthy()
        stood = worker.inside("wpsa", "fleet", "status", "--json")
        code = worker.stop(most_seconds=2)
        log.communicate()

    assert (learnt, "1 new, 0 changed, 0 as before" in said) == (0, True), said
    assert json.loads(stood.stdout)["sites"] == 1
    assert healthy
    assert code == 0
