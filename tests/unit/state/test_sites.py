"""The sites of a fleet: what the table knows, what is due in it, and what each worker makes of that."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from builders import NOW, a_receipt, a_structure

from agent.redact import Redactor
from agent.roster import KEPT, TableRoster, moments_of
from agent.settings import Settings
from agent.state.fleet_store import FleetStore, open_fleet_store
from agent.state.ledger import Ledger
from agent.state.records import Trigger
from agent.state.sites import Change, Entry, Sites
from agent.sync import Task
from agent.workers.agenda import SharedAgenda

PASSWORD = "abcd efgh ijkl mnop"
TOMORROW = NOW + timedelta(days=1)


@pytest.fixture
def store(state_url: str) -> Iterator[FleetStore]:
    opened = open_fleet_store(state_url, worker="here")
    yield opened
    opened.close()


@pytest.fixture
def sites(store: FleetStore) -> Sites:
    return Sites(store)


def entry(name: str, *, origin: str | None = None, **settings: Any) -> Entry:
    said = {"url": f"https://{name}.example", "name": name, "site_id": "1"} | settings
    return Entry(name, origin or f"{name}.example", json.dumps(said))


def due(sites: Sites, *, at: datetime = NOW, most: int = 100, per_origin: int = 100) -> list[str]:
    return [one.name for one in sites.due(at=at, most=most, per_origin=per_origin)]


# --- the table -----------------------------------------------------------------------------------


def test_the_same_sites_again_change_nothing(sites: Sites) -> None:
    first = sites.put([entry("a"), entry("b")], at=NOW)
    sites.set_next("a", TOMORROW)
    again = sites.put([entry("a"), entry("b")], at=NOW)

    assert (first, again) == (Change(2, 0, 0, 0), Change(0, 0, 2, 0))
    assert due(sites) == ["b"]


def test_a_site_that_changed_is_due_at_once(sites: Sites) -> None:
    sites.put([entry("a")], at=NOW)
    sites.set_next("a", TOMORROW)

    assert sites.put([entry("a", username="bot", application_password=PASSWORD)], at=NOW) == Change(0, 1, 0, 0)
    assert due(sites) == ["a"]


def test_what_is_left_out_is_forgotten_only_on_demand_and_only_among_its_like(sites: Sites) -> None:
    sites.put([Entry("configured", "c.example"), entry("a"), entry("b")], at=NOW)

    assert sites.put([entry("b")], at=NOW).removed == 0
    assert sites.put([entry("b")], at=NOW, replace=True, among="table").removed == 1
    assert sorted(due(sites)) == ["b", "configured"]
    assert sites.put([], at=NOW, replace=True, among="settings").removed == 1
    assert due(sites) == ["b"]


def test_the_longest_due_goes_first_and_who_was_asked_for_before_it(sites: Sites) -> None:
    sites.put([entry("a"), entry("b"), entry("c"), entry("later")], at=NOW)
    for name, minutes in (("a", -1), ("b", -9), ("c", -5), ("later", 5)):
        sites.set_next(name, NOW + timedelta(minutes=minutes))

    assert due(sites) == ["b", "c", "a"]
    assert sites.ask(["later", "nobody"], at=NOW) == 1
    assert due(sites) == ["later", "b", "c", "a"]
    assert due(sites, most=2) == ["later", "b"]


def test_of_one_server_only_a_few_join_the_queue(sites: Sites) -> None:
    sites.put([entry(f"{n}", origin="shared.example") for n in range(5)] + [entry("alone")], at=NOW)

    assert len(due(sites, per_origin=2)) == 3
    assert "alone" in due(sites, per_origin=2)


def test_what_somebody_has_in_hand_is_not_due(sites: Sites, store: FleetStore) -> None:
    sites.put([entry("a"), entry("b")], at=NOW)
    assert store.take("a")

    assert due(sites) == ["b"]
    store.give_back("a")
    assert sorted(due(sites)) == ["a", "b"]


def test_only_what_was_asked_for_before_is_answered(sites: Sites) -> None:
    sites.put([entry("a")], at=NOW)
    sites.ask(["a"], at=NOW)
    seen = sites.asked_at("a")
    sites.ask(["a"], at=NOW + timedelta(seconds=5))

    sites.set_next("a", TOMORROW, answered=seen)
    assert due(sites) == ["a"]
    sites.set_next("a", TOMORROW, answered=sites.asked_at("a"))
    assert due(sites) == []


# --- how it stands -------------------------------------------------------------------------------


def test_the_census_follows_a_site_from_new_to_up_to_date(sites: Sites, store: FleetStore, redactor: Redactor) -> None:
    ledger = Ledger(store, redactor)
    sites.put([entry("a"), entry("b")], at=NOW)
    counted = sites.census(at=NOW)
    assert (counted.sites, counted.due, counted.running, counted.never) == (2, 2, 0, 2)

    store.take("a")
    assert (sites.census(at=NOW).running, sites.workers()[0].sites) == (1, 1)

    run = ledger.begin("a", trigger=Trigger.SCHEDULE, day=NOW.date(), at=NOW)
    delivery, _ = ledger.owe(run, a_structure(), at=NOW)
    ledger.record_receipt(delivery, a_receipt(), at=NOW)
    sites.set_next("a", TOMORROW)
    store.give_back("a")
    counted = sites.census(at=NOW + timedelta(minutes=11))
    assert (counted.up_to_date, counted.due, counted.late, counted.running, counted.never) == (1, 1, 1, 0, 1)
    assert counted.oldest_due_at == NOW


# --- what a worker makes of it -------------------------------------------------------------------


def agenda_of(sites: Sites, store: FleetStore, redactor: Redactor) -> SharedAgenda:
    roster = TableRoster(sites, redactor)
    return SharedAgenda(sites, roster, moments_of(Settings(), roster), Ledger(store, redactor))


def test_the_ledger_decides_what_a_woken_worker_does(sites: Sites, store: FleetStore, redactor: Redactor) -> None:
    agenda, ledger = agenda_of(sites, store, redactor), Ledger(store, redactor)
    sites.put([entry("a")], at=NOW)
    store.take("a")

    work = agenda.work_for("a", asked=False, now=NOW)
    assert isinstance(work, Task)
    run = ledger.begin("a", trigger=work.trigger, day=work.day, at=NOW)
    delivery, _ = ledger.owe(run, a_structure(), at=NOW)
    ledger.record_receipt(delivery, a_receipt(), at=NOW)
    agenda.put("a", now=NOW)
    store.give_back("a")

    assert agenda.work_for("a", asked=False, now=NOW) is None, "a second job for it finds nothing to do"
    assert due(sites) == []
    assert due(sites, at=NOW + timedelta(days=1)) == ["a"]


def test_who_was_asked_for_is_read_though_his_slot_is_done(sites: Sites, store: FleetStore, redactor: Redactor) -> None:
    agenda, ledger = agenda_of(sites, store, redactor), Ledger(store, redactor)
    sites.put([entry("a")], at=NOW)
    store.take("a")
    run = ledger.begin("a", trigger=Trigger.SCHEDULE, day=NOW.date(), at=NOW)
    delivery, _ = ledger.owe(run, a_structure(), at=NOW)
    ledger.record_receipt(delivery, a_receipt(), at=NOW)
    agenda.put("a", now=NOW)
    sites.ask(["a"], at=NOW)

    work = agenda.work_for("a", asked=False, now=NOW)
    agenda.put("a", now=NOW)

    assert isinstance(work, Task)
    assert work.trigger is Trigger.DEMAND
    assert sites.asked_at("a") is None


def test_a_site_that_was_removed_meanwhile_is_nobodys_work(sites: Sites, store: FleetStore, redactor: Redactor) -> None:
    agenda = agenda_of(sites, store, redactor)
    sites.put([entry("a")], at=NOW)
    assert agenda.work_for("a", asked=False, now=NOW)
    sites.put([], at=NOW, replace=True)

    assert agenda.work_for("a", asked=False, now=NOW) is None
    agenda.put("a", now=NOW)
    assert "a" not in agenda


def test_a_worker_sees_changed_settings_and_hides_their_secrets(sites: Sites, redactor: Redactor) -> None:
    roster = TableRoster(sites, redactor)
    sites.put([entry("a", username="bot", application_password=PASSWORD)], at=NOW)
    assert roster["a"].username == "bot"
    assert PASSWORD not in redactor.hide(f"it said {PASSWORD}")

    sites.put([entry("a", username="bot", application_password="qrst uvwx yzab cdef")], at=NOW)
    roster.refresh("a")

    assert "qrst" not in redactor.hide("it said qrst uvwx yzab cdef")
    assert PASSWORD in redactor.hide(PASSWORD), "what is no secret any more does not fill the memory"


def test_of_a_large_fleet_only_so_many_sites_are_at_hand(sites: Sites, redactor: Redactor) -> None:
    roster = TableRoster(sites, redactor)
    sites.put([entry(f"s{n}", username="bot", application_password=f"pass-word-{n:05}") for n in range(KEPT + 2)], at=NOW)
    for n in range(KEPT + 2):
        assert roster[f"s{n}"].called == f"s{n}"

    assert len(roster) == KEPT
    assert redactor.hide("pass-word-00000") == "pass-word-00000"
    assert redactor.hide(f"pass-word-{KEPT:05}") == "***"
