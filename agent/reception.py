"""Visitors are let in while descriptors last, and one by one on a descriptor in reserve when they do not.

asyncio's own way in then asks two thousand times a second, and logs each refusal with a traceback.
"""

import asyncio
import os
import resource
import socket
from collections.abc import Callable

import structlog

from agent.faults import OUT_OF_DESCRIPTORS, RAISE_LIMIT
from agent.telemetry import events

VISITORS_MOST = 200
VISITORS_SHARE = 5
"""One listener's visitors take a fifth of the descriptors at most: the sites need them more."""
PAUSE_SECONDS = 0.25
TOLD_AGAIN_SECONDS = 300.0

log = structlog.stdlib.get_logger("agent")


def visitors_most() -> int:
    """How many may be there at once, by the limit of open files."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return VISITORS_MOST if limit == resource.RLIM_INFINITY else max(1, min(VISITORS_MOST, limit // VISITORS_SHARE))


async def let_in(listener: socket.socket, protocol: Callable[[], asyncio.Protocol]) -> None:
    """Give each visitor a protocol of his own, until cancelled."""
    door = _Door(listener)
    try:
        while True:
            visitor = await door.next_visitor()
            await asyncio.get_running_loop().connect_accepted_socket(protocol, visitor)
    finally:
        door.give_reserve()


class _Door:
    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._reserve: int | None = None
        self._told_at: float | None = None

    async def next_visitor(self) -> socket.socket:
        while True:
            await self._take_reserve()
            for _ in range(2):  # beside the reserve, then in its place
                try:
                    visitor, _ = await asyncio.get_running_loop().sock_accept(self._listener)
                except OSError as error:
                    self._tell(error)
                    self.give_reserve()
                else:
                    return visitor
            # Whoever stands outside would make the loop turn round and round.
            await asyncio.sleep(PAUSE_SECONDS)

    async def _take_reserve(self) -> None:
        while self._reserve is None:
            try:
                self._reserve = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                self._tell(error)
                await asyncio.sleep(PAUSE_SECONDS)

    def give_reserve(self) -> None:
        reserve, self._reserve = self._reserve, None
        if reserve is not None:
            os.close(reserve)

    def _tell(self, error: OSError) -> None:
        now = asyncio.get_running_loop().time()
        is_told = self._told_at is not None and now < self._told_at + TOLD_AGAIN_SECONDS
        if is_told or error.errno not in OUT_OF_DESCRIPTORS:
            return
        self._told_at = now
        host, port = self._listener.getsockname()[:2]
        log.warning(
            events.DESCRIPTORS_SCARCE,
            message="visitors are let in one by one, for no more files can be opened",
            reason="fd_pressure",
            listen=f"{host}:{port}",
            hint=RAISE_LIMIT,
        )
