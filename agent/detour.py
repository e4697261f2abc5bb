"""Connecting somewhere else than a site's name says: for a WordPress in the same container network."""

from dataclasses import dataclass

import httpx


@dataclass(frozen=True, slots=True)
class Detour:
    """Requests to the host of `public`, by http or https, are sent to `internal` under the public name."""

    public: str
    internal: str

    def around(self, request: httpx.Request) -> httpx.Request:
        """The request as it goes out; redirects and logins go by the one that came.

        The site sees its own Host, and by X-Forwarded-Proto the scheme that its visitors use; where
        the internal address speaks TLS, its certificate is checked for the public name.
        """
        here, public, inside = request.url, httpx.URL(self.public), httpx.URL(self.internal)
        if (here.host, here.port) != (public.host, public.port):
            return request
        headers = request.headers.copy()  # with the public Host
        headers["X-Forwarded-Proto"] = here.scheme
        return httpx.Request(
            request.method,
            here.copy_with(scheme=inside.scheme, host=inside.host, port=inside.port),
            headers=headers,
            content=request.content,
            extensions={**request.extensions, "sni_hostname": here.raw_host.decode("ascii")},
        )
