"""What goes on between a page and an agent: “sync now” as asked, and runs as the agent reports them."""

from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import models
from django.db.models import Q

from agent.hub.integrations.users import User

MESSAGE_LIMIT_CHARACTERS: Final = 2_000
PATIENCE: Final = timedelta(hours=1)
"""How long a request may wait for an agent, and then run, before it counts as expired."""


class SyncRequest(models.Model):
    """Somebody's wish to have a site synced now. An agent picks it up at its next poll."""

    class State(models.TextChoices):
        ASKED = "asked"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        EXPIRED = "expired"

    integration: "models.ForeignKey[Any, Any]" = models.ForeignKey(
        "integrations.SiteIntegration", on_delete=models.CASCADE, related_name="sync_requests", db_index=False
    )
    requested_at: "models.DateTimeField[datetime, datetime]" = models.DateTimeField()
    requested_by: "models.ForeignKey[User | None, User | None]" = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, related_name="+", null=True
    )
    """Null where the pages are open and nobody is signed in."""
    state: "models.CharField[str, str]" = models.CharField(max_length=8, choices=State, default=State.ASKED)
    picked_at: "models.DateTimeField[datetime | None, datetime | None]" = models.DateTimeField(null=True)
    finished_at: "models.DateTimeField[datetime | None, datetime | None]" = models.DateTimeField(null=True)
    message: "models.CharField[str, str]" = models.CharField(max_length=MESSAGE_LIMIT_CHARACTERS, blank=True)
    """What the agent said at the end; for people."""
    hint: "models.CharField[str, str]" = models.CharField(max_length=MESSAGE_LIMIT_CHARACTERS, blank=True)
    """What to do about it."""

    integration_id: int

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["integration"],
                condition=Q(state__in=["asked", "running"]),
                name="sync_request_open_once_per_integration",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["asked", "running", "done", "failed", "expired"]),
                name="sync_request_state_known",
            ),
        )
        indexes = (models.Index(fields=["integration", "-requested_at"], name="sync_request_by_time"),)

    def __str__(self) -> str:
        return f"{self.integration_id} {self.state}"

    def state_at(self, now: datetime) -> str:
        """The state as it is now: nobody writes down that nothing happened for an hour."""
        since = self.picked_at or self.requested_at
        if self.state in ("asked", "running") and now - since > PATIENCE:
            return self.State.EXPIRED
        return self.state


class Run(models.Model):
    """One run of an agent for this integration, as it reported it."""

    class Result(models.TextChoices):
        DELIVERED = "delivered"
        PENDING = "pending"
        HELD = "held"
        UNREADABLE = "unreadable"
        CRASHED = "crashed"
        INTERRUPTED = "interrupted"

    integration: "models.ForeignKey[Any, Any]" = models.ForeignKey(
        "integrations.SiteIntegration", on_delete=models.CASCADE, related_name="runs", db_index=False
    )
    started_at: "models.DateTimeField[datetime, datetime]" = models.DateTimeField()
    finished_at: "models.DateTimeField[datetime, datetime]" = models.DateTimeField()
    result: "models.CharField[str, str]" = models.CharField(max_length=16, choices=Result)
    reason: "models.CharField[str, str]" = models.CharField(max_length=64, blank=True)
    """The agent's word for the cause; empty when delivered."""
    message: "models.CharField[str, str]" = models.CharField(max_length=MESSAGE_LIMIT_CHARACTERS, blank=True)
    hint: "models.CharField[str, str]" = models.CharField(max_length=MESSAGE_LIMIT_CHARACTERS, blank=True)

    integration_id: int

    class Meta:
        constraints = (
            # A report that is sent again, because its answer was lost, is the same run.
            models.UniqueConstraint(fields=["integration", "started_at"], name="run_once_per_integration_and_start"),
        )

    def __str__(self) -> str:
        return f"{self.integration_id} {self.result} at {self.started_at:%Y-%m-%dT%H:%M:%SZ}"
