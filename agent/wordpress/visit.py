"""One reading of one site: its connections, what it may be asked with, and what is noted on the way."""

import asyncio
import re
from typing import Any

import httpx

from agent.strictjson import BadJson, parse_json_in_noise
from agent.structure.model import Site
from agent.transport import Answer, Transport
from agent.wordpress.statuses import failure_of, is_challenge, not_json

DIRTY = "the site writes something before or behind its answers (a PHP notice, a byte order mark, a cache's comment)"
CACHED = "a cache answers in place of the site, with answers of up to {minutes} minutes ago"
FIELDS_REFUSED = "the site refuses to cut its answers down (_fields): whole ones are read"

_STALE_SECONDS = 3_600
_FIELDS = re.compile(r"(?<=[?&])_fields=[^&]*&?")
_FIELDS_TRIES = 3
"""How many refusals are taken to be of `_fields`: each that was not has cost a request."""
_OTHER_REFUSALS = (401, 404, 410, 429)
"""Whose reason is another for sure: a login, nothing there, too much."""


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
        self._fields_refused = False
        self._fields_tries = _FIELDS_TRIES
        self._fields_doubted = asyncio.Lock()

    def warn(self, text: str) -> None:
        """Note something that whoever reads the result should know; each text once."""
        self._warnings[text] = None

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(self._warnings)

    async def get(self, url: str, *, as_stranger: bool = False, **headers: str) -> Answer:
        """Any answer to a GET; raises SiteError only when there is none."""
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        auth = None if as_stranger else self.auth
        answer = await self.http.fetch("GET", self.asked(url), headers=named, auth=auth)
        if _may_be_for_the_fields(answer):
            answer = await self._whole(without_fields(url), named, auth) or answer
        self._note_age(answer)
        return answer

    def asked(self, url: str) -> str:
        """The address as this site takes it."""
        return without_fields(url) if self._fields_refused else url

    async def _whole(self, url: str, headers: dict[str, str], auth: httpx.Auth | None) -> Answer | None:
        """The whole answer where a part was refused; None when that is no reason to ask for it."""
        async with self._fields_doubted:  # whoever is refused meanwhile hears what came of it
            if not self._fields_refused:
                if not self._fields_tries:
                    return None
                self._fields_tries -= 1
                answer = await self.http.fetch("GET", url, headers=headers, auth=auth)
                if answer.status != 200:
                    return None
                self._fields_refused = True
                self.warn(FIELDS_REFUSED)
                return answer
        return await self.http.fetch("GET", url, headers=headers, auth=auth)

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
            raise not_json(answer, error) from None

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


def _may_be_for_the_fields(answer: Answer) -> bool:
    """Security plugins and firewalls refuse a parameter that they do not know."""
    is_refused = 400 <= answer.status < 500 and answer.status not in _OTHER_REFUSALS
    return is_refused and "_fields=" in answer.url and not is_challenge(answer)


def without_fields(url: str) -> str:
    """The same address for the whole answer."""
    return _FIELDS.sub("", url).rstrip("?&")
