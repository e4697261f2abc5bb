"""A backend made of routes, and connections to it."""

from collections.abc import AsyncIterator, Iterator

import pytest
import respx
from backend_builders import backend_transport
from fakes import ManualClock

from agent.transport import Transport


@pytest.fixture
async def http(clock: ManualClock) -> AsyncIterator[Transport]:
    async with backend_transport(clock) as opened:
        yield opened


@pytest.fixture
def routes() -> Iterator[respx.MockRouter]:
    """The backend; a request that no test spoke of fails."""
    with respx.mock(assert_all_called=False) as router:
        yield router
