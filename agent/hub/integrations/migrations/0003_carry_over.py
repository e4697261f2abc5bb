"""Fills what 0002 added from what was there. Says everything itself: the code around it will change."""

import hashlib
import json
from datetime import datetime
from typing import Any

from django.db import migrations


def carry_over(apps: Any, schema_editor: Any) -> None:
    for site in apps.get_model("integrations", "Site").objects.iterator():
        site.sort_name = site.name.casefold()
        site.save(update_fields=["sort_name"])
    for integration in apps.get_model("integrations", "SiteIntegration").objects.iterator():
        _fill_columns(integration)
        _split_snapshots(apps, integration)


def _fill_columns(integration: Any) -> None:
    fetched = integration.config_json.get("content_types", {}).get("last_structure_fetch")
    about = integration.config_json.get("structure", {})
    totals = about.get("totals", {})
    integration.last_structure_fetch = datetime.fromisoformat(fetched) if fetched else None
    integration.wordpress_version = about.get("wordpress_version") or ""
    for family, sum_of in (("post_types", "posts"), ("taxonomies", "terms")):
        setattr(integration, family, totals.get(family, {}).get("types", 0))
        setattr(integration, sum_of, totals.get(family, {}).get("total", 0))
    integration.save()


def _split_snapshots(apps: Any, integration: Any) -> None:
    """The key and its answer become a receipt; snapshots of equal structures become one."""
    receipts = apps.get_model("integrations", "Receipt").objects
    previous = None
    for snapshot in (
        apps.get_model("integrations", "StructureSnapshot").objects.filter(integration=integration).order_by("pk")
    ):
        if snapshot.idempotency_key is not None:
            receipts.create(
                integration=integration,
                idempotency_key=snapshot.idempotency_key,
                body_sha256=snapshot.body_sha256,
                answer=snapshot.answer,
            )
        snapshot.digest, snapshot.confirmed_at = _digest(snapshot.document), snapshot.received_at
        if previous is not None and previous.digest == snapshot.digest:
            previous.confirmed_at = snapshot.received_at
            previous.save()
            snapshot.delete()
        else:
            snapshot.save()
            previous = snapshot


def _digest(document: dict[str, Any]) -> str:
    lasting = {key: value for key, value in document.items() if key != "timestamp"}
    return hashlib.sha256(json.dumps(lasting, sort_keys=True).encode()).hexdigest()


class Migration(migrations.Migration):
    dependencies = [("integrations", "0002_history_runs_and_choices")]

    operations = [migrations.RunPython(carry_over, migrations.RunPython.noop)]
