"""What was pushed before: the history of structures."""

from datetime import datetime
from typing import Any

from django.db import models


class StructureSnapshot(models.Model):
    """One structure for as long as it stayed the same: an equal push prolongs it, another begins a new one."""

    integration: "models.ForeignKey[Any, Any]" = models.ForeignKey(
        "integrations.SiteIntegration", on_delete=models.CASCADE, related_name="snapshots", db_index=False
    )
    received_at: "models.DateTimeField[datetime, datetime]" = models.DateTimeField()
    """When it came first."""
    confirmed_at: "models.DateTimeField[datetime, datetime]" = models.DateTimeField()
    """When an equal one came last."""
    is_passing: "models.BooleanField[bool, bool]" = models.BooleanField(default=False)
    """Came and went within one UTC day: kept for a while only, see `history.prune`."""
    generation: "models.BigIntegerField[int | None, int | None]" = models.BigIntegerField(null=True)
    digest: "models.CharField[str, str]" = models.CharField(max_length=64)
    """SHA-256 of the document without its timestamp."""
    document: "models.JSONField[Any, Any]" = models.JSONField()

    integration_id: int

    class Meta:
        indexes = (models.Index(fields=["integration", "received_at"], name="snapshot_by_time"),)

    def __str__(self) -> str:
        return f"{self.integration_id} at {self.received_at:%Y-%m-%dT%H:%M:%SZ}"
