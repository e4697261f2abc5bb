"""What each status of the backend means: one table for look-up, push and read-back."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import islice
from typing import Any
from urllib.parse import urljoin, urlsplit

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

NO_INTEGRATION_HINT = "Connect the site at the backend, or correct WPSA_BACKEND_SITE_ID."

LARGE_BYTES = 1024 * 1024
"""Some frameworks answer 400, and a web page, to a body that is too large for them."""

_USUAL_KEYS = ("detail", "message", "error", "errors", "title")

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
    names_request: bool = False
    """Whether its reader has to know which request was answered so."""


_CREDENTIAL = Meaning(
    CredentialsRefused, "be_credentials", "the backend refused the credential", None, names_request=True
)
_BUSY = Meaning(
    BackendUnreachable, "be_conflict", "the backend is busy with this integration", "Wait; it is sent again by itself."
)
_BROKEN_HINT = "See the backend's own log; it is sent again by itself."
_BROKEN = Meaning(
    BackendUnreachable, "be_5xx", "the backend is broken at the moment", _BROKEN_HINT, names_request=True
)
_GATEWAY = replace(_BROKEN, may_arrive_late=True)
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
_UNEXPLAINED = Meaning(
    DeliveryRejected,
    "be_rejected",
    "the backend refused the structure and does not say why",
    "See the backend's own log: a limit on the size of requests often looks so. The next slot tries anew.",
)
# Of a question nothing is refused that another document would mend.
_NO_ANSWER = Meaning(
    ContractBroken,
    "be_contract",
    "the backend refused to answer",
    "See the backend's own log, and check WPSA_BACKEND_URL and WPSA_BACKEND_SITE_ID.",
    names_request=True,
)
_NO_SUCH_SITE = Meaning(
    IntegrationNotFound, "be_no_integration", "the backend knows no such site", NO_INTEGRATION_HINT
)
_REDIRECT = Meaning(
    ContractBroken,
    "be_redirect",
    "the backend redirects instead of answering",
    "Set WPSA_BACKEND_URL to the address where it answers itself: usually with https, and without a path.",
    exit_code=78,
    names_request=True,
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
    size = f", {sent_bytes:,} bytes" if meaning in (_TOO_LARGE, _UNEXPLAINED) and sent_bytes else ""
    error = meaning.kind(
        f"{meaning.what}{_whither(answer)} ({said(answer, names_request=meaning.names_request)}{size})",
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
    usual = _MEANINGS.get(status, _REDIRECT if status < 400 else _REJECTED if status < 500 else _BROKEN)
    if answer.method == "GET" and usual.kind is DeliveryRejected:
        return _NO_SUCH_SITE if _names_the_site(answer) else _NO_ANSWER
    if usual is _REJECTED and not _reason_of(answer):
        too_large = status == HTTPStatus.BAD_REQUEST and sent_bytes > LARGE_BYTES
        return _TOO_LARGE if too_large else _UNEXPLAINED
    return usual


def lost_integration(integration_id: str) -> IntegrationNotFound:
    return IntegrationNotFound(
        f"the backend has no integration {integration_id}",
        reason="be_integration_gone",
        hint="Connect the site at the backend anew, or correct the configured integration_id.",
    )


def not_the_api(answer: Answer, *, lacks: str = "integrations") -> ContractBroken:
    """lacks   what should have been there"""
    return _another_address(f"the backend has no {lacks} at the usual place ({said(answer, names_request=True)})")


def no_json(answer: Answer) -> ContractBroken:
    """As a web page for people answers to everything."""
    told = said(answer, names_request=True)
    return _another_address(f"the backend answered with something that is no JSON ({told})")


def _another_address(message: str) -> ContractBroken:
    hint = "Check WPSA_BACKEND_URL: it is the address below which /api/ lies."
    return ContractBroken(message, reason="be_not_api", hint=hint, exit_code=78)


def names_a_newer_one(answer: Answer) -> bool:
    """Whether a 409 means that the backend holds a newer structure, rather than that it is busy."""
    return answer.status == HTTPStatus.CONFLICT and bool(_NEWER.search(_reason_of(answer)))


def newer_there(answer: Answer) -> ContractBroken:
    return ContractBroken(
        f"the backend holds a newer structure than this agent's ({said(answer)})",
        reason="be_conflict_newer",
        hint="See that no second agent pushes to this integration, and that this machine's clock is right.",
    )


def said(answer: Answer, *, names_request: bool = False) -> str:
    """The status and the backend's own reason, short and on one line.

    names_request   whether it says which request was answered so; its query is nobody's business
    """
    request = f" for {answer.method} {urlsplit(answer.url).path}" if names_request else ""
    reason = _reason_of(answer)
    return f"HTTP {answer.status}{request}{': ' if reason else ''}{reason}"


def _reason_of(answer: Answer) -> str:
    """In the backend's own words; empty when it gives none."""
    try:
        reason = _reason_in(answer.json())
    except BadJson:
        return ""
    return re.sub(r"\s+", " ", reason).strip()[:_REASON_LIMIT_CHARACTERS]


def _reason_in(body: Any) -> str:
    """The first text that error bodies usually carry."""
    match body:
        case dict():
            usual = (_reason_in(body[key]) for key in _USUAL_KEYS if key in body)
            return next(filter(None, usual), "") or "; ".join(islice(_named_reasons(body), 5))
        case [first, *_]:
            return _reason_in(first)
        case str():
            return body
        case _:
            return ""


def _named_reasons(body: dict[str, Any]) -> Iterator[str]:
    for key, value in body.items():
        if reason := _reason_in(value):
            yield f"{key}: {reason}"


def _names_the_site(answer: Answer) -> bool:
    """Whether it is the site that a look-up was refused for: where filters are checked, one of a stranger is an error."""
    try:
        body = answer.json()
    except BadJson:
        return False
    return isinstance(body, dict) and "site" in body


def _whither(answer: Answer) -> str:
    """Where a redirect leads, as far as that shows what is wrong: a stranger's address is not repeated."""
    if not 300 <= answer.status < 400 or "location" not in answer.headers:
        return ""
    here, there = urlsplit(answer.url), urlsplit(urljoin(answer.url, answer.headers["location"]))
    if here.hostname != there.hostname:
        return ", to another host"
    if here.scheme != there.scheme:
        return f", to {there.scheme}"
    return ", to another path"
