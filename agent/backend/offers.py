"""What a backend offers besides taking structures in; of one that has not said so, nothing of it is asked.

All of it goes over connections of its own, once, and has a few seconds: what fails here delays no
delivery, is no site's failure, and is told to nobody but the log at debug.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from agent.backend.client import BackendClient
from agent.backend.contract import (
    MESSAGE_LIMIT_CHARACTERS,
    PLATFORM,
    REASON_LIMIT_CHARACTERS,
    RUNS,
    SYNC_REQUESTS,
    TYPE_SETTINGS,
    Paths,
)
from agent.backend.envelope import inside
from agent.backend.integrations import Target, Whose, id_of, ids_in, rows_of
from agent.backend.session import Session, ask_signed
from agent.backend.statuses import failure_of, not_the_api
from agent.errors import AgentError, BackendError
from agent.outcome import Outcome
from agent.retry import ONCE
from agent.structure.chosen import chosen_in
from agent.structure.model import Chosen
from agent.telemetry import events
from agent.transport import Answer, Limits, Transport

LIMITS = Limits(connect_seconds=3, read_seconds=10, deadline_seconds=10, redirects=0, connections=4)
CHOICES_SECONDS = 5.0
"""How long a run waits for what people chose at the backend, however many runs want to know."""
NO_SITE = ""
"""Whom the breaker is asked about: these requests are of the account."""

log = structlog.stdlib.get_logger("agent")

KnownBy = Callable[[Sequence[str]], Iterable[str]]
"""The names of our sites that have one of these ids at the backend."""


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """Somebody pressed “Sync now” at the backend."""

    site: str
    integration_id: str
    id: int | str


class Offers:
    """Uses what the backend of this client offers.

    hide       makes a text fit to leave this machine
    known_by   finds our sites by ids of the backend, where `targets` cannot be gone through; raises StateError
    """

    def __init__(
        self,
        client: BackendClient,
        http: Transport,
        *,
        base_url: str,
        session: Session,
        paths: Paths,
        targets: Mapping[str, Target],
        hide: Callable[[str], str],
        known_by: KnownBy | None = None,
    ) -> None:
        self._client, self._http = client, http
        self._base, self._session, self._paths = base_url, session, paths
        self._targets, self._known_by = targets, known_by
        self._whose = Whose(targets)
        self._hide = hide

    @property
    def sync_requests(self) -> bool:
        """Whether it may be asked for sync requests at this moment; a backend that is down is left alone."""
        return self._offers(SYNC_REQUESTS)

    @property
    def runs(self) -> bool:
        """Whether it may be told of runs at this moment."""
        return self._offers(RUNS)

    async def chosen(self, site: str) -> Chosen | None:
        """What people chose at the backend for this site's content types; None when it offers to say so, and does not."""
        if TYPE_SETTINGS not in self._client.offers:
            return {}
        if not self._offers(TYPE_SETTINGS):
            return None
        try:
            async with asyncio.timeout(CHOICES_SECONDS):
                url = self._url(self._paths.integration(await self._id_of(site)))
                return chosen_in(inside(await self._get(url)))
        except (BackendError, TimeoutError) as error:
            note_failure("type settings", error)
            return None

    async def open_requests(self) -> list[SyncRequest]:
        """What is wanted of our sites. Raises BackendError, and StateError where that has to be asked."""
        query = {"platform": PLATFORM, "sync_request": "open"}
        rows = [row async for row in rows_of(self._get, self._url(self._paths.integrations), query)]
        whose, found = self._whose_among(rows), []
        for row in rows:
            match row.get("sync_request"):
                case {"id": (int() | str()) as number} if site := whose.site_of(row):
                    found.append(SyncRequest(site, id_of(row), number))
        return found

    async def say(self, request: SyncRequest, state: str, error: AgentError | None = None) -> bool:
        """How far a request is: `running`, `done` or `failed`. False when it has ended meanwhile. Raises BackendError."""
        said = {"id": request.id, "state": state, **self._words(error)}
        answer = await self._ask("PATCH", self._url(self._paths.sync_request(request.integration_id)), said)
        if answer.status in (404, 409):
            return False
        self._must_succeed(answer)
        return True

    async def report(self, outcome: Outcome, *, started_at: datetime, finished_at: datetime) -> None:
        """Tell of one run. Raises BackendError."""
        integration_id = outcome.receipt.integration_id if outcome.receipt else await self._id_of(outcome.site)
        run = {"started_at": started_at.isoformat(), "finished_at": finished_at.isoformat(), "result": outcome.result}
        if outcome.error:
            run["reason"] = outcome.error.reason[:REASON_LIMIT_CHARACTERS]
        url = self._url(self._paths.runs(integration_id))
        self._must_succeed(await self._ask("POST", url, run | self._words(outcome.error)))

    def _whose_among(self, rows: Sequence[dict[str, Any]]) -> Whose:
        if self._known_by is None or not rows:
            return self._whose
        names = self._known_by(sorted(set().union(*map(ids_in, rows))))
        return Whose({name: target for name in names if (target := self._targets.get(name))})

    def _offers(self, what: str) -> bool:
        return what in self._client.offers and not self._client.wait_seconds(NO_SITE)

    def _words(self, error: AgentError | None) -> dict[str, str]:
        texts = {"message": error.message, "hint": error.hint} if error else {}
        return {key: self._hide(text)[:MESSAGE_LIMIT_CHARACTERS] for key, text in texts.items()}

    async def _id_of(self, site: str) -> str:
        return await self._client.integration_of(site, self._get)

    def _url(self, path: str) -> str:
        return f"{self._base}{path}"

    async def _get(self, url: str) -> Answer:
        answer = await self._ask("GET", url)
        self._must_succeed(answer)
        return answer

    def _must_succeed(self, answer: Answer) -> None:
        if answer.status == 404:
            raise not_the_api(answer)
        if failure := failure_of(answer, hint=self._session.hint):
            raise failure

    async def _ask(self, method: str, url: str, body: Mapping[str, Any] | None = None) -> Answer:
        return await ask_signed(
            self._http,
            self._session,
            self._base,
            method,
            url,
            headers={"Content-Type": "application/json"} if body is not None else None,
            content=json.dumps(body).encode() if body is not None else None,
            retry=ONCE,
        )


def note_failure(what: str, error: Exception) -> None:
    """What went wrong here is nobody's failure, and news for those who look closely."""
    log.debug(events.OFFER_FAILED, message=f"{what}: the backend did not answer as it offers", error=str(error))
