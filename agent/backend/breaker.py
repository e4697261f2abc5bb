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


class Breaker:
    """Closed while the backend answers; open after failures in a row, until one request gets through again.

    A wish for fewer requests opens it at once: it is the account's, not the site's.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failed_sites: list[str] = []
        self._cause: BackendError | None = None
        self._openings = 0
        self._again_at = 0.0
        self._looking = False
        self._looked_in_vain: set[str] = set()

    def wait_seconds(self, site: str) -> float:
        """How long this site has to wait before it may ask; 0 for not at all."""
        if self._cause is None:
            return 0.0
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
            self._answered()  # it refuses, so it is there
            raise
        else:
            self._answered()
        finally:
            if looks:
                self._looking = False

    def _answered(self) -> None:
        self._failed_sites.clear()
        self._looked_in_vain.clear()
        self._cause, self._openings = None, 0

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
        assert self._cause is not None, "only an open one refuses"
        return BackendPaused(
            f"not asked, as another try has just failed: {self._cause.message}",
            reason=self._cause.reason,
            hint="One try at a time looks whether it is back; then everything that is owed is sent.",
            retry_after_seconds=wait_seconds,
        )
