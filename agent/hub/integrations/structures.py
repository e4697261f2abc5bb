"""What was pushed: the history of structures, and the memory behind Idempotency-Key."""

from datetime import datetime
from typing import Any, Final

from django.db import models

RECEIPTS_KEPT: Final = 32
"""Pushes remembered per integration: enough for every retry that may still be on its way."""


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


class Receipt(models.Model):
    """One push that was taken in under a key, and what was answered."""

    integration: "models.ForeignKey[Any, Any]" = models.ForeignKey(
        "integrations.SiteIntegration", on_delete=models.CASCADE, related_name="receipts", db_index=False
    )
    idempotency_key: "models.CharField[str, str]" = models.CharField(max_length=255)
    body_sha256: "models.CharField[str, str]" = models.CharField(max_length=64)
    answer: "models.JSONField[Any, Any]" = models.JSONField()

    integration_id: int

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["integration", "idempotency_key"], name="receipt_key_once_per_integration"),
        )

    def __str__(self) -> str:
        return f"{self.integration_id} {self.idempotency_key[:12]}"
