"""What each status of the backend means: one table for look-up, push and read-back."""

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from agent.errors import (
    BackendError,
    BackendThrottled,
    BackendUnreachable,
    ContractBroken,
    CredentialsRefused,
    DeliveryRejected,
    IntegrationNotFound,
)
from agent.strictjson import BadJson
from agent.transport import Answer

_REASON_LIMIT_CHARACTERS = 300

LARGE_BYTES = 1024 * 1024
"""Some frameworks answer 400, and a web page, to a body that is too large for them."""

_NEWER = re.compile(r"\b(newer|older|outdated|stale|superseded|generation)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a status stands for."""

    kind: type[BackendError]
    reason: str
    what: str
    hint: str | None
    """None where the credential's own hint is the remedy."""
    exit_code: int | None = None
    may_arrive_late: bool = False


_CREDENTIAL = Meaning(CredentialsRefused, "be_credentials", "the backend refused the credential", None)
_BUSY = Meaning(
    BackendUnreachable, "be_conflict", "the backend is busy with this integration", "Wait; it is sent again by itself."
)
_BROKEN_HINT = "See the backend's own log; it is sent again by itself."
_BROKEN = Meaning(BackendUnreachable, "be_5xx", "the backend is broken at the moment", _BROKEN_HINT)
_GATEWAY = Meaning(
    BackendUnreachable, "be_5xx", "the backend is broken at the moment", _BROKEN_HINT, may_arrive_late=True
)
_TOO_LARGE = Meaning(
    DeliveryRejected,
    "be_too_large",
    "the backend finds the structure too large",
    "Raise the limit of the backend or of the proxy before it; then: wpsa sync.",
)
_REJECTED = Meaning(
    DeliveryRejected,
    "be_rejected",
    "the backend refused the structure",
    "Show the backend's own reason to its owner; the next slot tries anew.",
)
_REDIRECT = Meaning(
    ContractBroken,
    "be_redirect",
    "the backend redirects instead of answering",
    "Set WPSA_BACKEND_URL to the address it redirects to, with https and without a path.",
    exit_code=78,
)
_THROTTLED = Meaning(
    BackendThrottled,
    "be_rate_limited",
    "the backend asks for fewer requests",
    "Wait; it is sent again by itself.",
)
_MEANINGS: dict[int, Meaning] = {
    HTTPStatus.UNAUTHORIZED: _CREDENTIAL,
    HTTPStatus.FORBIDDEN: _CREDENTIAL,
    HTTPStatus.REQUEST_TIMEOUT: _BUSY,
    HTTPStatus.CONFLICT: _BUSY,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: _TOO_LARGE,
    HTTPStatus.LOCKED: _BUSY,
    HTTPStatus.TOO_EARLY: _BUSY,
    HTTPStatus.TOO_MANY_REQUESTS: _THROTTLED,
    HTTPStatus.BAD_GATEWAY: _GATEWAY,
    HTTPStatus.GATEWAY_TIMEOUT: _GATEWAY,
}


def failure_of(answer: Answer, *, hint: str, sent_bytes: int = 0) -> BackendError | None:
    """The error an answer stands for; None for every 2xx, and for 404, which the caller knows better.

    hint   what to do when the credential is refused
    """
    meaning = _meaning_of(answer, sent_bytes)
    if meaning is None:
        return None
    size = f", {sent_bytes:,} bytes" if meaning is _TOO_LARGE else ""
    error = meaning.kind(
        f"{meaning.what} ({said(answer)}{size})",
        reason=meaning.reason,
        hint=meaning.hint or hint,
        retry_after_seconds=answer.retry_after_seconds,
        exit_code=meaning.exit_code,
    )
    error.may_arrive_late = meaning.may_arrive_late
    return error


def _meaning_of(answer: Answer, sent_bytes: int) -> Meaning | None:
    status = answer.status
    if status < 300 or status == HTTPStatus.NOT_FOUND:
        return None
    if status in (401, 403) and answer.redirected_from:
        return _REDIRECT  # the token stayed with the address it was given for
    if status == HTTPStatus.BAD_REQUEST and sent_bytes > LARGE_BYTES and not _is_json(answer):
        return _TOO_LARGE
    usual = _REDIRECT if status < 400 else _REJECTED if status < 500 else _BROKEN
    return _MEANINGS.get(status, usual)


def lost_integration(integration_id: str) -> IntegrationNotFound:
    return IntegrationNotFound(
        f"the backend has no integration {integration_id}",
        reason="be_integration_gone",
        hint="Connect the site at the backend anew, or correct the configured integration_id.",
    )


def not_the_api(answer: Answer) -> ContractBroken:
    return ContractBroken(
        f"the backend has no integrations at the usual place ({said(answer)})",
        reason="be_not_api",
        hint="Check WPSA_BACKEND_URL: it is the address below which /api/ lies.",
        exit_code=78,
    )


def names_a_newer_one(answer: Answer) -> bool:
    """Whether a 409 means that the backend holds a newer structure, rather than that it is busy."""
    return answer.status == HTTPStatus.CONFLICT and bool(_NEWER.search(said(answer)))


def newer_there(answer: Answer) -> ContractBroken:
    return ContractBroken(
        f"the backend holds a newer structure than this agent's ({said(answer)})",
        reason="be_conflict_newer",
        hint="See that no second agent pushes to this integration, and that this machine's clock is right.",
    )


def said(answer: Answer) -> str:
    """The status and the backend's own reason, short and on one line."""
    try:
        reason = _reason_in(answer.json())
    except BadJson:
        reason = ""
    text = re.sub(r"\s+", " ", reason).strip()[:_REASON_LIMIT_CHARACTERS]
    return f"HTTP {answer.status}: {text}" if text else f"HTTP {answer.status}"


def _is_json(answer: Answer) -> bool:
    try:
        answer.json()
    except BadJson:
        return False
    return True


def _reason_in(body: Any) -> str:
    """The first text that error bodies usually carry."""
    match body:
        case {"detail": str(text)} | {"message": str(text)} | {"error": str(text)} | {"title": str(text)}:
            return text
        case dict():
            return "; ".join(f"{key}: {_reason_in(value)}" for key, value in list(body.items())[:5])
        case [first, *_]:
            return _reason_in(first)
        case str():
            return body
        case _:
            return ""
