"""What each status of the backend means."""

from typing import Any

import httpx
import pytest

from agent.backend.statuses import failure_of
from agent.errors import (
    BackendError,
    BackendThrottled,
    BackendUnreachable,
    ContractBroken,
    CredentialsRefused,
    DeliveryRejected,
    IntegrationNotFound,
)
from agent.transport import Answer


def said(
    status: int, body: bytes = b"", *, method: str = "POST", url: str = "https://b/x/", headers: Any = None
) -> BackendError | None:
    answer = Answer(method, url, status, httpx.Headers({"retry-after": "30", **(headers or {})}), body)
    return failure_of(answer, hint="Make a new key.")


MEANINGS: dict[int, tuple[type[BackendError], str, int]] = {
    300: (ContractBroken, "be_redirect", 78),
    301: (ContractBroken, "be_redirect", 78),
    302: (ContractBroken, "be_redirect", 78),
    304: (ContractBroken, "be_redirect", 78),
    307: (ContractBroken, "be_redirect", 78),
    308: (ContractBroken, "be_redirect", 78),
    400: (DeliveryRejected, "be_rejected", 65),
    401: (CredentialsRefused, "be_credentials", 77),
    402: (DeliveryRejected, "be_rejected", 65),
    403: (CredentialsRefused, "be_credentials", 77),
    405: (DeliveryRejected, "be_rejected", 65),
    406: (DeliveryRejected, "be_rejected", 65),
    408: (BackendUnreachable, "be_conflict", 75),
    409: (BackendUnreachable, "be_conflict", 75),
    410: (DeliveryRejected, "be_rejected", 65),
    413: (DeliveryRejected, "be_too_large", 65),
    415: (DeliveryRejected, "be_rejected", 65),
    422: (DeliveryRejected, "be_rejected", 65),
    423: (BackendUnreachable, "be_conflict", 75),
    425: (BackendUnreachable, "be_conflict", 75),
    429: (BackendThrottled, "be_rate_limited", 75),
    500: (BackendUnreachable, "be_5xx", 75),
    501: (BackendUnreachable, "be_5xx", 75),
    502: (BackendUnreachable, "be_5xx", 75),
    503: (BackendUnreachable, "be_5xx", 75),
    504: (BackendUnreachable, "be_5xx", 75),
    599: (BackendUnreachable, "be_5xx", 75),
    999: (BackendUnreachable, "be_5xx", 75),
}


@pytest.mark.parametrize(("status", "meaning"), MEANINGS.items(), ids=map(str, MEANINGS))
def test_each_status_has_one_meaning(status: int, meaning: tuple[type[BackendError], str, int]) -> None:
    error = said(status)

    assert error is not None
    assert (type(error), error.reason, error.exit_code) == meaning
    assert f"HTTP {status}" in error.message
    assert error.hint


def test_every_status_there_can_be_has_a_meaning() -> None:
    for status in range(100, 1_000):
        error = said(status)
        assert (error is None) == (status < 300 or status == 404)


def test_a_404_is_the_callers_own_matter() -> None:
    assert said(404) is None


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_wish_to_wait_goes_along(status: int) -> None:
    error = said(status)

    assert error is not None
    assert error.retry_after_seconds == 30


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"detail": "Not yours."}', "Not yours."),
        (b'{"message": "no", "code": 5}', "no"),
        (b'{"error": "no"}', "no"),
        (b'{"success": false, "error": {"code": "throttled", "message": "Slower."}}', "Slower."),
        (b'{"success": false, "data": null, "errors": {"post_types": {"book": ["Wrong."]}}}', "post_types: book: Wrong."),
        (b'{"detail": "", "message": "no"}', "no"),
        (b'{"type": "about:blank", "title": "Bad", "status": 400}', "Bad"),
        (b'{"post_types": ["Wrong.", "More."], "timestamp": ["Old."]}', "post_types: Wrong.; timestamp: Old."),
        (b'["first", "second"]', "first"),
        (b'"plain"', "plain"),
        (b'{"detail": "two\\r\\n lines\\t here"}', "two lines here"),
        (b'{"detail": "' + b"x" * 5_000 + b'"}', "x" * 300),
        (b'{"a": ' * 60 + b'"x"' + b"}" * 60, "a: " * 60 + "x"),
    ],
)
def test_the_backends_own_reason_is_told_short_and_on_one_line(body: bytes, reason: str) -> None:
    error = said(400, body)

    assert error is not None
    assert error.message == f"the backend refused the structure (HTTP 400: {reason})"


@pytest.mark.parametrize("body", [b"<h1>Bad Request (400)</h1>", b"", b"5", b"{}", b'{"success": false}', b"[]"])
def test_where_the_backend_gives_no_reason_its_log_is_named(body: bytes) -> None:
    error = said(400, body)

    assert error is not None
    assert error.message == "the backend refused the structure and does not say why (HTTP 400)"
    assert "log" in error.hint


# Recorded: django-filter 26.2 on DRF 3.18 for a site that is not there, and Django 5.2 for a Host that it does not expect.
UNKNOWN_SITE = b'{"site":["Select a valid choice. That choice is not one of the available choices."]}'
UNEXPECTED_HOST = (
    b'\n<!doctype html>\n<html lang="en">\n<head>\n  <title>Bad Request (400)</title>\n</head>\n<body>\n'
    b"  <h1>Bad Request (400)</h1><p></p>\n</body>\n</html>\n"
)


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (400, UNKNOWN_SITE, IntegrationNotFound, 69),
        (422, UNKNOWN_SITE, IntegrationNotFound, 69),
        (400, UNEXPECTED_HOST, ContractBroken, 76),
        (405, b'{"detail":"Method \\"GET\\" not allowed."}', ContractBroken, 76),
        (413, b"", ContractBroken, 76),
    ],
)
def test_a_refused_question_is_no_refused_structure(
    status: int, body: bytes, kind: type[BackendError], code: int
) -> None:
    """A refused structure is put aside until the next slot; here nobody has looked at it."""
    error = said(status, body, method="GET")

    assert type(error) is kind
    assert error.exit_code == code
    assert "structure" not in error.message
    assert "WPSA_BACKEND_SITE_ID" in error.hint


@pytest.mark.parametrize("status", [301, 401, 403, 500, 502, 999])
def test_what_may_be_of_one_request_alone_names_it_without_its_query(status: int) -> None:
    error = said(status, b'{"detail": "No."}', url="https://b/api/v1/integration/integrations/?site=7", method="GET")

    assert error is not None
    assert f"(HTTP {status} for GET /api/v1/integration/integrations/: No.)" in error.message


@pytest.mark.parametrize(
    ("location", "whither"),
    [
        ("https://b/x/", ", to https"),
        ("https://b:8443/x/", ", to https"),
        ("/x", ", to another path"),
        ("http://b/x?token=CANARY", ", to another path"),
        ("https://canary.example/x/", ", to another host"),
    ],
)
def test_where_a_redirect_leads_is_said_as_far_as_it_helps(location: str, whither: str) -> None:
    error = said(301, url="http://b/x/", headers={"location": location})

    assert error is not None
    assert error.message.startswith(f"the backend redirects instead of answering{whither} (")
    assert "canary" not in error.message.lower()


def test_the_hint_of_the_credential_is_its_own() -> None:
    error = said(403)

    assert error is not None
    assert error.hint == "Make a new key."
