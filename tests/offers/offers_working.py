"""What the tests do with an agent at work, and with the hub as its people do."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
from fakes import FakeReader

from agent.backend.contract import Paths
from agent.errands import Errands
from agent.exchange import Exchange
from agent.outcome import Outcome
from agent.rounds import Rounds

SECRET = "s3cret-CANARY-of-the-site"
"""Known to the redactor."""


class Hub:
    """The hub's API and pages."""

    def __init__(self, url: str, api_key: str, site_id: str) -> None:
        self.url, self.api_key, self.site_id = url, api_key, site_id
        self._http = httpx.Client(base_url=url, timeout=30, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    @property
    def place(self) -> tuple[str, str, str]:
        """What its agents are given."""
        return self.url, self.api_key, self.site_id

    def api(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._http.request(method, path, json=body, headers={"Authorization": f"Bearer {self.api_key}"})
        assert answer.is_success, answer.text
        return answer.json()

    @property
    def integration_id(self) -> str:
        return str(self.api("GET", f"{Paths().integrations}?site={self.site_id}")["results"][0]["id"])

    def press_sync_now(self) -> None:
        self.api("POST", Paths().sync_request(self.integration_id))

    @property
    def request(self) -> Any:
        """The open request, as agents see it."""
        return self.api("GET", Paths().integration(self.integration_id))["sync_request"]

    @property
    def runs(self) -> list[dict[str, Any]]:
        """As agents reported them, the newest first."""
        runs: list[dict[str, Any]] = self.api("GET", Paths().runs(self.integration_id))
        return runs

    def page(self) -> str:
        return self._http.get(f"/sites/{self.site_id}/").text

    def choose(self, slug: str, *, enabled: bool, fetch_limit: int) -> None:
        """In the form of the page, as somebody does who looks at it."""
        path = f"/sites/{self.site_id}/settings/"
        form = self._http.get(path).text
        limits = {key: value for key, value in _inputs(form) if key.startswith("limit:")}
        (row,) = (row for row in form.split("<tr") if f">{slug}<" in row)
        (key,) = (key for key, _ in _inputs(row) if key.startswith("limit:"))
        kept = [one for one, checked in _boxes(form) if checked and one != key.removeprefix("limit:")]
        chosen = [*kept, key.removeprefix("limit:")] if enabled else kept
        token = dict(_inputs(form))["csrfmiddlewaretoken"]
        sent = {**limits, key: str(fetch_limit), "enabled": chosen, "csrfmiddlewaretoken": token}
        assert self._http.post(path, data=sent, headers={"Origin": self.url}).status_code == 302


def _inputs(form: str) -> list[tuple[str, str]]:
    return [(_attribute(one, "name"), _attribute(one, "value")) for one in form.split("<input")[1:]]


def _boxes(form: str) -> list[tuple[str, bool]]:
    boxes = [one.split(">")[0] for one in form.split("<input")[1:] if 'type="checkbox"' in one.split(">")[0]]
    return [(_attribute(box, "value"), box.rstrip().endswith(" checked")) for box in boxes]


def _attribute(element: str, name: str) -> str:
    _, found, rest = element.split(">", maxsplit=1)[0].partition(f'{name}="')
    return rest.split('"')[0] if found else ""


@dataclass
class Working:
    """An agent at work."""

    rounds: Rounds
    reader: FakeReader
    exchanges: list[Exchange]
    errands: Errands

    @property
    def asked(self) -> list[str]:
        """What the backend was asked: method and the end of the path, with what is asked for in the query."""
        return [f"{one.method} {_end(one.url)}" for one in self.exchanges if one.peer == "backend"]

    async def sync(self) -> Outcome:
        return await self.rounds.ask("shop")

    async def look(self) -> None:
        """One look for what somebody pressed, and the end of all that it began."""
        await asyncio.gather(*await self.errands.look())

At = Callable[..., AbstractAsyncContextManager[Working]]
"""An agent at work with this backend: (url, api_key, site_id)."""


def _end(url: str) -> str:
    parts = urlsplit(url)
    path = parts.path.removeprefix(Paths().integrations).rstrip("/").split("/")[-1]
    return "poll" if "sync_request" in parts.query else "list" if not path else "one" if path.isdigit() else path
