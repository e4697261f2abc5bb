"""Sites that share a server, under one name or under many: a few at once, while the others wait in nobody's way."""

from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

SITES_PER_SERVER = 4
"""At once: a customer's many sites live on one server."""

Locate = Callable[[str], Awaitable[str | None]]
"""The server that a host leads to, the same for all its names; None where nothing but the name is known."""
Waiting = TypeVar("Waiting")


async def nowhere(_: str) -> str | None:
    return None


class Crowds(Generic[Waiting]):
    """How many sites are in hand at each server, and who waits for room there."""

    def __init__(self, locate: Locate) -> None:
        self._locate = locate
        self._servers: dict[str, str] = {}
        """Where each host led the last time."""
        self._in_hand: Counter[str] = Counter()
        self._outside: defaultdict[str, deque[Waiting]] = defaultdict(deque)

    def server_of(self, host: str) -> str:
        """As far as it is known: the host itself, until somebody has looked."""
        return self._servers.get(host, host)

    async def look_up(self, host: str) -> str:
        """Where the host leads now."""
        server = self._servers[host] = await self._locate(host) or host
        return server

    def is_full(self, server: str) -> bool:
        return self._in_hand[server] >= SITES_PER_SERVER

    def enter(self, server: str) -> None:
        self._in_hand[server] += 1

    def leave(self, server: str) -> None:
        self._in_hand[server] -= 1
        if not self._in_hand[server]:
            del self._in_hand[server]

    def wait(self, server: str, waiting: Waiting, *, first: bool) -> None:
        outside = self._outside[server]
        (outside.appendleft if first else outside.append)(waiting)

    def next_at(self, server: str) -> Waiting | None:
        """Who is the first of those that wait for room there, and waits no longer."""
        outside = self._outside.get(server)
        if not outside:
            return None
        first = outside.popleft()
        if not outside:
            del self._outside[server]
        return first

    def forget_waiting(self) -> None:
        self._outside.clear()
