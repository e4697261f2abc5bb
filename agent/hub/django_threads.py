"""Django behind ASGI: each request whole on one of a few threads that stay.

Django's own ASGI door sends every middleware of a request through a thread of its own and gives each request
another connection to the database: 7 of the 17 ms of CPU that a push took.
"""

import asyncio
import io
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from django.core import signals
from django.core.handlers.asgi import ASGIRequest, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.http import HttpResponse, HttpResponseBadRequest
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix

Message = MutableMapping[str, Any]

THREADS: Final = 8
"""Requests in hand at once, and connections to the database at most; the others wait their turn."""


class DjangoInThreads(BaseHandler):
    """The Django application as an ASGI callable. Expects the body as one message."""

    def __init__(self) -> None:
        super().__init__()
        self.load_middleware()
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="hub")

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        body = (await receive()).get("body", b"")
        loop = asyncio.get_running_loop()
        start, content = await loop.run_in_executor(self.threads, self._respond, scope, body)
        await send(start)
        await send({"type": "http.response.body", "body": content})

    def _respond(self, scope: MutableMapping[str, Any], body: bytes) -> tuple[Message, bytes]:
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=type(self), scope=scope)
        try:
            response: HttpResponseBase = self.get_response(ASGIRequest(scope, io.BytesIO(body)))
        except UnicodeDecodeError:  # a query that is no UTF-8 fails before there is a request to answer
            response = HttpResponseBadRequest()
        content = response.content if isinstance(response, HttpResponse) else b"".join(response)  # type: ignore[call-overload]  # else it streams
        response.close()  # tells request_finished, which gives the connection back
        return {"type": "http.response.start", "status": response.status_code, "headers": _headers(response)}, content


def _headers(response: HttpResponseBase) -> list[tuple[bytes, bytes]]:
    headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in response.items()]
    cookies = [cookie.output(header="").strip().encode("ascii") for cookie in response.cookies.values()]
    return [*headers, *((b"Set-Cookie", cookie) for cookie in cookies)]
