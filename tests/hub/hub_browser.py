"""A client of the whole ASGI application, without a socket."""

import asyncio
from typing import Any

import httpx
from hub_builders import Tenant


class Browser:
    """Speaks to the whole ASGI application, cookies kept, without a socket."""

    def __init__(self, application: Any) -> None:
        self.application = application
        self.cookies = httpx.Cookies()

    def request(
        self, method: str, path: str, *, bearer: str | None = None, address: str = "127.0.0.1", **options: Any
    ) -> httpx.Response:
        headers = dict(options.pop("headers", {}))
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.application, client=(address, 5_000))
            async with httpx.AsyncClient(
                transport=transport, base_url="http://localhost", cookies=self.cookies
            ) as client:
                response = await client.request(method, path, headers=headers, **options)
                self.cookies = client.cookies
                return response

        return asyncio.run(send())

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)


def sign_in(browser: Browser, tenant: Tenant, **changes: str) -> Any:
    browser.get("/sign-in/")
    form = {"username": tenant.email, "password": tenant.password, **changes}
    form.setdefault("csrfmiddlewaretoken", browser.cookies["wpsa_csrf"])
    return browser.post("/sign-in/", data=form, address=f"10.0.2.{tenant.user.pk % 250}")
