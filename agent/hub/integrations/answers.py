"""What the API answers. The first half is what makes the answers, the second says their shape in the document."""

from typing import Any, Final

from django.utils import timezone
from rest_framework import serializers

from agent.backend.contract import RUN_RESULTS, RUNS, SYNC_REQUESTS, TYPE_SETTINGS
from agent.hub.integrations.freshness import STATES, freshness_of
from agent.hub.integrations.history import Entry
from agent.hub.integrations.intake import iso
from agent.hub.integrations.models import FAMILIES, Run, SiteIntegration, SyncRequest
from agent.hub.integrations.serializers import EntrySerializer
from agent.hub.integrations.type_settings import choices_of
from agent.hub.integrations.wire_fields import OneOf, Slugs, StrictCount, StrictFlag

CAPABILITIES: Final = (SYNC_REQUESTS, RUNS, TYPE_SETTINGS)


class Instant(serializers.DateTimeField):
    """A time as the contract writes it: UTC, milliseconds, Z."""

    def to_representation(self, value: Any) -> str:
        return iso(value)


class SyncRequestSerializer(serializers.ModelSerializer[SyncRequest]):
    """A request as an agent sees it; `state` is asked or running while it is open."""

    requested_at = Instant()
    state = OneOf(tuple(SyncRequest.State.values))

    class Meta:
        model = SyncRequest
        fields = ("id", "requested_at", "state")


class IntegrationSerializer(serializers.ModelSerializer[SiteIntegration]):
    """One row of the listing. Expects `views.listed`, so that no document is loaded."""

    id = serializers.IntegerField()
    site = serializers.IntegerField(source="site_id")
    site_name = serializers.CharField(source="site.name")
    site_url = serializers.CharField(source="site.url")
    last_structure_fetch = Instant(allow_null=True)
    capabilities = serializers.SerializerMethodField()
    sync_request = serializers.SerializerMethodField()

    class Meta:
        model = SiteIntegration
        fields: tuple[str, ...] = (
            "id", "site", "site_name", "site_url", "platform", "last_structure_fetch", "capabilities", "sync_request",
        )  # fmt: skip

    def get_capabilities(self, integration: Any) -> list[str]:
        return list(CAPABILITIES)

    def get_sync_request(self, integration: Any) -> Any:
        return SyncRequestSerializer(integration.waiting[0]).data if integration.waiting else None


class IntegrationDetailSerializer(IntegrationSerializer):
    """The row with what people chose per content type."""

    type_settings = serializers.SerializerMethodField()

    class Meta(IntegrationSerializer.Meta):
        fields = (*IntegrationSerializer.Meta.fields, "type_settings")

    def get_type_settings(self, integration: Any) -> Any:
        return choices_of(integration)


class RunSerializer(serializers.ModelSerializer[Run]):
    started_at = Instant()
    finished_at = Instant()
    result = OneOf(RUN_RESULTS)

    class Meta:
        model = Run
        fields = ("started_at", "finished_at", "result", "reason", "message", "hint")


def history_line(entry: Entry) -> dict[str, Any]:
    snapshot = entry.snapshot
    return {
        "id": snapshot.pk,
        "received_at": iso(snapshot.received_at),
        "confirmed_at": iso(snapshot.confirmed_at),
        "generation": snapshot.generation,
        "changes": [change.as_json() for change in entry.changes],
    }


def health_of(integration: SiteIntegration) -> dict[str, Any]:
    now = timezone.now()
    fetched, failing_since = integration.last_structure_fetch, integration.failing_since
    run = integration.runs.order_by("-started_at").first()
    return {
        "state": freshness_of(fetched, now, failing_since).state,
        "last_structure_fetch": iso(fetched) if fetched else None,
        "failing_since": iso(failing_since) if failing_since else None,
        "last_run": RunSerializer(run).data if run else None,
    }


# --- shapes for the OpenAPI document alone: no answer passes through them -------------------------


class Problem(serializers.Serializer[Any]):
    """RFC 9457."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    errors = serializers.DictField(required=False)  # type: ignore[assignment]  # DRF's own attribute of that name
    id = serializers.CharField(required=False)


class Tokens(serializers.Serializer[Any]):
    access = serializers.CharField()
    refresh = serializers.CharField()


class Numbers(serializers.Serializer[Any]):
    post_types = StrictCount()
    taxonomies = StrictCount()


class PushTaken(serializers.Serializer[Any]):
    success = StrictFlag()
    message = serializers.CharField()
    integration_id = serializers.IntegerField()
    last_structure_fetch = Instant()
    counts = Numbers()


class EntryWithSynced(EntrySerializer):
    synced_count = StrictCount()


class ContentTypes(serializers.Serializer[Any]):
    post_types = Slugs(EntryWithSynced())
    taxonomies = Slugs(EntryWithSynced())
    last_structure_fetch = Instant(allow_null=True)


class ContentsTaken(serializers.Serializer[Any]):
    """How many of the named items were new, or were there to be forgotten."""

    post_types = Slugs(StrictCount())
    taxonomies = Slugs(StrictCount())


class ChangeShape(serializers.Serializer[Any]):
    kind = OneOf(("site", "added", "removed", "renamed", "setting", "count"))
    family = OneOf((*FAMILIES, ""))
    slug = serializers.CharField()
    words = serializers.CharField()


class HistoryLine(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    received_at = Instant()
    confirmed_at = Instant()
    generation = serializers.IntegerField(allow_null=True)
    changes = ChangeShape(many=True)


class HistoryShape(serializers.Serializer[Any]):
    count = serializers.IntegerField()
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = HistoryLine(many=True)


class DiffShape(serializers.Serializer[Any]):
    """What was there then, what is there now, and the changes; null before the first push."""

    older_received_at = Instant(allow_null=True)
    newer_received_at = Instant(allow_null=True)
    changes = ChangeShape(many=True)


class Health(serializers.Serializer[Any]):
    state = OneOf(STATES)
    last_structure_fetch = Instant(allow_null=True)
    failing_since = Instant(allow_null=True)
    last_run = RunSerializer(allow_null=True)
