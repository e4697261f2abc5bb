"""The documents that the contract suite pushes."""

import secrets
import time
from datetime import UTC, datetime
from typing import Any

from agent.backend.contract import GENERATION_HEADER, IDEMPOTENCY_KEY_HEADER


def an_entry(label: str, count: int, **changes: Any) -> dict[str, Any]:
    return {"label": label, "count": count, "enabled": True, "fetch_limit": 100, **changes}


def a_document(**changes: Any) -> dict[str, Any]:
    return {
        "site_url": "https://contract.example",
        "wordpress_version": "7.1.4",
        "timestamp": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "post_types": {"post": an_entry("Posts", 123), "page": an_entry("Pages", 12, fetch_limit=50)},
        "taxonomies": {"category": an_entry("Categories", 9, enabled=False)},
        "plugin_connection_enabled": True,
        "two_way_sync_enabled": True,
        **changes,
    }


def keyed(key: str | None = None) -> dict[str, str]:
    """The headers of one delivery; a generation from the clock only ever grows."""
    return {IDEMPOTENCY_KEY_HEADER: key or secrets.token_hex(32), GENERATION_HEADER: str(time.time_ns() // 1_000)}


def pushed(backend: Any, document: Any, **headers: str) -> Any:
    answer = backend.push(document, headers=headers or keyed())
    assert answer.status_code == 200, answer.text
    return answer
