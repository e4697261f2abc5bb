"""What an answer of a site means before anybody reads its body: fine, or which error, with its cause."""

import httpx

from agent.errors import (
    AgentError,
    AnswerNotUnderstood,
    RestClosed,
    SiteSuspended,
    SiteThrottled,
    SiteUnreachable,
)
from agent.faults import spoken
from agent.strictjson import BadJson, parse_json_in_noise
from agent.transport import Answer
from agent.wordpress.answers import error_code

# A firewall's challenge says so in a header, or in the page it shows to browsers.
_CHALLENGE_HEADERS = ("cf-mitigated", "sg-captcha")
_CHALLENGE_MARKS = (b"/.well-known/sgcaptcha", b"/cdn-cgi/challenge-platform", b"<title>Just a moment...")


def failure_of(answer: Answer) -> AgentError | None:
    """What is wrong with an answer by its status and headers; None for a plain 200."""
    if is_challenge(answer):
        return AnswerNotUnderstood(
            _sentence(answer, "a firewall answered with a challenge for browsers"),
            reason="challenge",
            hint="Ask the host, or whoever runs the firewall, to let this machine's address through.",
        )
    if answer.status == 200:
        return None
    code = code_in(answer)
    match answer.status:
        case 429:
            return _throttled(answer, "the site asks for fewer requests", "rate_limited")
        case 503 if answer.retry_after_seconds or code == "wp_die":
            return _throttled(answer, "the site is in maintenance or overloaded", "maintenance")
        case 410 if code == "wp_die":
            return SiteSuspended(
                _sentence(answer, "the site is archived or suspended"),
                reason="suspended",
                hint="Ask the owner of the WordPress network, or take the site out of the settings.",
            )
        case 401 | 403 | 406 | 409 | 415:
            closed = _sentence(answer, "access was refused")
            return RestClosed(closed, reason=code or "forbidden", hint=_closed_hint(code))
        case status if status >= 500:
            return SiteUnreachable(
                _sentence(answer, "the site is broken at the moment"),
                reason="5xx",
                hint="See the site's own error log; it is tried again by itself.",
            )
        case status:
            return AnswerNotUnderstood(
                _sentence(answer, "unexpected answer"),
                reason=code or f"http_{status}",
                hint="Open the address in a browser to see what answers there.",
            )


def is_challenge(answer: Answer) -> bool:
    """Whether a firewall wants a browser to prove itself, whatever the status says."""
    if answer.status == 202 or any(header in answer.headers for header in _CHALLENGE_HEADERS):
        return True
    return answer.status in (200, 403, 503) and any(mark in answer.body[:16_384] for mark in _CHALLENGE_MARKS)


def code_in(answer: Answer) -> str | None:
    """The code of a WP_Error, such as `rest_no_route`; None for any other body."""
    try:
        return error_code(parse_json_in_noise(answer.body)[0])
    except BadJson:
        return None


def not_json(answer: Answer, error: BadJson) -> AnswerNotUnderstood:
    """What came in place of the JSON that was asked for."""
    where = spoken(httpx.URL(answer.url))
    if answer.body[:256].lstrip().lower().startswith((b"<", b"\xef\xbb\xbf<")):
        return AnswerNotUnderstood(
            f"{where}: a web page came instead of JSON",
            reason="not_json",
            hint="A cache, a login page or a plugin answers in place of the REST API; open the address to see it.",
        )
    return AnswerNotUnderstood(
        f"{where}: the answer is {error}",
        reason=error.reason,
        hint="Open the address to see it; a plugin may write into the answer.",
    )


def _throttled(answer: Answer, what: str, reason: str) -> SiteThrottled:
    return SiteThrottled(
        _sentence(answer, what),
        reason=reason,
        hint="Wait; it is tried again by itself.",
        retry_after_seconds=answer.retry_after_seconds,
    )


def _sentence(answer: Answer, what: str) -> str:
    code = code_in(answer)
    said = f"HTTP {answer.status}" + (f", {code}" if code else "")
    return f"{spoken(httpx.URL(answer.url))}: {what} ({said})"


_LOGIN_HINT = "Give a login (username and application password), or allow the REST API for strangers."


def _closed_hint(code: str | None) -> str:
    """By what the known closers of the REST API answer."""
    match code:
        case "rest_cannot_access":
            return f"The plugin “Disable REST API” closes it. {_LOGIN_HINT}"
        case "itsec_rest_api_access_restricted":
            return f"Solid Security (iThemes, Kadence) closes it. {_LOGIN_HINT}"
        case "private_site":
            return f"The site is private (Jetpack, WordPress.com). {_LOGIN_HINT}"
        case "incorrect_password" | "invalid_username" | "invalid_email":
            return "Make a new application password for that user, and set it."
        case None:
            return "A firewall or the web server closes it, no plugin that says its name: let this machine through."
        case _:
            return f"A plugin or snippet closes it ({code}). {_LOGIN_HINT}"
