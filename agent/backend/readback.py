"""Whether the backend shows what was pushed: its content types against the document."""

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from agent.backend.envelope import inside
from agent.structure.model import Family
from agent.transport import Answer

TOLERANCE_SECONDS = 2.0
"""A Date header counts whole seconds, and the answer was on its way for a while."""


def shows(answer: Answer, body: bytes, *, younger_than_seconds: float | None = None) -> bool:
    """Whether the answer of content-types names the document's slugs with its counts, no more and no fewer.

    younger_than_seconds   how long ago the backend may have fetched it, by the backend's own clock: an
                           earlier equal structure does not show that this one arrived. Where the backend
                           tells no time, the content alone decides.
    """
    shown = inside(answer)
    if younger_than_seconds is not None:
        age = _age_seconds(answer, shown)
        if age is not None and age > younger_than_seconds + TOLERANCE_SECONDS:
            return False
    return _agrees(shown, body)


def contradicts(answer: Answer, body: bytes) -> bool:
    """Whether an answer to the push names content types, and others than the document's."""
    shown = inside(answer)
    return isinstance(shown, dict) and isinstance(shown.get("post_types"), dict) and not _agrees(shown, body)


def _agrees(shown: Any, body: bytes) -> bool:
    document = json.loads(body)
    return all(_counts(shown, family) == _counts(document, family) for family in Family)


def _counts(document: Any, family: Family) -> dict[str, Any] | None:
    entries = document.get(family.key) if isinstance(document, dict) else None
    if not isinstance(entries, dict):
        return None
    return {slug: entry.get("count") if isinstance(entry, dict) else None for slug, entry in entries.items()}


def _age_seconds(answer: Answer, shown: Any) -> float | None:
    """How long ago the backend fetched what it shows; both moments are by its own clock."""
    fetched_at = shown.get("last_structure_fetch") if isinstance(shown, dict) else None
    try:
        fetched, now = datetime.fromisoformat(str(fetched_at)), parsedate_to_datetime(answer.headers.get("date", ""))
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    fetched, now = (moment if moment.tzinfo else moment.replace(tzinfo=UTC) for moment in (fetched, now))
    return (now - fetched).total_seconds()
