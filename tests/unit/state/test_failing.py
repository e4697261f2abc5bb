"""Which sites failed when the process ended: the state remembers, so that a restart is no news to anybody."""

from datetime import datetime, timedelta

from builders import NOW, a_receipt, a_structure

from agent.errors import SiteUnreachable
from agent.state.ledger import Ledger
from agent.state.records import Trigger

DOWN = SiteUnreachable("shop: it is down", reason="refused", hint="Start it.")


def fail(ledger: Ledger, *, at: datetime, site: str = "shop") -> None:
    run = ledger.begin(site, trigger=Trigger.SCHEDULE, day=at.date(), at=at)
    ledger.record_unread(run, DOWN, at=at, next_at=at)


def deliver(ledger: Ledger, *, at: datetime, site: str = "shop") -> None:
    run = ledger.begin(site, trigger=Trigger.SCHEDULE, day=at.date(), at=at)
    delivery, _ = ledger.owe(run, a_structure(), at=at)
    ledger.record_receipt(delivery, a_receipt(), at=at)


def hours(number: int) -> datetime:
    return NOW + timedelta(hours=number)


def test_a_site_fails_since_the_first_failure_after_its_last_delivery(ledger: Ledger) -> None:
    fail(ledger, at=hours(0))
    deliver(ledger, at=hours(1))
    fail(ledger, at=hours(2))
    fail(ledger, at=hours(3))

    assert ledger.failing_since() == {"shop": hours(2)}


def test_a_site_that_was_delivered_or_never_read_does_not_fail(ledger: Ledger) -> None:
    fail(ledger, at=hours(0))
    deliver(ledger, at=hours(1))
    ledger.begin("new", trigger=Trigger.SCHEDULE, day=NOW.date(), at=NOW)
    ledger.recover(at=NOW)

    assert ledger.failing_since() == {}


def test_a_run_that_was_interrupted_says_nothing_of_the_site(ledger: Ledger) -> None:
    fail(ledger, at=hours(0))
    ledger.begin("shop", trigger=Trigger.DEMAND, day=NOW.date(), at=hours(1))
    ledger.recover(at=NOW)

    assert ledger.failing_since() == {"shop": hours(0)}


def test_each_site_has_its_own_time(ledger: Ledger) -> None:
    fail(ledger, at=hours(0), site="a")
    fail(ledger, at=hours(1), site="b")

    assert ledger.failing_since() == {"a": hours(0), "b": hours(1)}


def test_a_document_that_waits_is_a_failure_too(ledger: Ledger) -> None:
    run = ledger.begin("shop", trigger=Trigger.SCHEDULE, day=NOW.date(), at=NOW)
    delivery, _ = ledger.owe(run, a_structure(), at=NOW)
    ledger.record_failure(delivery, DOWN, at=hours(1), next_at=hours(2))

    assert ledger.failing_since() == {"shop": hours(1)}
