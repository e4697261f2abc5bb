"""What the log is told: one line a run, and at debug every request with its bodies."""

import logging
from typing import Any

import structlog

from agent.exchange import Exchange
from agent.outcome import Outcome
from agent.structure.model import Family
from agent.telemetry import events

BODY_LIMIT_CHARACTERS = 2_000
WARNINGS_LIMIT = 5

log = structlog.stdlib.get_logger("agent")


def log_exchange(exchange: Exchange) -> None:
    """One request to either side; the pipeline's last step hides what is secret in it."""
    if not logging.getLogger("agent").isEnabledFor(logging.DEBUG):
        return
    log.debug(
        events.REQUEST_FINISHED,
        peer=exchange.peer,
        method=exchange.method,
        url=exchange.url,
        status=exchange.status,
        duration_ms=round(exchange.duration_seconds * 1000, 1),
        payload=_shown(exchange.request_body),
        body=_shown(exchange.answer_body),
        error=str(exchange.error) if exchange.error else None,
    )


def log_outcome(outcome: Outcome) -> None:
    """The one line that tells a run's whole story."""
    fields: dict[str, Any] = {"site": outcome.site, "result": outcome.result}
    if outcome.receipt:
        fields["integration_id"] = outcome.receipt.integration_id
    if structure := outcome.structure:
        fields |= {
            "post_types": len(structure.of(Family.POST_TYPE)),
            "taxonomies": len(structure.of(Family.TAXONOMY)),
            "items": structure.items,
            "changes": len(outcome.changes.structure) + len(outcome.changes.counts),
            "warnings": list(structure.warnings[:WARNINGS_LIMIT]),
            "http_requests": structure.provenance["requests"],
        }
    fields["duration_ms"] = round(outcome.duration_seconds * 1000)
    if error := outcome.error:
        fields |= {"reason": error.reason, "error": error.message, "hint": error.hint}
        if traceback := getattr(error, "traceback", None):
            fields["traceback"] = traceback
    level = "info" if error is None else "warning" if error.transient else "error"
    getattr(log, level)(events.RUN_FINISHED, message=events.SENTENCES[outcome.result], **fields)


def _shown(body: bytes) -> str | None:
    if not body:
        return None
    text = body[: BODY_LIMIT_CHARACTERS * 4].decode("utf-8", "replace")
    return text if len(text) <= BODY_LIMIT_CHARACTERS else f"{text[:BODY_LIMIT_CHARACTERS]}… ({len(body)} bytes)"
