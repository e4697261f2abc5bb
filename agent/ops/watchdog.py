"""An eye on the event loop, from outside of it: a loop that stands still can tell nobody."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from traceback import format_stack

import structlog

from agent.clock import Clock
from agent.command import INTERNAL_ERROR, leave
from agent.telemetry import events

BEAT_SECONDS = 1.0
SLOW_SECONDS = 10.0
STUCK_SECONDS = 120.0

log = structlog.stdlib.get_logger("agent")


@asynccontextmanager
async def watched(
    clock: Clock,
    *,
    beat_seconds: float = BEAT_SECONDS,
    slow_seconds: float = SLOW_SECONDS,
    stuck_seconds: float = STUCK_SECONDS,
    leave: Callable[[int], None] = leave,
) -> AsyncIterator[None]:
    """Within the block a loop that stands still is logged, and after two minutes ends the process with 70.

    Whoever started it starts it again, and the state loses nothing by it.
    """
    watchdog = _Watchdog(clock, beat_seconds, slow_seconds, stuck_seconds, leave)
    beating = asyncio.create_task(watchdog.beat(), name="watchdog")
    watchdog.start()
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.wait({beating})
        watchdog.end()


class _Watchdog:
    def __init__(
        self, clock: Clock, beat_seconds: float, slow_seconds: float, stuck_seconds: float, leave: Callable[[int], None]
    ) -> None:
        self._clock, self._leave = clock, leave
        self._beat_seconds, self._slow_seconds, self._stuck_seconds = beat_seconds, slow_seconds, stuck_seconds
        self._beat_at = clock.monotonic()
        self._over = threading.Event()
        self._loop_thread = threading.get_ident()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    async def beat(self) -> None:
        while True:
            self._beat_at = self._clock.monotonic()
            await asyncio.sleep(self._beat_seconds)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        told = False
        while not self._over.wait(self._beat_seconds):
            late = self._clock.monotonic() - self._beat_at
            if late > self._stuck_seconds:
                self._tell(late, "the event loop is stuck, so the agent leaves")
                self._leave(INTERNAL_ERROR)
                return
            if late > self._slow_seconds and not told:
                self._tell(late, "the event loop stands still")
            told = late > self._slow_seconds

    def _tell(self, late: float, message: str) -> None:
        frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001 - the one way to see another thread
        stack = "".join(format_stack(frame)) if frame else ""
        log.error(events.LOOP_STALLED, message=message, late_seconds=round(late, 1), stack=stack)
