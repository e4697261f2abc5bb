"""One look for all sites: while the backend is down, or asks for a pause, nobody else asks it."""

from collections.abc import Iterator
from contextlib import contextmanager

from agent.clock import Clock
from agent.errors import BackendError, BackendPaused, BackendThrottled, BackendUnreachable
from agent.retry import DELIVERY

OPENS_AFTER = 5
"""Failures in a row, of more than one site: a single site that always fails is no outage."""
LOOK_SECONDS = 15.0
"""How long one look may take before others come back to hear how it ended."""
STEP_BACK_SECONDS = 30.0
"""By which those who have looked in vain let others go first: what fails for one site may be that site's."""
AT_ONCE = 16
"""So many may come together once it is back; of more, one comes after another."""
TURN_SECONDS, DRAIN_SECONDS = 0.25, 1_200.0
"""Between two of them, and in which even the longest line has passed."""


class Breaker:
    """Closed while the backend answers; open after failures in a row, until one request gets through again.

    A wish for fewer requests opens it at once: it is the account's, not the site's. Those whom it has held back
    come one after another when it closes: what has just come back is not overrun.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failed_sites: list[str] = []
        self._cause: BackendError | None = None
        self._openings = 0
        self._again_at = 0.0
        self._looking = False
        self._looked_in_vain: set[str] = set()
        self._held_back: dict[str, None] = {}
        """Sites that were told to wait, in the order in which they came."""
        self._turns: dict[str, float] = {}
        """When each of them may ask, once it is back."""

    def wait_seconds(self, site: str) -> float:
        """How long this site has to wait before it may ask; 0 for not at all."""
        if self._cause is None:
            return max(self._turns.get(site, 0.0) - self._clock.monotonic(), 0.0)
        self._held_back.setdefault(site)
        wait = self._again_at - self._clock.monotonic()
        if self._looking:
            wait = max(wait, LOOK_SECONDS)
        if site in self._looked_in_vain:
            wait += STEP_BACK_SECONDS
        return max(wait, 0.0)

    @contextmanager
    def asking(self, site: str) -> Iterator[bool]:
        """Within the block one request is sent, and what it raises is learned from; says whether it is the one look.

        Raises BackendPaused instead when the site has to wait.
        """
        if wait := self.wait_seconds(site):
            raise self._paused(wait)
        looks = self._looking = self._cause is not None
        try:
            yield looks
        except (BackendUnreachable, BackendThrottled) as error:
            self._failed(site, error, looked=looks)
            raise
        except BackendError:
            self._answered(site)  # it refuses, so it is there
            raise
        else:
            self._answered(site)
        finally:
            if looks:
                self._looking = False

    def _answered(self, site: str) -> None:
        self._held_back.pop(site, None)
        if self._cause:
            self._line_up()
        self._failed_sites.clear()
        self._looked_in_vain.clear()
        self._cause, self._openings = None, 0

    def _line_up(self) -> None:
        line = list(self._held_back) if len(self._held_back) > AT_ONCE else []
        pace = min(TURN_SECONDS, DRAIN_SECONDS / max(len(line), 1))
        first = self._clock.monotonic() + LOOK_SECONDS  # until then those who met the look stay away
        self._turns = {site: first + number * pace for number, site in enumerate(line, start=1)}
        self._held_back.clear()

    def _failed(self, site: str, error: BackendError, *, looked: bool) -> None:
        self._failed_sites = [*self._failed_sites, site][-OPENS_AFTER:]
        outage = len(self._failed_sites) == OPENS_AFTER and len(set(self._failed_sites)) > 1
        if looked:
            self._looked_in_vain.add(site)
        elif self._cause or not (outage or isinstance(error, BackendThrottled)):
            return  # a failure too few, or one that was on its way when it opened
        self._cause = error
        self._openings += 1
        asked = error.retry_after_seconds
        wait = DELIVERY.wait_seconds(self._openings, random=self._clock.random, retry_after_seconds=asked)
        self._again_at = self._clock.monotonic() + wait

    def _paused(self, wait_seconds: float) -> BackendPaused:
        if self._cause is None:
            return BackendPaused(
                "not asked yet, as the backend has just come back and others come first",
                reason="be_recovered",
                hint="It is sent by itself when its turn comes, within minutes.",
                retry_after_seconds=wait_seconds,
            )
        return BackendPaused(
            f"not asked, as another try has just failed: {self._cause.message}",
            reason=self._cause.reason,
            hint="One try at a time looks whether it is back; then everything that is owed is sent.",
            retry_after_seconds=wait_seconds,
        )
