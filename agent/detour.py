"""Connecting somewhere else than a site's name says: for a WordPress in the same container network."""

import ssl
from dataclasses import dataclass

import httpx


@dataclass(frozen=True, slots=True)
class Detour:
    """Requests to the host of `public`, by http or https, are sent to `internal` under the public name."""

    public: str
    internal: str


class DetourTransport(httpx.AsyncHTTPTransport):
    """Below redirects and logins, which both go by the public address.

    The site sees its own Host, and by X-Forwarded-Proto the scheme that its visitors use; where
    the internal address speaks TLS, its certificate is checked for the public name.
    """

    def __init__(self, detour: Detour, *, verify: ssl.SSLContext, limits: httpx.Limits) -> None:
        super().__init__(verify=verify, limits=limits, trust_env=False)
        self._public = httpx.URL(detour.public)
        self._internal = httpx.URL(detour.internal)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        here = request.url
        if (here.host, here.port) != (self._public.host, self._public.port):
            return await super().handle_async_request(request)
        inside = self._internal
        headers = request.headers.copy()  # with the public Host
        headers["X-Forwarded-Proto"] = here.scheme
        sent = httpx.Request(
            request.method,
            here.copy_with(scheme=inside.scheme, host=inside.host, port=inside.port),
            headers=headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": here.raw_host.decode("ascii")},
        )
        return await super().handle_async_request(sent)
