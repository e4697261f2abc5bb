"""A hub of the first version becomes today's with all that it knew."""

import os
import subprocess
import sys
from pathlib import Path

from postgresql import new_database
from test_hub_setup import clean_environment

FIRST = """
import json, os
from agent.hub.configure import configure
from agent.hub.options import HubOptions
configure(HubOptions.from_environment(os.environ))
from django.core.management import call_command
call_command("migrate", "integrations", "0001", verbosity=0)
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
old = MigrationExecutor(connection).loader.project_state([("integrations", "0001_initial")]).apps
def model(name):
    return old.get_model("integrations", name)
owner = model("User").objects.create(email="o@example.com", password="!")
site = model("Site").objects.create(owner=owner, name="ÉCOLE", url="https://e.example")
document = {"site_url": "https://e.example", "wordpress_version": "7.1.4", "timestamp": "1", "post_types": {}, "taxonomies": {}}
totals = {"post_types": {"types": 2, "total": 135}, "taxonomies": {"types": 1, "total": 9}}
integration = model("SiteIntegration").objects.create(
    site=site, structure_generation=7, config_json={
        "content_types": {"post_types": {}, "taxonomies": {}, "last_structure_fetch": "2026-11-20T10:00:00.000Z"},
        "structure": {"wordpress_version": "7.1.4", "totals": totals}})
for number, (key, version) in enumerate([("a", "7.1"), ("b", "7.1"), (None, "7.2")]):
    model("StructureSnapshot").objects.create(
        integration=integration, received_at=f"2026-11-2{number}T10:00:00Z", idempotency_key=key, body_sha256="0" * 64,
        answer={"last_structure_fetch": str(number), "counts": {"post_types": number, "taxonomies": 1}}, document={**document, "timestamp": str(number), "wordpress_version": version})
"""

THEN = """
import os
from agent.hub.configure import configure, migrate
from agent.hub.options import HubOptions
configure(HubOptions.from_environment(os.environ))
migrate()
from agent.hub.integrations.history import digest_of
from agent.hub.integrations.models import *
from agent.hub.integrations.models import Site
one = SiteIntegration.objects.get()
assert Site.objects.get().sort_name == "école"
assert (one.post_types, one.posts, one.taxonomies, one.terms) == (2, 135, 1, 9)
assert (one.wordpress_version, one.structure_generation) == ("7.1.4", 7)
assert one.last_structure_fetch.isoformat() == "2026-11-20T10:00:00+00:00"
assert one.receipts == [
    {"key": key, "body_sha256": "0" * 64, "received_at": str(n), "counts": {"post_types": n, "taxonomies": 1}}
    for n, key in enumerate("ab")]
kept = list(one.snapshots.order_by("received_at"))
assert (one.newest_snapshot, one.structure_digest, one.structure_since) == (
    kept[-1].pk, kept[-1].digest, kept[-1].received_at)
assert [s.document["wordpress_version"] for s in kept] == ["7.1", "7.2"]
assert (kept[0].received_at.day, kept[0].confirmed_at.day) == (20, 21)
assert all(s.digest == digest_of(s.document) for s in kept)
print("all of it")
"""


def test_a_hub_of_the_first_version_is_carried_over_whole(tmp_path: Path, database: str) -> None:
    environment = clean_environment(tmp_path)
    if database == "postgresql":
        environment["WPSA_HUB_DATABASE_URL"] = new_database(os.environ["WPSA_HUB_DATABASE_URL"], "first_version")

    subprocess.run([sys.executable, "-c", FIRST], env=environment, check=True)
    then = subprocess.run([sys.executable, "-c", THEN], env=environment, check=True, capture_output=True, text=True)

    assert then.stdout == "all of it\n"
