"""One GET to a site, and what its answer means when it is not the JSON that was asked for."""

from typing import Any

from agent.errors import AgentError, AnswerNotUnderstood, RestClosed, SiteThrottled, SiteUnreachable
from agent.faults import spoken
from agent.strictjson import BadJson
from agent.transport import Answer, Transport
from agent.wordpress.answers import error_code

import httpx

# A firewall's challenge is answered with any of these; none is an answer of WordPress.
_CHALLENGE_HEADERS = ("cf-mitigated", "sg-captcha")


async def get_json(http: Transport, url: str) -> tuple[Answer, Any]:
    """The answer and its parsed body; raises SiteError when it is not 200 with JSON."""
    answer = await http.fetch("GET", url)
    return answer, understand(answer)


def understand(answer: Answer) -> Any:
    """The JSON of a successful answer; raises the SiteError that says why there is none."""
    if failure := failure_of(answer):
        raise failure
    try:
        return answer.json()
    except BadJson as error:
        raise _not_json(answer, error) from None


def failure_of(answer: Answer) -> AgentError | None:
    """What is wrong with an answer by its status and headers; None for a plain 200."""
    where = spoken(httpx.URL(answer.url))
    code = _code_in(answer)
    said = f"HTTP {answer.status}" + (f", {code}" if code else "")
    if any(header in answer.headers for header in _CHALLENGE_HEADERS) or answer.status == 202:
        return AnswerNotUnderstood(
            f"{where}: a firewall answered with a challenge for browsers",
            reason="challenge",
            hint="Ask the host or the firewall's owner to let this machine's address through.",
        )
    match answer.status:
        case 200:
            return None
        case 429:
            return SiteThrottled(
                f"{where}: the site asks for fewer requests ({said})",
                reason="rate_limited",
                hint="Wait; it is tried again by itself.",
                retry_after_seconds=answer.retry_after_seconds,
            )
        case 401 | 403:
            return RestClosed(
                f"{where}: access was refused ({said})",
                reason=code or "forbidden",
                hint="A plugin or a firewall closes the REST API to strangers: allow it, or give a login.",
            )
        case 503 if answer.retry_after_seconds:
            return SiteThrottled(
                f"{where}: the site is in maintenance or overloaded ({said})",
                reason="maintenance",
                hint="Wait; it is tried again by itself.",
                retry_after_seconds=answer.retry_after_seconds,
            )
        case status if status >= 500:
            return SiteUnreachable(
                f"{where}: the site is broken at the moment ({said})",
                reason="5xx",
                hint="See the site's own error log; it is tried again by itself.",
            )
        case _:
            return AnswerNotUnderstood(
                f"{where}: unexpected answer ({said})",
                reason=code or "status",
                hint="See what answers at this address.",
            )


def _code_in(answer: Answer) -> str | None:
    try:
        return error_code(answer.json())
    except BadJson:
        return None


def _not_json(answer: Answer, error: BadJson) -> AnswerNotUnderstood:
    where = spoken(httpx.URL(answer.url))
    looks_like_html = answer.body[:256].lstrip().lower().startswith((b"<", b"\xef\xbb\xbf<"))
    if looks_like_html:
        return AnswerNotUnderstood(
            f"{where}: a web page came instead of JSON",
            reason="not_json",
            hint="A cache, a login page or a plugin answers in place of the REST API; open the address to see it.",
        )
    return AnswerNotUnderstood(
        f"{where}: the answer is {error}",
        reason=error.reason,
        hint="See what answers at this address; a plugin may write into the answer.",
    )
