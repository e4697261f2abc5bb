"""Taking in one pushed structure: once per key, never backwards."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from rest_framework import status
from rest_framework.exceptions import APIException

from agent.hub.integrations.models import SNAPSHOTS_KEPT, SiteIntegration, StructureSnapshot


class StructureSuperseded(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_detail = "A newer structure of this integration is already here."


class KeyReused(APIException):
    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_detail = "This Idempotency-Key came before with another body."


@dataclass(frozen=True, slots=True)
class Push:
    """One request to update a structure, validated."""

    document: Mapping[str, Any]
    body_sha256: str
    idempotency_key: str | None
    generation: int | None


@transaction.atomic  # BEGIN IMMEDIATE on SQLite, a row lock on PostgreSQL: two pushes never interleave
def take_in(integration_id: int, push: Push, *, received_at: datetime) -> Mapping[str, Any]:
    """Store the structure and return the answer.

    A key that came before gets its first answer again and changes nothing, even when something
    newer arrived in between.
    Raises KeyReused for the same key with other bytes, StructureSuperseded for an older generation.
    """
    integration = SiteIntegration.objects.select_for_update().get(pk=integration_id)
    if (earlier := _same_key(integration, push)) is not None:
        return earlier
    newest = integration.structure_generation
    if push.generation is not None and newest is not None and push.generation < newest:
        raise StructureSuperseded
    answer = _answer(integration, push, received_at)
    integration.config_json = {
        **integration.config_json,
        "content_types": _content_types(push.document, received_at),
        "structure": _about(push.document),
    }
    if push.generation is not None:
        integration.structure_generation = push.generation
    integration.save(update_fields=["config_json", "structure_generation"])
    _remember(integration, push, answer, received_at)
    return answer


def _same_key(integration: SiteIntegration, push: Push) -> Mapping[str, Any] | None:
    if push.idempotency_key is None:
        return None
    earlier = integration.snapshots.filter(idempotency_key=push.idempotency_key).first()
    if earlier is None:
        return None
    if earlier.body_sha256 != push.body_sha256:
        raise KeyReused
    answer: Mapping[str, Any] = earlier.answer
    return answer


def _answer(integration: SiteIntegration, push: Push, received_at: datetime) -> dict[str, Any]:
    counts = {family: len(push.document[family]) for family in ("post_types", "taxonomies")}
    return {
        "success": True,
        "message": "structure updated: {post_types} post types, {taxonomies} taxonomies".format(**counts),
        "integration_id": integration.pk,
        "last_structure_fetch": iso(received_at),
        "counts": counts,
    }


def _content_types(document: Mapping[str, Any], received_at: datetime) -> dict[str, Any]:
    return {
        "post_types": document["post_types"],
        "taxonomies": document["taxonomies"],
        "last_structure_fetch": iso(received_at),
    }


def _about(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document without its entries, and what a list of sites shows of them."""
    families = ("post_types", "taxonomies")
    return {
        **{key: value for key, value in document.items() if key not in families},
        "totals": {
            family: {
                "types": len(document[family]),
                "total": sum(entry["count"] for entry in document[family].values()),
            }
            for family in families
        },
    }


def _remember(integration: SiteIntegration, push: Push, answer: Mapping[str, Any], received_at: datetime) -> None:
    StructureSnapshot.objects.create(
        integration=integration,
        received_at=received_at,
        generation=push.generation,
        idempotency_key=push.idempotency_key,
        body_sha256=push.body_sha256,
        document=push.document,
        answer=answer,
    )
    kept = integration.snapshots.order_by("-pk").values("pk")[:SNAPSHOTS_KEPT]
    integration.snapshots.exclude(pk__in=list(kept.values_list("pk", flat=True))).delete()


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
