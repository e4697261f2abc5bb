"""Lets respx answer in the place of `agent.net.connections`: for tests of logic, which need no wire."""

from typing import Any, ClassVar

import httpx
import respx.mocks


class MockedPeer(respx.mocks.AbstractRequestMocker):
    name = "agent"
    targets: ClassVar = ["agent.net.connections.Connections"]
    target_methods: ClassVar = ["handle_async_request"]

    @classmethod
    def to_httpx_request(cls, **given: Any) -> httpx.Request:
        request: httpx.Request = given["request"]
        return request

    @classmethod
    async def from_async_httpx_response(cls, httpx_response: httpx.Response, target: Any, **_: Any) -> httpx.Response:
        return httpx_response


respx.mocks.DEFAULT_MOCKER = MockedPeer.name
