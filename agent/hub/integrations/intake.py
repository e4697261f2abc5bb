"""Taking in one pushed structure: once per key, never backwards."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.db import transaction
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from rest_framework import status
from rest_framework.exceptions import APIException

from agent.hub.integrations.history import remember
from agent.hub.integrations.models import FAMILIES, SiteIntegration
from agent.hub.integrations.type_settings import choices_of, with_choices

RECEIPTS_KEPT: Final = 16
"""Pushes remembered per integration: enough for every retry that may still be on its way."""
WRITTEN: Final = (
    "config_json", "receipts", "structure_generation", "structure_digest", "structure_since", "newest_snapshot",
    "changes_since_pruning", "last_structure_fetch", "failing_since", "wordpress_version", "post_types", "posts",
    "taxonomies", "terms",
)  # fmt: skip


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
def take_in(
    owned: QuerySet[SiteIntegration], integration_id: int, push: Push, *, received_at: datetime
) -> Mapping[str, Any]:
    """Store the structure and return the answer.

    owned   the integrations of whoever pushes; another's is as unknown as one that never was (404)

    A key that came before gets its first answer again and changes nothing, even when something
    newer arrived in between.
    Raises KeyReused for the same key with other bytes, StructureSuperseded for an older generation.
    """
    integration = get_object_or_404(owned.select_for_update(of=("self",)), pk=integration_id)
    if (earlier := _same_key(integration, push)) is not None:
        return earlier
    newest = integration.structure_generation
    if push.generation is not None and newest is not None and push.generation < newest:
        raise StructureSuperseded
    receipt = _receipt(push, received_at)
    remember(integration, push.document, generation=push.generation, received_at=received_at)
    _store(integration, push, received_at)
    if push.idempotency_key is not None:
        integration.receipts = [*integration.receipts, receipt][-RECEIPTS_KEPT:]
    integration.save(update_fields=WRITTEN)
    return _answer(integration, receipt)


def _store(integration: SiteIntegration, push: Push, received_at: datetime) -> None:
    """The newest structure, and the columns that lists and monitors read."""
    about = _about(push.document)
    integration.config_json = {
        **integration.config_json,
        "content_types": _content_types(integration, push.document, received_at),
        "structure": about,
    }
    if push.generation is not None:
        integration.structure_generation = push.generation
    integration.last_structure_fetch = received_at
    integration.failing_since = None
    integration.wordpress_version = push.document["wordpress_version"] or ""
    totals = about["totals"]
    integration.post_types, integration.posts = totals["post_types"].values()
    integration.taxonomies, integration.terms = totals["taxonomies"].values()


def _same_key(integration: SiteIntegration, push: Push) -> Mapping[str, Any] | None:
    """The first answer to this key; None when the key is new, or there is none."""
    for receipt in integration.receipts:
        if receipt["key"] == push.idempotency_key:
            if receipt["body_sha256"] != push.body_sha256:
                raise KeyReused
            return _answer(integration, receipt)
    return None


def _receipt(push: Push, received_at: datetime) -> dict[str, Any]:
    return {
        "key": push.idempotency_key,
        "body_sha256": push.body_sha256,
        "received_at": iso(received_at),
        "counts": {family: len(push.document[family]) for family in FAMILIES},
    }


def _answer(integration: SiteIntegration, receipt: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "success": True,
        "message": "structure updated: {post_types} post types, {taxonomies} taxonomies".format(**receipt["counts"]),
        "integration_id": integration.pk,
        "last_structure_fetch": receipt["received_at"],
        "counts": receipt["counts"],
    }


def _content_types(integration: SiteIntegration, document: Mapping[str, Any], received_at: datetime) -> dict[str, Any]:
    chosen = choices_of(integration)
    return {
        **{family: with_choices(document[family], chosen[family]) for family in FAMILIES},
        "last_structure_fetch": iso(received_at),
    }


def _about(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document without its entries, and what a list of sites shows of them."""
    return {
        **{key: value for key, value in document.items() if key not in FAMILIES},
        "totals": {
            family: {
                "types": len(document[family]),
                "total": sum(entry["count"] for entry in document[family].values()),
            }
            for family in FAMILIES
        },
    }


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
