"""What each status of the backend means."""

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
)
from agent.transport import Answer


def said(status: int, body: bytes = b"", *, url: str = "https://b/x/", **more: object) -> BackendError | None:
    answer = Answer("POST", url, status, httpx.Headers({"retry-after": "30"}), body, **more)  # type: ignore[arg-type]
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


def test_a_refused_token_after_a_redirect_blames_the_redirect() -> None:
    error = said(401, redirected_from=("https://backend.example/",))

    assert isinstance(error, ContractBroken)
    assert error.exit_code == 78


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"detail": "Not yours."}', "Not yours."),
        (b'{"message": "no", "code": 5}', "no"),
        (b'{"error": "no"}', "no"),
        (b'{"type": "about:blank", "title": "Bad", "status": 400}', "Bad"),
        (b'{"post_types": ["Wrong.", "More."], "timestamp": ["Old."]}', "post_types: Wrong.; timestamp: Old."),
        (b'["first", "second"]', "first"),
        (b'"plain"', "plain"),
        (b'{"detail": "two\\r\\n lines\\t here"}', "two lines here"),
        (b"<h1>Bad</h1>", None),
        (b"", None),
        (b"5", None),
        (b'{"detail": "' + b"x" * 5_000 + b'"}', "x" * 300),
        (b'{"a": ' * 60 + b"1" + b"}" * 60, "a: " * 59 + "a:"),
    ],
)
def test_the_backends_own_reason_is_told_short_and_on_one_line(body: bytes, reason: str | None) -> None:
    error = said(400, body)

    assert error is not None
    assert error.message == f"the backend refused the structure (HTTP 400{f': {reason}' if reason else ''})"


def test_the_hint_of_the_credential_is_its_own() -> None:
    error = said(403)

    assert error is not None
    assert error.hint == "Make a new key."
