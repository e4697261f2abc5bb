"""What is counted, with bounded labels, and who may see it."""

import re
from datetime import timedelta

import httpx
import pytest
from builders import NOW, a_structure
from fakes import ManualClock
from ops_visitor import TOKEN, Visitor

from agent import __version__
from agent.errors import BackendUnreachable, SiteUnreachable
from agent.exchange import Exchange
from agent.ops.endpoint import Endpoint
from agent.ops.metrics import SITE_SERIES_MOST, Metrics
from agent.outcome import Outcome
from agent.redact import Redactor
from agent.rounds import Rounds
from agent.state.records import Result

pytestmark = pytest.mark.anyio


def of(metrics: Metrics, line: str) -> float | None:
    """The value of one series, as a scrape would find it."""
    found = re.search(rf"^{re.escape(line)} (\S+)$", metrics.exposition().decode(), re.MULTILINE)
    return float(found[1]) if found else None


def delivered(site: str = "shop") -> Outcome:
    return Outcome(site, Result.DELIVERED, 1.5, structure=a_structure())


def pending(site: str = "shop") -> Outcome:
    error = BackendUnreachable("m", reason="be_5xx", hint="h")
    return Outcome(site, Result.PENDING, 1.5, error, structure=a_structure())


async def test_the_names_of_the_house_are_there(metrics: Metrics, rounds: Rounds) -> None:
    metrics.outcome(delivered())
    async with metrics.fed_by(rounds):
        names = set(re.findall(r"^# TYPE (\w+) ", metrics.exposition().decode(), re.MULTILINE))

    assert {
        "wpsa_runs_total", "wpsa_run_duration_seconds", "wpsa_site_last_success_timestamp_seconds",
        "wpsa_outbox_pending", "wpsa_outbox_oldest_pending_age_seconds", "wpsa_http_requests_total", "wpsa_retries_total",
        "wpsa_build_info", "wpsa_config_last_reload_successful", "wpsa_sites", "wpsa_sites_stale",
        "wpsa_sites_in_hand", "wpsa_sites_waiting", "process_resident_memory_bytes",
    } <= names  # fmt: skip
    assert not any(name.endswith("_created") or name.startswith("python") for name in names)
    assert of(metrics, f'wpsa_build_info{{version="{__version__}"}}') == 1


async def test_runs_are_counted_by_their_result(metrics: Metrics) -> None:
    metrics.outcome(delivered())
    metrics.outcome(delivered())
    metrics.outcome(Outcome("shop", Result.UNREADABLE, 30.0, SiteUnreachable("m", reason="r", hint="h")))

    assert of(metrics, 'wpsa_runs_total{result="delivered"}') == 2
    assert of(metrics, 'wpsa_runs_total{result="unreadable"}') == 1
    assert of(metrics, 'wpsa_runs_total{result="crashed"}') == 0
    assert of(metrics, "wpsa_run_duration_seconds_sum") == 33


async def test_a_success_is_what_the_backend_acknowledged(metrics: Metrics, clock: ManualClock) -> None:
    metrics.watch(["shop"])
    metrics.outcome(pending())
    before = of(metrics, 'wpsa_site_last_success_timestamp_seconds{site="shop"}')
    stale = of(metrics, "wpsa_sites_stale")
    metrics.outcome(delivered())

    assert (before, stale) == (None, 1)
    assert of(metrics, 'wpsa_site_last_success_timestamp_seconds{site="shop"}') == NOW.timestamp()
    assert of(metrics, "wpsa_sites_stale") == 0
    clock.advance(hours=26, seconds=1)
    assert of(metrics, "wpsa_sites_stale") == 1


async def test_the_age_of_what_waits_grows_until_it_is_delivered(metrics: Metrics, clock: ManualClock) -> None:
    metrics.watch(["shop"])
    metrics.outcome(pending())
    clock.advance(hours=2)
    metrics.outcome(Outcome("shop", Result.PENDING, 1.0, BackendUnreachable("m", reason="r", hint="h")))
    waiting = of(metrics, "wpsa_outbox_pending"), of(metrics, "wpsa_outbox_oldest_pending_age_seconds")
    metrics.outcome(delivered())

    assert waiting == (1, 7200)
    assert (of(metrics, "wpsa_outbox_pending"), of(metrics, "wpsa_outbox_oldest_pending_age_seconds")) == (0, 0)


async def test_what_the_state_remembers_counts_after_a_restart(
    metrics: Metrics, rounds: Rounds, clock: ManualClock
) -> None:
    await rounds.ask("shop")
    clock.advance(hours=3)
    await_pending = BackendUnreachable("m", reason="be_5xx", hint="h")
    rounds.agent.ports.backend.failures = [await_pending]  # type: ignore[attr-defined]
    await rounds.ask("example.com/blog")
    clock.advance(hours=1)

    again = Metrics(now=clock.clock.now)
    again.watch(["shop", "example.com/blog"])
    await again.learn(rounds.agent.ledger)

    assert of(again, 'wpsa_site_last_success_timestamp_seconds{site="shop"}') == NOW.timestamp()
    assert of(again, "wpsa_outbox_oldest_pending_age_seconds") == timedelta(hours=1).total_seconds()
    assert of(again, "wpsa_sites_stale") == 1


async def test_requests_are_counted_by_peer_and_class_of_status(metrics: Metrics) -> None:
    for status in (200, 204, 404, 503, None):
        metrics.exchange(Exchange("site", "GET", "https://shop.example/?x=1", status, 0.1))

    assert of(metrics, 'wpsa_http_requests_total{peer="site",status_class="2xx"}') == 2
    assert of(metrics, 'wpsa_http_requests_total{peer="site",status_class="none"}') == 1
    assert "shop.example" not in metrics.exposition().decode()


async def test_what_is_sent_once_more_is_counted_by_its_reason(metrics: Metrics) -> None:
    for reason in (None, "http_503", "reset", "http_503"):
        metrics.exchange(Exchange("backend", "POST", "https://api.example/", 200, 0.1, retry_of=reason))

    assert of(metrics, 'wpsa_retries_total{error="http_503",peer="backend"}') == 2
    assert of(metrics, 'wpsa_retries_total{error="reset",peer="backend"}') == 1
    assert of(metrics, 'wpsa_http_requests_total{peer="backend",status_class="2xx"}') == 4


async def test_a_large_fleet_has_no_series_for_each_site(metrics: Metrics) -> None:
    names = [f"site-{number}" for number in range(SITE_SERIES_MOST + 1)]
    metrics.watch(names)
    for name in names:
        metrics.outcome(delivered(name))

    assert len(metrics.exposition().splitlines()) < 100
    assert (of(metrics, "wpsa_sites"), of(metrics, "wpsa_sites_stale")) == (SITE_SERIES_MOST + 1, 0)
    metrics.watch(names[1:])
    assert metrics.exposition().decode().count("wpsa_site_last_success_timestamp_seconds{") == SITE_SERIES_MOST


async def test_a_site_that_left_leaves_its_series_too(metrics: Metrics) -> None:
    metrics.watch(["a", "b"])
    for site in "ab":
        metrics.outcome(pending(site))
        metrics.outcome(delivered(site))
    metrics.outcome(pending("a"))

    metrics.watch(["b"])
    metrics.outcome(delivered("a"))  # what was in hand when it left

    assert 'site="a"' not in metrics.exposition().decode()
    assert of(metrics, "wpsa_outbox_pending") == 0
    assert of(metrics, 'wpsa_site_last_success_timestamp_seconds{site="b"}') == NOW.timestamp()


# --- who may see them ---------------------------------------------------------------------------


async def test_a_neighbour_needs_no_token(visitor: Visitor) -> None:
    said = await visitor.ask("GET", "/metrics", token=None)

    assert said.status_code == 200
    assert said.headers["content-type"].startswith("text/plain; version=0.0.4")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:9464", "127.0.0.1.evil.example", "192.0.2.1", ""])
async def test_a_page_that_made_its_name_lead_here_sees_nothing(visitor: Visitor, host: str) -> None:
    said = await visitor.ask("GET", "/metrics", token=None, headers={"Host": host})

    assert said.status_code in (400, 401)
    assert "wpsa" not in said.text


async def test_somebody_from_elsewhere_needs_the_token(
    rounds: Rounds, metrics: Metrics, clock: ManualClock, redactor: Redactor
) -> None:
    endpoint = Endpoint(rounds, metrics, token=TOKEN, clock=clock.clock, redactor=redactor)
    elsewhere = httpx.ASGITransport(endpoint.application(), client=("192.0.2.7", 5000))
    async with httpx.AsyncClient(transport=elsewhere, base_url="http://127.0.0.1:9464") as http:
        stranger = await http.get("/metrics")
        bearer = await http.get("/metrics", headers={"Authorization": f"bearer {TOKEN}"})
        probes = [(await http.get(path)).status_code for path in ("/livez", "/readyz")]

    assert (stranger.status_code, bearer.status_code) == (401, 200)
    assert probes == [503, 503]  # nobody has looked yet, and that is all they say
