"""What the daemon counts, fed by observers of outcomes and requests; a registry of our own, closed sets of labels."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from agent import __version__
from agent.exchange import Exchange
from agent.ops.fleet_series import FleetSeries
from agent.outcome import Outcome
from agent.rounds import Rounds
from agent.schedule import STALE_AFTER
from agent.state.history import History
from agent.state.records import Result

SITE_SERIES_MOST = 500
"""Sites that have a time series each; of larger fleets only the sums are shown."""
SECONDS = (0.5, 1, 2, 5, 10, 30, 60, 120)


class Metrics:
    """Counts since the start, and how it stands now; `learn` brings what the state remembers of earlier days.

    shared   whether others deliver the same sites: how these stand is then the fleet's to say, see `FleetSeries`
    """

    def __init__(self, *, now: Callable[[], datetime], shared: bool = False) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no types
        self._now = now
        self._sites: frozenset[str] = frozenset()
        self._delivered_at: dict[str, float] = {}
        self._owed_at: dict[str, float] = {}
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._runs = Counter("wpsa_runs", "Runs that ended, by their result.", ["result"], registry=registry)
        self._seconds = Histogram("wpsa_run_duration_seconds", "How long runs took.", registry=registry, buckets=SECONDS)
        self._requests = Counter(
            "wpsa_http_requests",
            "Requests to sites and to the backend; status_class is none where no answer came.",
            ["peer", "status_class"],
            registry=registry,
        )
        self._retries = Counter(
            "wpsa_retries",
            "Requests that were sent once more within a run; error is why: http_503, or how the connection failed.",
            ["peer", "error"],
            registry=registry,
        )
        self._success = Gauge(
            "wpsa_site_last_success_timestamp_seconds",
            f"When the backend last acknowledged a site's structure; of up to {SITE_SERIES_MOST} sites.",
            ["site"],
            registry=registry,
        )
        self._reloaded = Gauge(
            "wpsa_config_last_reload_successful", "0 while a changed configuration is refused.", registry=registry
        )
        self._reloaded.set(1)
        for result in Result:
            self._runs.labels(result)
        build = Gauge("wpsa_build_info", "The version that runs.", ["version"], registry=registry)
        build.labels(__version__).set(1)
        if shared:
            return
        self._show("wpsa_sites", "Configured sites.", lambda: len(self._sites))
        self._show("wpsa_sites_stale", "Sites without a success for 26 hours.", self._stale)
        self._show("wpsa_outbox_pending", "Documents that wait for the backend.", lambda: len(self._owed_at))
        self._show(
            "wpsa_outbox_oldest_pending_age_seconds", "Age of the oldest of them; 0 without any.", self._oldest_age_seconds
        )

    @asynccontextmanager
    async def fed_by(self, rounds: Rounds, *, fleet: FleetSeries | None = None) -> AsyncIterator[None]:
        """Within the block, what is in hand; and by and by what the state remembers, or how the fleet stands."""
        self._show("wpsa_sites_in_hand", "Sites that are read or pushed at the moment.", lambda: rounds.in_hand)
        self._show("wpsa_sites_waiting", "Sites that wait for a free place.", lambda: rounds.waiting)
        if fleet:
            self.registry.register(fleet)
            yield
            return
        self.watch(site.name for site in rounds.agent.sites)
        learning = asyncio.create_task(self.learn(rounds.agent.ledger), name="metrics")
        try:
            yield
        finally:
            learning.cancel()
            await asyncio.wait({learning})

    def watch(self, sites: Iterable[str]) -> None:
        """From now on these are the sites."""
        self._sites = frozenset(sites)
        for known in (self._delivered_at, self._owed_at):
            for site in known.keys() - self._sites:
                del known[site]
        self._success.clear()
        for site, at in self._delivered_at.items():
            self._show_success(site, at)

    async def learn(self, history: History) -> None:
        """What the state remembers of the sites; turn by turn, for of ten thousand it takes seconds."""
        for site in sorted(self._sites):
            if site not in self._delivered_at and (at := history.last_delivered_at(site)):
                self._delivered_at[site] = at.timestamp()
                self._show_success(site, at.timestamp())
            await asyncio.sleep(0)
        for site in set(history.owing_sites()) & self._sites:
            if owed := history.owed_to(site):
                self._owed_at.setdefault(site, owed.owed_at.timestamp())
            await asyncio.sleep(0)

    def outcome(self, outcome: Outcome) -> None:
        self._runs.labels(outcome.result).inc()
        self._seconds.observe(outcome.duration_seconds)
        at, site = self._now().timestamp(), outcome.site
        if site not in self._sites:
            return  # taken out of the settings meanwhile, or one of a fleet, of which each worker does a share
        match outcome.result:
            case Result.DELIVERED:
                self._owed_at.pop(site, None)
                self._delivered_at[site] = at
                self._show_success(site, at)
            case Result.PENDING | Result.HELD if outcome.structure or site not in self._owed_at:
                self._owed_at[site] = at

    def exchange(self, exchange: Exchange) -> None:
        status_class = f"{exchange.status // 100}xx" if exchange.status else "none"
        self._requests.labels(exchange.peer, status_class).inc()
        if exchange.retry_of:
            self._retries.labels(exchange.peer, exchange.retry_of).inc()

    def reloaded(self, *, successful: bool) -> None:
        self._reloaded.set(successful)

    def exposition(self) -> bytes:
        """All of it, in Prometheus's text format."""
        return generate_latest(self.registry)

    def _show(self, name: str, help_text: str, value: Callable[[], Any]) -> None:
        Gauge(name, help_text, registry=self.registry).set_function(value)

    def _show_success(self, site: str, at: float) -> None:
        if len(self._sites) <= SITE_SERIES_MOST and site in self._sites:
            self._success.labels(site).set(at)

    def _stale(self) -> int:
        limit = (self._now() - STALE_AFTER).timestamp()
        return sum(self._delivered_at.get(site, 0.0) < limit for site in self._sites)

    def _oldest_age_seconds(self) -> float:
        return max(0.0, self._now().timestamp() - min(self._owed_at.values())) if self._owed_at else 0.0
