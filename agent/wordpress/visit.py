"""One reading of one site: its connections, what it may be asked with, and what is noted on the way."""

from typing import Any

import httpx

from agent.strictjson import BadJson, parse_json_in_noise
from agent.structure.model import Site
from agent.transport import Answer, Transport
from agent.wordpress.statuses import failure_of, not_json

DIRTY = "the site writes something before or behind its answers (a PHP notice, a byte order mark, a cache's comment)"
CACHED = "a cache answers in place of the site, with answers of up to {minutes} minutes ago"

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
