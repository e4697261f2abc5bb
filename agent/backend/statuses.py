"""What each status of the backend means: one table for look-up, push and read-back."""

import re
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


def failure_of(answer: Answer, *, hint: str) -> BackendError | None:
    """The error an answer stands for; None for every 2xx, and for 404, which the caller knows better.

    hint   what to do when the credential is refused
    """
    status = answer.status
    said = _said(answer)
    match status:
        case 404:
            return None
        case 401 | 403 if answer.redirected_from:
            return _redirects(said)  # the token stayed with the address it was given for
        case 401 | 403:
            return CredentialsRefused(
                f"the backend refused the credential ({said})", reason="be_credentials", hint=hint
            )
        case 429:
            return BackendThrottled(
                f"the backend asks for fewer requests ({said})",
                reason="be_rate_limited",
                hint="Wait; it is sent again by itself.",
                retry_after_seconds=answer.retry_after_seconds,
            )
        case 408 | 409 | 423 | 425:
            return BackendUnreachable(
                f"the backend is busy with this integration ({said})",
                reason="be_conflict",
                hint="Wait; it is sent again by itself.",
            )
        case _ if status >= 500:
            return BackendUnreachable(
                f"the backend is broken at the moment ({said})",
                reason="be_5xx",
                hint="See the backend's own log; it is sent again by itself.",
                retry_after_seconds=answer.retry_after_seconds,
            )
        case 413:
            return DeliveryRejected(
                f"the backend finds the structure too large ({said})",
                reason="be_too_large",
                hint="Raise the limit of the backend or of the proxy before it.",
            )
        case _ if status >= 400:
            return DeliveryRejected(
                f"the backend refused the structure ({said})",
                reason="be_rejected",
                hint="Show the backend's own reason to its owner; the next slot tries anew.",
            )
        case _ if status >= 300:
            return _redirects(said)
        case _:
            return None


def lost_integration(integration_id: str) -> IntegrationNotFound:
    return IntegrationNotFound(
        f"the backend has no integration {integration_id}",
        reason="be_integration_gone",
        hint="Connect the site at the backend anew, or correct the configured integration_id.",
    )


def _redirects(said: str) -> ContractBroken:
    return ContractBroken(
        f"the backend redirects instead of answering ({said})",
        reason="be_redirect",
        hint="Set WPSA_BACKEND_URL to the address it redirects to, with https and without a path.",
        exit_code=78,
    )


def not_the_api(answer: Answer) -> ContractBroken:
    return ContractBroken(
        f"the backend has no integrations at the usual place ({_said(answer)})",
        reason="be_not_api",
        hint="Check WPSA_BACKEND_URL: it is the address below which /api/ lies.",
        exit_code=78,
    )


def _said(answer: Answer) -> str:
    """The status and the backend's own reason, short and on one line."""
    try:
        reason = _reason_in(answer.json())
    except BadJson:
        reason = ""
    text = re.sub(r"\s+", " ", reason).strip()[:_REASON_LIMIT_CHARACTERS]
    return f"HTTP {answer.status}: {text}" if text else f"HTTP {answer.status}"


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
