"""The operations endpoint: is it alive, is it ready, what does it count, and "sync now"."""

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agent.asjson import error_json, outcome_json
from agent.clock import Clock
from agent.errors import StateError, UsageError
from agent.ops.asks import Order, Orders, TooManyAsks
from agent.ops.metrics import Metrics
from agent.outcome import Outcome
from agent.redact import Redactor
from agent.rounds import Rounds
from agent.settings import is_this_machine

BODY_BYTES = 1024 * 1024
"""Ten thousand names of a hundred letters."""
LOOK_LATE_SECONDS = 60.0
"""Four looks that did not come."""
LONGEST_WAIT_SECONDS = 20.0

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Health:
    """What the probes say: nothing about any site, for a dead site is no dead agent."""

    state: str
    """`ok`, or the reason why it cannot be written."""
    schedule: str
    """`ok`, `late` when nobody has looked for a while, `adrift` when the clock cannot be right."""

    @property
    def ready(self) -> bool:
        return self.state == self.schedule == "ok"


def judge(rounds: Rounds, clock: Clock) -> Health:
    """How the agent stands at this moment."""
    looked = rounds.looked_at
    late = looked is None or clock.monotonic() - looked > LOOK_LATE_SECONDS
    schedule = "late" if late else "adrift" if rounds.is_adrift else "ok"
    return Health(rounds.trouble.reason if rounds.trouble else "ok", schedule)


class Endpoint:
    """The routes, with what they ask."""

    def __init__(self, rounds: Rounds, metrics: Metrics, *, token: str, clock: Clock, redactor: Redactor) -> None:
        self._rounds, self._metrics, self._clock, self._redactor = rounds, metrics, clock, redactor
        self._token = token.encode()
        self._orders = Orders(rounds.ask, self._said)

    def application(self) -> Starlette:
        may = self._for_whom_may
        return Starlette(
            routes=[
                Route("/livez", self._livez),
                Route("/readyz", self._readyz),
                Route("/metrics", self._for_neighbours(self._show_metrics)),
                Route("/sync", may(self._sync), methods=["POST"]),
                Route("/sync/{id}", may(self._follow), methods=["GET"]),
                Route("/sync/{site:path}", may(self._sync), methods=["POST"]),
            ]
        )

    async def _livez(self, _: Request) -> Response:
        alive = judge(self._rounds, self._clock).schedule == "ok"
        return JSONResponse({"alive": alive}, 200 if alive else 503)

    async def _readyz(self, _: Request) -> Response:
        health = judge(self._rounds, self._clock)
        said = {"ready": health.ready, "state": health.state, "schedule": health.schedule}
        return JSONResponse(said, 200 if health.ready else 503)

    async def _show_metrics(self, _: Request) -> Response:
        return Response(self._metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _sync(self, request: Request) -> Response:
        sites = await self._sites_asked_for(request)
        if sites is None:
            return _refusal(400, "the body is not understood", 'Send nothing, or {"sites": ["name", …]}.')
        try:
            for site in sites:
                self._rounds.must_know(site)
            order = self._orders.place(sites)
        except UsageError as unknown:
            return JSONResponse(self._hidden(error_json(unknown)), 404)
        except TooManyAsks as full:
            return JSONResponse(error_json(full), 429, {"Retry-After": "30"})
        except StateError as away:
            return JSONResponse(self._hidden(error_json(away)), 503, {"Retry-After": "15"})
        url = f"/sync/{order.id}"
        return JSONResponse({"id": order.id, "url": url, "sites": len(order.sites)}, 202, {"Location": url})

    async def _sites_asked_for(self, request: Request) -> list[str] | None:
        """By the path, by the body, or all of them; None for a body that makes no sense."""
        if site := request.path_params.get("site"):
            return [site]
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > BODY_BYTES:
                return None
        if not body:
            return [site.name for site in self._rounds.agent.sites]
        try:
            named = json.loads(body)["sites"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        return named if isinstance(named, list) and named and all(isinstance(name, str) for name in named) else None

    async def _follow(self, request: Request) -> Response:
        """What came from the outcome number `from` on; waits up to `wait` seconds for more."""
        order = self._orders.get(request.path_params["id"])
        if order is None:
            return _refusal(404, "nothing was asked for under this id, or it is long over", "Ask again.")
        start = _number(request, "from")
        await self._until_more(order, start, min(float(_number(request, "wait")), LONGEST_WAIT_SECONDS))
        page = order.page(start)
        state = {"id": order.id, "sites": len(order.sites), "gone": order.gone}
        state["done"] = order.done and start + len(page) >= order.count
        head = json.dumps(state).encode()[:-1]
        return Response(head + b', "finished": [' + b",".join(page) + b"]}", media_type="application/json")

    async def _until_more(self, order: Order, start: int, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while order.count <= start and not order.done:
                    order.more.clear()
                    await order.more.wait()

    def _said(self, outcome: Outcome) -> bytes:
        return self._redactor.hide_in_json(json.dumps(outcome_json(outcome), default=str)).encode()

    def _hidden(self, said: dict[str, Any]) -> dict[str, Any]:
        return {key: self._redactor.hide(value) if isinstance(value, str) else value for key, value in said.items()}

    # --- who may --------------------------------------------------------------------------------

    def _has_token(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._token)

    def _for_whom_may(self, handler: Handler) -> Handler:
        """For bearers of the token."""

        @wraps(handler)
        async def guarded(request: Request) -> Response:
            if not self._has_token(request.headers):
                return _refusal(401, "the token is missing or wrong", "Send it as Authorization: Bearer …",
                                {"WWW-Authenticate": "Bearer"})  # fmt: skip
            return await handler(request)

        return guarded

    def _for_neighbours(self, handler: Handler) -> Handler:
        """For processes of this machine, and for bearers of the token from elsewhere.

        A page in this machine's browser may come from a name that was made to lead here: so without a
        token only an address, or a name of localhost, will do as the Host.
        """
        guarded = self._for_whom_may(handler)

        @wraps(handler)
        async def near(request: Request) -> Response:
            beside = request.client is not None and is_this_machine(request.client.host)
            if beside and is_this_machine(_host_of(request.headers.get("host", ""))):
                return await handler(request)
            return await guarded(request)

        return near


def _refusal(status: int, message: str, hint: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"message": message, "hint": hint}, status, headers)


def _number(request: Request, name: str) -> int:
    given = request.query_params.get(name, "")
    return int(given) if given.isascii() and given.isdigit() and len(given) <= 9 else 0


def _host_of(header: str) -> str:
    return header[1:].partition("]")[0] if header.startswith("[") else header.partition(":")[0]
