"""Values for programs: what --json prints and the operations endpoint answers, one shape each."""

from typing import Any

from agent.errors import AgentError
from agent.outcome import Outcome
from agent.structure.model import Structure
from agent.structure.payload import to_document


def structure_json(structure: Structure) -> dict[str, Any]:
    """The pushed document plus one key `provenance`, which never travels."""
    return to_document(structure) | {"provenance": dict(structure.provenance)}


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "site": outcome.site,
        "result": outcome.result,
        "exit_code": outcome.exit_code,
        "integration_id": outcome.receipt.integration_id if outcome.receipt else None,
        "duration_ms": round(outcome.duration_seconds * 1000),
        "changes": outcome.changes.as_json(),
        "structure": structure_json(outcome.structure) if outcome.structure else None,
        "error": error_json(outcome.error) if outcome.error else None,
    }


def error_json(error: AgentError) -> dict[str, Any]:
    return {
        "error": type(error).__name__,
        "reason": error.reason,
        "message": error.message,
        "hint": error.hint,
        "exit_code": error.exit_code,
    }
