"""What the log is told: one line a run, and at debug every request with its bodies."""

import logging
from typing import Any

import structlog

from agent.exchange import Exchange
from agent.outages import Turn, Turning
from agent.outcome import Outcome
from agent.structure.model import Family
from agent.telemetry import events

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
        **({"retry_of": exchange.retry_of} if exchange.retry_of else {}),
    )


def log_outcome(outcome: Outcome, turn: Turn | None = None) -> None:
    """A line for each success; of a failing site one when it begins to fail, or to fail otherwise, and
    one when it works again. What repeats itself is there at debug."""
    if turn and turn.turning is Turning.ENDED:
        seconds = round(turn.failing_for_seconds)
        log.info(events.SITE_RECOVERED, message="site works again", site=outcome.site, degraded_for_seconds=seconds)
    elif turn and outcome.error:
        level = "warning" if outcome.error.transient else "error"
        fields = {"site": outcome.site, "result": outcome.result} | _why(outcome)
        getattr(log, level)(events.SITE_DEGRADED, message=events.SENTENCES[outcome.result], **fields)
    level = "debug" if outcome.error else "info"
    getattr(log, level)(events.RUN_FINISHED, message=events.SENTENCES[outcome.result], **_story(outcome))


def _story(outcome: Outcome) -> dict[str, Any]:
    """The whole of a run on one line."""
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
    return fields | {"duration_ms": round(outcome.duration_seconds * 1000)} | _why(outcome)


def _why(outcome: Outcome) -> dict[str, Any]:
    if (error := outcome.error) is None:
        return {}
    traceback = getattr(error, "traceback", None)
    fields = {"reason": error.reason, "error": error.message, "hint": error.hint}
    return fields | ({"traceback": traceback} if traceback else {})


def _shown(body: bytes) -> str | None:
    """The whole of it: the pipeline cuts it, after what is secret in it was hidden."""
    return body.decode("utf-8", "replace") or None
