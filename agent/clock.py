"""Time and chance, as one value that is handed down: tests hand down another."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    now: Callable[[], datetime] = _utc_now
    """The wall clock, aware UTC: for what people and calendars see."""
    monotonic: Callable[[], float] = time.monotonic
    """Seconds that never jump: for durations."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = random.random
    """Uniform in [0, 1): spreads retries; nothing secret hangs on it."""


SYSTEM = Clock()
