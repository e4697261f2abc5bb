"""Whether the backend shows what was pushed: its content types against the document."""

import json
from typing import Any

from agent.strictjson import BadJson
from agent.transport import Answer


def shows(answer: Answer, body: bytes) -> bool:
    """Whether the answer of content-types names the document's slugs with its counts, no more and no fewer."""
    try:
        shown = answer.json()
    except BadJson:
        return False
    if isinstance(shown, dict) and isinstance(shown.get("data"), dict):
        shown = shown["data"]
    document = json.loads(body)
    return all(_counts(shown, family) == _counts(document, family) for family in ("post_types", "taxonomies"))


def _counts(document: Any, family: str) -> dict[str, Any] | None:
    entries = document.get(family) if isinstance(document, dict) else None
    if not isinstance(entries, dict):
        return None
    return {slug: entry.get("count") if isinstance(entry, dict) else None for slug, entry in entries.items()}
