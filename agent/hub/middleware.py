"""What stands in front of Django: limits on the body, headers on every answer, probes, static files.

Here and not in Django's own middleware, because Django answers some requests (a refused Host, a
body too large, a bug in a middleware) before or after its middleware has run.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from time import perf_counter
from typing import Any, Final, cast

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from agent.backend.contract import BODY_LIMIT_BYTES
from agent.hub.metrics import observe_request
from agent.hub.problems import MEDIA_TYPE, problem
from agent.hub.static_files import admin_file, static_files

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

FORM_LIMIT_BYTES: Final = 64 * 1024
"""Outside the API only the sign-in form is posted."""
DRAIN_LIMIT_BYTES: Final = 4 * BODY_LIMIT_BYTES
"""Read and dropped after the limit: a client that is cut off while sending never sees its 413."""
BODY_DEADLINE_SECONDS: Final = 30.0
FOREVER: Final = b"public, max-age=31536000, immutable"
A_DAY: Final = b"public, max-age=86400"
POLICY: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'"
)
SECURITY_HEADERS: Final = (
    (b"content-security-policy", POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class BodyRefused(Exception):
    """The body is too large (413) or too slow (408)."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


def build_application() -> Application:
    """The whole hub as one ASGI callable. Django must be configured."""
    from django.conf import settings

    from agent.hub.django_threads import DjangoInThreads

    inner = BehindProxies(DjangoInThreads(), trusted=settings.WPSA_HUB_TRUSTED_PROXIES, https=settings.WPSA_HUB_HTTPS)
    return WithSecurityHeaders(WithProbes(WithStaticFiles(WithMeasure(WithBodyLimit(inner)))))


class WithSecurityHeaders:
    """Adds the security headers to every answer; also the door, which lets only HTTP in."""

    def __init__(self, inner: Application) -> None:
        self.inner = inner

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await self.inner(scope, receive, lambda message: send(_secured(message)))
            case "lifespan":
                await _acknowledge_lifespan(receive, send)
            case "websocket":
                await send({"type": "websocket.close", "code": 1000})


class WithProbes:
    """GET /healthz and /readyz are answered for any Host: a probe addresses the container, not the site."""

    def __init__(self, inner: Application) -> None:
        self.inner = inner

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["path"] in ("/healthz", "/healthz/") and scope["method"] in ("GET", "HEAD"):
            await _answer(scope, send, 200, b"text/plain; charset=utf-8", b"ok")
        elif scope["path"] == "/readyz":
            await self.inner({**scope, "headers": [(b"host", b"localhost")]}, receive, send)
        else:
            await self.inner(scope, receive, send)


class WithStaticFiles:
    def __init__(self, inner: Application) -> None:
        self.inner = inner
        self.by_path = {file.path: file for file in static_files().values()}

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        file = self.by_path.get(scope["path"]) or admin_file(scope["path"])
        if file is None or scope["method"] not in ("GET", "HEAD"):
            await self.inner(scope, receive, send)
            return
        more = [(b"cache-control", FOREVER if scope["path"] in self.by_path else A_DAY)]
        await _answer(scope, send, 200, file.media_type.encode(), file.body, more)


class WithMeasure:
    """Tells the metrics how long each answer took, by door and class of status."""

    def __init__(self, inner: Application) -> None:
        self.inner = inner

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        began, status = perf_counter(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.inner(scope, receive, noting)
        finally:
            observe_request(scope["path"], status, perf_counter() - began)


class BehindProxies:
    """Who asks, and over what: as the connection says, or as a proxy in front says if it is one of ours.

    Where the hub is said to be served over TLS every request came over it: Django compares a form's Origin
    with the scheme, and says HSTS only there.
    """

    def __init__(self, inner: Application, *, trusted: Sequence[str], https: bool) -> None:
        self.inner, self.https = inner, https
        # The types of ASGI are written down twice, and differ in name alone.
        proxied: Any = ProxyHeadersMiddleware(cast(Any, self._inner), trusted_hosts=list(trusted))
        self.outer: Application = proxied if trusted else self._inner

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        await self.outer(scope, receive, send)

    async def _inner(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        await self.inner({**scope, "scheme": "https"} if self.https else scope, receive, send)


class WithBodyLimit:
    """Reads the body before Django does, and hands it on with its true length.

    Django trusts Content-Length: it reads a chunked body, which has none, as empty, and one that
    is too large to its end before it refuses it.
    """

    def __init__(self, inner: Application) -> None:
        self.inner = inner

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        limit = BODY_LIMIT_BYTES if scope["path"].startswith("/api/") else FORM_LIMIT_BYTES
        try:
            async with asyncio.timeout(BODY_DEADLINE_SECONDS):
                body = await _read_body(receive, limit)
        except TimeoutError:
            await _refuse(scope, send, BodyRefused(408, "The body did not arrive in time."))
            return
        except BodyRefused as refused:
            await _refuse(scope, send, refused)
            return
        if body is not None:
            await self.inner(_with_length(scope, len(body)), _replay(body, receive), send)


async def _read_body(receive: Receive, limit: int) -> bytes | None:
    """The whole body, or None when the client went away. Raises BodyRefused (413)."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        size += len(part)
        if size <= limit:
            parts.append(part)
        else:
            parts.clear()
        if not message.get("more_body", False) or size > DRAIN_LIMIT_BYTES:
            break
    if size > limit:
        raise BodyRefused(413, f"The body is larger than {limit} bytes.")
    return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return pending.pop() if pending else await receive()

    return next_message


def _with_length(scope: MutableMapping[str, Any], length: int) -> MutableMapping[str, Any]:
    framing = (b"content-length", b"transfer-encoding")
    headers = [(name, value) for name, value in scope["headers"] if name.lower() not in framing]
    return {**scope, "headers": [*headers, (b"content-length", str(length).encode())]}


def _secured(message: Message) -> Message:
    if message["type"] != "http.response.start":
        return message
    headers = [(name.lower(), value) for name, value in message.get("headers", ())]
    ours = {name for name, _ in SECURITY_HEADERS} | {b"server", b"referrer-policy"}
    kept = [(name, value) for name, value in headers if name not in ours]
    if not any(name == b"cache-control" for name, _ in kept):
        kept.append((b"cache-control", b"no-store"))
    return {**message, "headers": [*kept, *SECURITY_HEADERS, (b"referrer-policy", _referrer_policy(headers))]}


def _referrer_policy(headers: list[tuple[bytes, bytes]]) -> bytes:
    """Nothing is ever told to other sites.

    Under no-referrer browsers send `Origin: null` with a form, which Django's CSRF check refuses:
    pages, which hold forms, say same-origin.
    """
    media_type = dict(headers).get(b"content-type", b"")
    return b"same-origin" if media_type.startswith(b"text/html") else b"no-referrer"


async def _refuse(scope: MutableMapping[str, Any], send: Send, refused: BodyRefused) -> None:
    body = json.dumps(problem(refused.status, refused.detail)).encode()
    # What is left of the body must not be read as the next request.
    await _answer(scope, send, refused.status, MEDIA_TYPE.encode(), body, [(b"connection", b"close")])


async def _answer(
    scope: MutableMapping[str, Any], send: Send, status: int, media_type: bytes, body: bytes, more: Headers = ()
) -> None:
    headers = [(b"content-type", media_type), (b"content-length", str(len(body)).encode()), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


async def _acknowledge_lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
