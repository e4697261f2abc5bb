"""Fills what 0005 added from what was there; the receipts move into their integration's row."""

from typing import Any

from django.db import migrations
from django.db.models import F, OuterRef, Subquery

RECEIPTS_KEPT = 16


def carry_over(apps: Any, schema_editor: Any) -> None:
    integrations = apps.get_model("integrations", "SiteIntegration").objects
    snapshots = apps.get_model("integrations", "StructureSnapshot").objects
    sites = apps.get_model("integrations", "Site").objects.filter(pk=OuterRef("site"))
    integrations.update(owner=Subquery(sites.values("owner")[:1]))
    newest = snapshots.filter(integration=OuterRef("pk")).order_by("-received_at", "-pk")
    integrations.filter(last_structure_fetch__isnull=False).update(newest_snapshot=Subquery(newest.values("pk")[:1]))
    head = snapshots.filter(pk=OuterRef("newest_snapshot"))
    integrations.exclude(newest_snapshot=None).update(
        structure_digest=Subquery(head.values("digest")[:1]), structure_since=Subquery(head.values("received_at")[:1])
    )
    pushed: dict[int, list[dict[str, Any]]] = {}
    receipts = apps.get_model("integrations", "Receipt").objects.order_by("pk")
    for pk, key, body_sha256, answer in receipts.values_list(
        F("integration"), "idempotency_key", "body_sha256", "answer"
    ).iterator():
        receipt = {
            "key": key,
            "body_sha256": body_sha256,
            "received_at": answer.get("last_structure_fetch"),
            "counts": answer.get("counts", {}),
        }
        pushed[pk] = [*pushed.get(pk, []), receipt][-RECEIPTS_KEPT:]
    for pk, kept in pushed.items():
        integrations.filter(pk=pk).update(receipts=kept)


class Migration(migrations.Migration):
    dependencies = [("integrations", "0005_newest_beside_the_document")]

    operations = [migrations.RunPython(carry_over, migrations.RunPython.noop)]
