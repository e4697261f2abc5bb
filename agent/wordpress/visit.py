"""One reading of one site: its connections, what it may be asked with, and what is noted on the way."""

from typing import Any

import httpx

from agent.errors import AgentError, AnswerNotUnderstood, RestClosed, SiteSuspended, SiteThrottled, SiteUnreachable
from agent.faults import spoken
from agent.strictjson import BadJson, parse_json_in_noise
from agent.structure.model import Site
from agent.transport import Answer, Transport
from agent.wordpress.answers import error_code

DIRTY = "the site writes something before or behind its answers (a PHP notice, a byte order mark, a cache's comment)"
CACHED = "a cache answers in place of the site, with answers of up to {minutes} minutes ago"

# A firewall's challenge says so in a header, or in the page it shows to browsers.
_CHALLENGE_HEADERS = ("cf-mitigated", "sg-captcha")
_CHALLENGE_MARKS = (b"/.well-known/sgcaptcha", b"/cdn-cgi/challenge-platform", b"<title>Just a moment...")
_STALE_SECONDS = 3_600


class Visit:
    """Every request of a reading goes through here, and only reads."""

    def __init__(self, http: Transport, site: Site) -> None:
        self.http = http
        self.site = site
        self.auth: httpx.Auth | None = None
        """The login, once it was proved; None asks as a stranger."""
        self._warnings: dict[str, None] = {}
        self.suspicious = False
        """True once a cache or stray output was seen between the site and us: counts are then checked."""
        self.totals_lie = False
        """True once a total of 0 stood beside an item: no total of 0 is then believed."""
        self.headers_lost = False
        """True once a total came by envelope only: the other counts ask for the envelope at once."""

    def warn(self, text: str) -> None:
        """Note something that whoever reads the result should know; each text once."""
        self._warnings[text] = None

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(self._warnings)

    async def get(self, url: str, *, as_stranger: bool = False, **headers: str) -> Answer:
        """Any answer to a GET; raises SiteError only when there is none."""
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        answer = await self.http.fetch("GET", url, headers=named, auth=None if as_stranger else self.auth)
        self._note_age(answer)
        return answer

    async def get_json(self, url: str) -> Any:
        """The JSON of a successful answer; raises the SiteError that says why there is none."""
        return self.understand(await self.get(url))

    def understand(self, answer: Answer) -> Any:
        """The JSON of this answer; raises the SiteError that says why there is none."""
        if failure := failure_of(answer):
            raise failure
        try:
            return self.parse(answer)
        except BadJson as error:
            raise _not_json(answer, error) from None

    def parse(self, answer: Answer) -> Any:
        """The JSON of an answer of any status; raises BadJson."""
        value, noisy = parse_json_in_noise(answer.body)
        if noisy:
            self.suspicious = True
            self.warn(DIRTY)
        return value

    def _note_age(self, answer: Answer) -> None:
        age = answer.headers.get("age", "")
        if age.isascii() and age.isdigit() and int(age[:9]) > 0:
            self.suspicious = True
            if int(age[:9]) > _STALE_SECONDS:
                self.warn(CACHED.format(minutes=int(age[:9]) // 60))


def failure_of(answer: Answer) -> AgentError | None:
    """What is wrong with an answer by its status and headers; None for a plain 200."""
    where = spoken(httpx.URL(answer.url))
    code = code_in(answer)
    said = f"HTTP {answer.status}" + (f", {code}" if code else "")
    if is_challenge(answer):
        return AnswerNotUnderstood(
            f"{where}: a firewall answered with a challenge for browsers ({said})",
            reason="challenge",
            hint="Ask the host, or whoever runs the firewall, to let this machine's address through.",
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
        case 410 if code == "wp_die":
            return SiteSuspended(
                f"{where}: the site is archived or suspended ({said})",
                reason="suspended",
                hint="Ask the owner of the WordPress network, or take the site out of the settings.",
            )
        case 401 | 403 | 406 | 409 | 415:
            return RestClosed(
                f"{where}: access was refused ({said})",
                reason=code or "forbidden",
                hint=_closed_hint(code),
            )
        case 503 if answer.retry_after_seconds or code == "wp_die":
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
                reason=code or f"http_{answer.status}",
                hint="Open the address in a browser to see what answers there.",
            )


def is_challenge(answer: Answer) -> bool:
    if answer.status == 202 or any(header in answer.headers for header in _CHALLENGE_HEADERS):
        return True
    return answer.status in (200, 403, 503) and any(mark in answer.body[:16_384] for mark in _CHALLENGE_MARKS)


def code_in(answer: Answer) -> str | None:
    """The code of a WP_Error, such as `rest_no_route`; None for any other body."""
    try:
        return error_code(parse_json_in_noise(answer.body)[0])
    except BadJson:
        return None


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


def _not_json(answer: Answer, error: BadJson) -> AnswerNotUnderstood:
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
