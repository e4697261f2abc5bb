"""The structure as the document that the contract names, and as the bytes that travel."""

import json
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from agent.structure.model import Entry, Family, Structure

Document = dict[str, Any]


def to_document(structure: Structure) -> Document:
    """The pushed document, key by key (backend/contract.DOCUMENT_KEYS)."""
    return {
        "site_url": structure.site_url,
        "wordpress_version": structure.wordpress_version,
        "timestamp": iso_utc(structure.fetched_at),
        "post_types": {e.content_type.slug: _to_entry(e) for e in structure.of(Family.POST_TYPE)},
        "taxonomies": {e.content_type.slug: _to_entry(e) for e in structure.of(Family.TAXONOMY)},
        "plugin_connection_enabled": structure.plugin_connection_enabled,
        "two_way_sync_enabled": structure.two_way_sync_enabled,
    }


def _to_entry(entry: Entry) -> Document:
    return {
        "label": entry.content_type.label,
        "count": entry.count.value,
        "enabled": entry.choice.enabled,
        "fetch_limit": entry.choice.fetch_limit,
    }


def to_bytes(document: Document) -> bytes:
    """Canonical JSON: sorted keys, no white space, UTF-8. Equal documents are equal bytes."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest(document: Document) -> str:
    """SHA-256 over what the site contains, without when it was read.

    It answers "did anything change?", and never whether to push: every daily slot pushes.
    """
    return sha256(to_bytes({key: value for key, value in document.items() if key != "timestamp"})).hexdigest()


def iso_utc(moment: datetime) -> str:
    """`2026-11-21T10:00:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
