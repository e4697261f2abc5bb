"""Memory that was freed goes back to the system.

The C library keeps it in holes that its next requests do not fit into: a kilobyte a day for each site that has bad
days, where all that is in use stays the same (measured over 2,500 days).
"""

import ctypes
from collections.abc import Callable
from functools import cache


def give_back_memory() -> None:
    """A millisecond or two; nothing where the C library knows no such thing."""
    if trim := _trim():
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim
