"""Alerts, dashboard and scrape settings: of metrics that the agent has, and of labels that these have."""

import asyncio
import json
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import NOW, answers
from documents import ROOT, parsed, table_under
from fakes import FakeBackend, FakeReader, ManualClock, an_agent
from judges import of_the_machine, said_by
from prometheus_client.parser import text_string_to_metric_families

from agent.errors import SiteUnreachable
from agent.exchange import Exchange
from agent.ops.fleet_series import FRESH_SECONDS, SITES, FleetSeries
from agent.ops.metrics import Metrics
from agent.outcome import Outcome
from agent.redact import Redactor
from agent.rounds import Rounds
from agent.schedule import STALE_AFTER
from agent.settings import Settings
from agent.state.ledger import Ledger
from agent.state.records import Result
from agent.state.sites import Census, Sites, WorkerRow
from agent.state.store import open_store

MONITORING = ROOT / "config" / "monitoring"
ALERTS = MONITORING / "alerts.yaml"
CASES = MONITORING / "alerts.test.yaml"
DASHBOARD = MONITORING / "dashboard.json"

OF_PROMETHEUS = {"up": {"job", "instance"}}
WORDS = {"and", "or", "absent", "sum", "by", "max", "min", "count", "rate", "increase", "changes", "time", "topk", "histogram_quantile", "le"}


def rules() -> dict[str, Any]:
    return {rule["alert"]: rule for group in parsed(ALERTS)["groups"] for rule in group["rules"]}


def expressions() -> list[str]:
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    return [rule["expr"] for rule in rules().values()] + [one["expr"] for panel in panels for one in panel["targets"]]


@pytest.fixture(scope="module")
def offered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Every time series of an agent that has done everything once, with its labels."""
    found: dict[str, set[str]] = {name: set(labels) for name, labels in OF_PROMETHEUS.items()}
    exposition = asyncio.run(scraped(tmp_path_factory.mktemp("state") / "state"))
    for family in text_string_to_metric_families(exposition.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {"job", "instance"}).update(sample.labels)
    return found


class OneSite(Sites):
    """A fleet as it stands at one moment; the real table: tests/workers."""

    def __init__(self) -> None:
        pass

    def census(self, *, at: datetime) -> Census:
        return Census(1, 1, 0, 0, 0, 0, 0, 0, 0, None)

    def workers(self) -> list[WorkerRow]:
        return [WorkerRow("here", NOW, -30.0, 0)]


async def scraped(folder: Path) -> bytes:
    ledger = Ledger(open_store(folder), Redactor())
    metrics = Metrics(now=lambda: NOW)
    rounds = Rounds(an_agent(ledger, ManualClock(), FakeReader({"shop": answers()}), FakeBackend(), folder))
    async with metrics.fed_by(rounds):
        metrics.registry.register(FleetSeries(OneSite(), away=lambda: False, clock=rounds.agent.ports.clock))
        metrics.outcome(Outcome("shop", Result.UNREADABLE, 1.0, SiteUnreachable("m", reason="r", hint="h")))
        metrics.outcome(Outcome("shop", Result.DELIVERED, 1.0))
        metrics.exchange(Exchange("site", "GET", "https://shop.example/", 200, 0.1, retry_of="reset"))
        said = metrics.exposition()
    ledger.close()
    return said


@pytest.mark.parametrize("expression", expressions())
def test_every_metric_and_label_that_is_asked_for_is_there(expression: str, offered: dict[str, set[str]]) -> None:
    bare = re.sub(r'"[^"]*"', '""', expression)
    names = set(re.findall(r"[a-z_]{2,}", bare)) & (offered.keys() | set(re.findall(r"(?:wpsa|process)_\w+", bare)))
    labels = {label for group in re.findall(r"by \(([^)]*)\)|\{([^}]*)\}", bare) for part in group
              for label in re.findall(r"[a-z_]+", part)}  # fmt: skip

    assert names
    assert names <= offered.keys()
    assert labels <= set().union(*(offered[name] for name in names))
    unknown = set(re.findall(r"[a-z_]{2,}", re.sub(r"\[\w+\]", "", bare))) - names - labels - WORDS
    assert unknown == set()


@pytest.fixture(scope="module")
def promtool() -> str:
    return of_the_machine("promtool", "prometheus")


def test_prometheus_takes_the_rules_and_the_settings(promtool: str) -> None:
    said_by(promtool, "check", "rules", "--lint=all", "--lint-fatal", ALERTS)
    # Its own check wants the file with the token to be there.
    said_by(promtool, "check", "config", "--syntax-only", MONITORING / "prometheus.yaml")


def test_each_alert_is_told_when_it_must_be_and_not_before(promtool: str) -> None:
    said_by(promtool, "test", "rules", CASES)


def test_the_cases_are_of_every_alert_and_of_series_that_the_agent_has(offered: dict[str, set[str]]) -> None:
    cases = parsed(CASES)["tests"]
    expected = [one for case in cases for one in case["alert_rule_test"]]
    series = [one["series"] for case in cases for one in case["input_series"]]

    assert {one["alertname"] for one in expected if one["exp_alerts"]} == rules().keys()
    assert {one["alertname"] for one in expected if not one["exp_alerts"]} == rules().keys()
    for one in series:
        name, _, labels = one.partition("{")
        assert set(re.findall(r"(\w+)=", labels)) == offered[name], one


def test_what_must_be_told_is_told() -> None:
    alerts = rules()

    assert f"> {STALE_AFTER // timedelta(hours=1)} * 3600" in alerts["WpsaNoSuccess"]["expr"]
    assert "wpsa_outbox_oldest_pending_age_seconds > 6 * 3600" in alerts["WpsaDeliveryPending"]["expr"]
    assert "process_start_time_seconds" in alerts["WpsaRestartLoop"]["expr"]
    for alert in alerts.values():
        assert {"summary", "description"} <= alert["annotations"].keys()
        assert alert["labels"]["severity"] in ("warning", "critical")


def test_what_must_be_told_of_a_fleet_is_told() -> None:
    alerts = rules()
    states = set(re.findall(r'state="(\w+)"', " ".join(expressions())))

    assert states <= {*SITES, "alive", "gone"}
    assert 'wpsa_fleet_sites{state="late"}' in alerts["WpsaFleetLate"]["expr"]
    assert 'wpsa_fleet_sites{state="stalled"}' in alerts["WpsaFleetStalled"]["expr"]
    assert "up" in alerts["WpsaFleetWithoutWorker"]["expr"]
    away = re.search(r"wpsa_fleet_seen_timestamp_seconds > (\d+)", alerts["WpsaWorkerLostDatabase"]["expr"])
    assert away
    assert int(away[1]) > FRESH_SECONDS + 60, "a scrape may be a minute old"


def test_a_template_of_an_alert_names_a_label_of_its_metric(offered: dict[str, set[str]]) -> None:
    for alert in rules().values():
        labels = set(re.findall(r"\$labels\.(\w+)", str(alert["annotations"])))
        metrics = {name for name in offered if re.search(rf"\b{name}\b", alert["expr"])}
        assert labels <= set().union(*(offered[name] for name in metrics))


def test_the_dashboard_can_be_imported() -> None:
    board = json.loads(DASHBOARD.read_text("utf-8"))
    panels = board["panels"]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert [one["type"] for one in board["templating"]["list"]] == ["datasource"]
    assert {panel["datasource"]["uid"] for panel in panels} == {"${datasource}"}
    cells = [(x, y) for panel in panels for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
             for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])]  # fmt: skip
    assert len(set(cells)) == len(cells), "two panels lie on each other"
    assert max(x for x, _ in cells) < 24


def test_prometheus_asks_where_the_agent_listens() -> None:
    scrape = parsed(MONITORING / "prometheus.yaml")
    (job,) = scrape["scrape_configs"]

    assert scrape["rule_files"] == [ALERTS.name]
    assert job["static_configs"] == [{"targets": [Settings().ops.listen]}]
    assert {label for expression in expressions() for label in re.findall(r'job="(\w+)"', expression)} == {job["job_name"]}


def test_every_metric_of_ours_is_in_the_readme(offered: dict[str, set[str]]) -> None:
    documented = {name for row in table_under("Metrics") for name in re.findall(r"wpsa_\w+", row[0])}

    ours = {re.sub(r"_(bucket|sum|count)$", "", name) for name in offered if name.startswith("wpsa_")}
    assert documented == ours


