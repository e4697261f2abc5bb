"""Somebody who asks the endpoint, with and without the token."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from agent.ops.endpoint import Endpoint
from agent.web import serve

TOKEN = "token-CANARY-of-the-endpoint"
SECRET = "s3cret-CANARY-of-a-backend"


@dataclass
class Visitor:
    """Asks over a real socket."""

    url: str
    http: httpx.AsyncClient

    async def ask(self, method: str, path: str, *, token: str | None = TOKEN, **more: Any) -> httpx.Response:
        headers = more.pop("headers", {}) | ({"Authorization": f"Bearer {token}"} if token else {})
        return await self.http.request(method, self.url + path, headers=headers, **more)


@asynccontextmanager
async def visiting(endpoint: Endpoint) -> AsyncIterator[Visitor]:
    async with (
        serve(endpoint.application(), listen="127.0.0.1:0", option="X", stop_seconds=0.1) as url,
        httpx.AsyncClient(trust_env=False, timeout=30) as http,
    ):
        yield Visitor(url, http)
