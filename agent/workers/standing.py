"""How a fleet stands, seen from outside: its sites, and who works on them."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from agent.errors import ConfigError
from agent.kept import address, on_postgresql
from agent.settings import Settings
from agent.state.sites import Census, Sites, WorkerRow
from agent.structure.payload import iso_utc


@dataclass(frozen=True, slots=True)
class FleetStanding:
    """One look at a fleet."""

    census: Census
    workers: tuple[WorkerRow, ...]
    alive_seconds: float
    """So long a worker counts as alive after its last sign."""
    at: datetime

    def as_json(self) -> dict[str, Any]:
        census = asdict(self.census) | {"oldest_due_at": _exact(self.census.oldest_due_at)}
        return census | {"workers": [self._worker_json(worker) for worker in self.workers]}

    def _worker_json(self, worker: WorkerRow) -> dict[str, Any]:
        return {
            "name": worker.name,
            "alive": worker.silent_seconds < 0,
            "started_at": _exact(worker.started_at),
            "last_sign_seconds_ago": round(max(0.0, worker.silent_seconds + self.alive_seconds), 1),
            "sites": worker.sites,
        }

    def site_rows(self) -> Iterator[tuple[str, str, str]]:
        """(what, how many, what it means) for people."""
        census = self.census
        late = f"; {census.late:,} late, the oldest since {_exact(census.oldest_due_at)}" if census.late else ""
        yield "sites", f"{census.sites:,}", "known to this fleet"
        yield "up to date", f"{census.up_to_date:,}", "delivered, and nothing is due"
        yield "due", f"{census.due:,}", f"their moment has come{late}"
        yield "running", f"{census.running:,}", "in the hands of a worker"
        yield "stalled", f"{census.stalled:,}", "in the hands of a worker that is gone; another takes them up"
        yield "asked for", f"{census.asked:,}", "somebody wants them now"
        yield "failing", f"{census.failing:,}", "their last run delivered nothing"
        yield "never", f"{census.never:,}", "nothing was ever delivered"

    def worker_rows(self) -> Iterator[tuple[str, str, str, str]]:
        for row in self.as_json()["workers"]:
            state = "alive" if row["alive"] else "gone"
            yield row["name"], state, f"{row['sites']:,}", f"{row['last_sign_seconds_ago']:.0f} s ago"


def fleet_standing(settings: Settings, *, at: datetime) -> FleetStanding:
    """Raises ConfigError where there is no fleet, and StateError."""
    store = shared_state(settings)
    try:
        sites = Sites(store)
        alive_seconds = on_postgresql().ALIVE_SECONDS
        return FleetStanding(sites.census(at=at), tuple(sites.workers()), alive_seconds, at)
    finally:
        store.close()


def shared_state(settings: Settings) -> Any:
    """The fleet's state to look at. Raises ConfigError where there is none, and StateError."""
    store = on_postgresql().read_fleet_store(address(settings, alone="wpsa status"))
    if store is None:
        raise ConfigError(
            "there is no fleet in this database yet",
            reason="config",
            hint="Begin one by `wpsa fleet import FILE`, or by `wpsa fleet worker`.",
        )
    return store


def _exact(moment: datetime | None) -> str | None:
    return iso_utc(moment.astimezone(UTC)) if moment else None
