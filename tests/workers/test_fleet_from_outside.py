"""What is seen of a fleet from outside: series, probes, and what becomes of “sync now” at a real hub."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import postgresql
import pytest
from builders import NOW
from fakes import ManualClock
from fleets import Machines, NewFleet, until
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from served_hub import served_hub

from agent.backend.contract import Paths
from agent.ops.fleet_series import FRESH_SECONDS, SITES, FleetSeries
from agent.state.fleet_store import FleetStore, open_fleet_store
from agent.state.sites import Entry, Sites

Series = dict[str, float]


def series_in(exposition: str) -> Series:
    """Each series by its name, with its state where it has one."""
    return {" ".join([sample.name, *sample.labels.values()]): sample.value
            for family in text_string_to_metric_families(exposition) for sample in family.samples}  # fmt: skip


# --- how the fleet stands, as series -------------------------------------------------------------


@dataclass
class Scraped:
    """The series over a real state, asked at moments that the test says."""

    store: FleetStore
    clock: ManualClock
    away: bool = False

    def __post_init__(self) -> None:
        self.sites = Sites(self.store)
        self.series = FleetSeries(self.sites, away=lambda: self.away, clock=self.clock.clock)
        self._registry = CollectorRegistry()
        self._registry.register(self.series)

    @property
    def now(self) -> Series:
        return series_in(generate_latest(self._registry).decode())


@pytest.fixture
def scraped(state_url: str, clock: ManualClock) -> Iterator[Scraped]:
    store = open_fleet_store(state_url, worker="here")
    Sites(store).put([Entry(name, f"{name}.example", None) for name in "abc"], at=NOW)
    yield Scraped(store, clock)
    store.close()


def test_sites_and_workers_are_counted_by_state_and_by_nothing_else(scraped: Scraped, state_url: str) -> None:
    other = open_fleet_store(state_url, worker="there")
    other.take("a")
    scraped.store.take("b")
    scraped.store.rows("UPDATE worker SET alive_until = '2000-01-01' WHERE name = ? RETURNING 1", "there")
    scraped.series.count_job()
    said = scraped.now
    other.close()

    assert [name for name in said if name.startswith("wpsa_fleet_sites")] == [f"wpsa_fleet_sites {state}" for state in SITES]
    assert {state: said[f"wpsa_fleet_sites {state}"] for state in ("due", "running", "stalled", "never")} == {
        "due": 1, "running": 1, "stalled": 1, "never": 3,
    }  # fmt: skip
    assert (said["wpsa_fleet_workers alive"], said["wpsa_fleet_workers gone"]) == (1, 1)
    assert said["wpsa_fleet_seen_timestamp_seconds"] == NOW.timestamp()
    assert said["wpsa_worker_jobs_total"] == 1


def test_the_state_is_asked_again_after_a_while_however_many_ask(scraped: Scraped) -> None:
    before = scraped.now["wpsa_fleet_sites due"]
    scraped.sites.put([Entry("d", "d.example", None)], at=NOW)
    scraped.clock.advance(seconds=FRESH_SECONDS - 1)
    meanwhile = scraped.now["wpsa_fleet_sites due"]
    scraped.clock.advance(seconds=1)

    assert (before, meanwhile, scraped.now["wpsa_fleet_sites due"]) == (3, 3, 4)


def test_without_the_state_what_was_seen_last_stands_with_its_time(scraped: Scraped) -> None:
    before = scraped.now
    scraped.clock.advance(seconds=60)
    scraped.away = True
    scraped.sites.put([Entry("d", "d.example", None)], at=NOW)
    known_to_be_away = scraped.now
    scraped.away = False
    with scraped.store.transaction() as database:
        database.execute("ALTER TABLE site RENAME TO gone")
    found_broken = scraped.now

    assert before["wpsa_fleet_seen_timestamp_seconds"] == NOW.timestamp()
    assert known_to_be_away == found_broken == before


def test_before_the_first_look_nothing_is_said_of_the_fleet(scraped: Scraped) -> None:
    scraped.away = True

    assert scraped.now == {"wpsa_worker_jobs_total": 0}


# --- workers as processes ------------------------------------------------------------------------


@dataclass
class Hub:
    url: str
    api_key: str
    site_id: str

    def ask(self, method: str, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self.api_key}", "Content-Type": "application/json"}
        asked = urllib.request.Request(self.url + path, headers=headers, method=method)
        with urllib.request.urlopen(asked) as answer:
            return json.load(answer)

    @property
    def row(self) -> Any:
        (found,) = self.ask("GET", f"{Paths().integrations}?site={self.site_id}")["results"]
        return found

    def runs(self) -> list[Any]:
        said: list[Any] = self.ask("GET", Paths().runs(self.row["id"]))
        return said


@contextmanager
def a_hub(folder: Path) -> Iterator[Hub]:
    with served_hub(folder) as facts:
        yield Hub(facts["url"], facts["api_key"], facts["site_id"])


OUTSIDE = {"WPSA_OPS_LISTEN": "127.0.0.1:0", "WPSA_BACKEND_POLL_SECONDS": "1"}


def operations(machines: Machines, number: int) -> str:
    """Where this worker answers; waits until it does."""
    file = machines.folder / f"machine-{number}" / "state" / "ops-address"
    until(file.exists, seconds=60, what=f"the endpoint of worker {number}")
    return file.read_text().strip()


def token_of(machines: Machines, number: int) -> str:
    return (machines.folder / f"machine-{number}" / "state" / "ops-token").read_text().strip()


def asked(url: str, *, token: str = "") -> tuple[int, Any]:
    """What a worker says; with a token it is told to do something."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    asking = urllib.request.Request(url, headers=headers, method="POST" if token else "GET")
    try:
        with urllib.request.urlopen(asking) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()


def test_a_worker_is_ready_as_long_as_it_has_its_database(new_fleet: NewFleet, state_url: str) -> None:
    machines = new_fleet(3, **OUTSIDE)
    worker = machines.start_worker()
    url = operations(machines, 0)
    until(lambda: asked(f"{url}/readyz")[0] == 200, seconds=60, what="a worker that is ready")
    until(lambda: machines.world.told()["pushes"] == 3, seconds=60, what="all structures")
    before = series_in(asked(f"{url}/metrics")[1])

    with postgresql.down(state_url):
        until(lambda: asked(f"{url}/readyz")[0] == 503, seconds=60, what="a worker that is not ready")
        said = json.loads(asked(f"{url}/readyz")[1])
        alive = asked(f"{url}/livez")[0]
        turned_away = asked(f"{url}/sync/site-0", token=token_of(machines, 0))[0]
        shown = series_in(asked(f"{url}/metrics")[1])
    until(lambda: asked(f"{url}/readyz")[0] == 200, seconds=60, what="a worker that is ready again")

    assert said == {"ready": False, "state": "state_unreachable", "schedule": "ok"}
    assert (alive, turned_away) == (200, 503)
    assert {name: shown[name] for name in shown if "_fleet_" in name} == {
        name: before[name] for name in before if "_fleet_" in name
    }
    assert (before["wpsa_fleet_workers alive"], before["wpsa_fleet_sites due"]) == (1, 0)
    assert "wpsa_sites" not in shown, "a worker speaks of the fleet, not of a list of its own"
    assert worker.poll() is None
    events = [json.loads(line)["event"] for line in machines.log_of(worker).splitlines()]
    assert [events.count(event) for event in ("state.degraded", "state.recovered")] == [1, 1]


def test_what_is_asked_for_at_the_hub_is_done_by_one_of_the_workers(new_fleet: NewFleet, tmp_path: Path) -> None:
    machines = new_fleet(1, **OUTSIDE)
    with a_hub(tmp_path / "hub") as hub:
        machines.settings |= {"WPSA_BACKEND_URL": hub.url, "WPSA_BACKEND_API_KEY": hub.api_key}
        site = f"url,name,site_id\nhttp://{machines.world.address_of(0)}:{machines.world.port},shop,{hub.site_id}\n"
        machines.wpsa("fleet", "import", "-", "--format", "csv", "--replace", stdin=site)
        for _ in range(2):
            machines.start_worker()
        until(lambda: len(hub.runs()) == 1, seconds=60, what="the first structure")
        hub.ask("POST", Paths().sync_request(hub.row["id"]))
        until(lambda: hub.row["sync_request"] is None, seconds=60, what="an answer to sync now")
        until(lambda: len(hub.runs()) == 2, seconds=60, what="the report of it")
        runs = [series_in(asked(f"{operations(machines, number)}/metrics")[1]) for number in range(2)]
        machines.stop()

    assert sum(one["wpsa_runs_total delivered"] for one in runs) == 2
    assert [process.returncode for process in machines.started] == [0, 0]
