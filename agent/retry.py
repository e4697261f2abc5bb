"""How often and how long we try again: numbers with their reasons, no waiting."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Attempts, and a backoff with full jitter: each wait is drawn from [0, ceiling]."""

    attempts: int
    base_seconds: float
    cap_seconds: float

    def ceiling_seconds(self, attempt: int) -> float:
        """The longest wait after that many failed attempts (1 = after the first)."""
        # The exponent is bounded so that attempt 5,000 of a long outage stays a number.
        return min(self.cap_seconds, self.base_seconds * 2.0 ** min(attempt - 1, 32))

    def wait_seconds(
        self, attempt: int, *, random: Callable[[], float], retry_after_seconds: float | None = None
    ) -> float:
        """How long to wait now; a wish of the other side lengthens the wait, never shortens it."""
        wait = self.ceiling_seconds(attempt) * random()
        return max(wait, retry_after_seconds or 0.0)


# Within a run: somebody waits for the answer, and a third try rarely differs from the second.
REQUEST = RetryPolicy(attempts=3, base_seconds=0.5, cap_seconds=8.0)
# Where one look has to do.
ONCE = RetryPolicy(attempts=1, base_seconds=0.0, cap_seconds=0.0)
# Across runs: for as long as it takes, and never in step with other agents.
DELIVERY = RetryPolicy(attempts=2**31, base_seconds=5.0, cap_seconds=900.0)
# A document that needs a person is tried again by itself once an hour, with one request.
HELD_SECONDS = 3600.0
# What is asked too often about its credential locks an account; a site that is not connected yet soon may be.
HELD = RetryPolicy(attempts=2**31, base_seconds=HELD_SECONDS, cap_seconds=HELD_SECONDS)
HELD_BY_CREDENTIAL = RetryPolicy(attempts=2**31, base_seconds=HELD_SECONDS, cap_seconds=86_400.0)
HELD_BY_CONNECTION = RetryPolicy(attempts=2**31, base_seconds=900.0, cap_seconds=86_400.0)

# A worker of a fleet whose database is away: soon back after a restart, and nobody is hurt by a look.
ENGINE = RetryPolicy(attempts=2**31, base_seconds=1.0, cap_seconds=15.0)

LONGEST_RETRY_AFTER_SECONDS = 86_400.0


def parse_retry_after(value: str | None, date: str | None) -> float | None:
    """Seconds from a Retry-After header: a number, or an HTTP date against the answer's own Date.

    Clamped to [1 second, 1 day]; garbage is None, and the backoff decides.
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        seconds = float(value[:18])
    else:
        try:
            then, now = (parsedate_to_datetime(text) for text in (value, date or ""))
            seconds = (then.replace(tzinfo=then.tzinfo or UTC) - now.replace(tzinfo=now.tzinfo or UTC)).total_seconds()
        # Measured: the parser raises OverflowError as well as ValueError.
        except (ValueError, OverflowError, TypeError, IndexError):
            return None
    return min(max(seconds, 1.0), LONGEST_RETRY_AFTER_SECONDS)
