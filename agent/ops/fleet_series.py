"""How a fleet stands, as time series: each worker tells the same of all sites, and asks the state for it now and then."""

from collections.abc import Callable, Iterator
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agent.clock import Clock
from agent.errors import StateError
from agent.state.sites import Sites

FRESH_SECONDS = 15.0
"""So long what was seen is shown again, however many ask."""
SITES = ("up_to_date", "due", "running", "late", "stalled", "asked", "failing", "never")
"""Of the census; a site is counted in each that fits it."""


class FleetSeries(Collector):
    """Counts by state, never by site or worker: as many series for a hundred thousand sites as for one.

    away   whether the state is known to be out of reach; then what was seen last stands
    """

    def __init__(self, sites: Sites, *, away: Callable[[], bool], clock: Clock) -> None:
        self._sites, self._away, self._clock = sites, away, clock
        self._looked_at: float | None = None
        self._seen_at: datetime | None = None
        self._by_state: dict[str, int] = {}
        self._alive = self._gone = 0
        self._jobs = 0

    def count_job(self) -> None:
        self._jobs += 1

    def collect(self) -> Iterator[Metric]:
        self._look_again()
        yield CounterMetricFamily("wpsa_worker_jobs", "Sites that the engine brought to this worker.", value=self._jobs)
        if self._seen_at is None:
            return
        sites = GaugeMetricFamily("wpsa_fleet_sites", "Sites of the whole fleet by their state.", labels=["state"])
        for state, number in self._by_state.items():
            sites.add_metric([state], number)
        workers = GaugeMetricFamily("wpsa_fleet_workers", "Workers of the whole fleet.", labels=["state"])
        workers.add_metric(["alive"], self._alive)
        workers.add_metric(["gone"], self._gone)
        seen = "When this worker last saw how the fleet stands."
        yield sites
        yield workers
        yield GaugeMetricFamily("wpsa_fleet_seen_timestamp_seconds", seen, value=self._seen_at.timestamp())

    def _look_again(self) -> None:
        now = self._clock.monotonic()
        if self._away() or (self._looked_at is not None and now - self._looked_at < FRESH_SECONDS):
            return
        self._looked_at = now
        at = self._clock.now()
        try:
            census, workers = self._sites.census(at=at), self._sites.workers()
        except StateError:
            return  # the probes tell of it; what was seen last stands
        self._seen_at = at
        self._by_state = {state: getattr(census, state) for state in SITES}
        self._gone = sum(worker.silent_seconds >= 0 for worker in workers)
        self._alive = len(workers) - self._gone
