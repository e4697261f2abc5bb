"""What is known of sites that nobody names any more."""

from datetime import timedelta

from builders import NOW, a_receipt, a_structure

from agent.state.ledger import Ledger
from agent.state.records import Trigger
from agent.state.removed import Removed

MONTH = timedelta(days=31)
TABLES = ("outbox", "recheck", "structure", "last_count", "run", "slot")


def live_through(ledger: Ledger, site: str) -> None:
    """One structure delivered in doubt, and a second one that is owed: a row in every table."""
    for _ in range(2):
        run = ledger.begin(site, trigger=Trigger.SCHEDULE, day=NOW.date(), at=NOW)
        delivery, _ = ledger.owe(run, a_structure(), at=NOW)
        ledger.recover(at=NOW)
        if not ledger.store.rows("SELECT * FROM recheck WHERE site = ?", site):
            ledger.record_receipt(delivery, a_receipt(), at=NOW)


def filled(ledger: Ledger, site: str) -> tuple[str, ...]:
    """The tables with rows of a site."""
    return tuple(table for table in TABLES if ledger.store.rows(f"SELECT 1 FROM {table} WHERE site = ?", site))  # noqa: S608 - written above


def test_every_table_with_a_site_in_it_is_looked_through(ledger: Ledger) -> None:
    live_through(ledger, "goes")
    live_through(ledger, "stays")
    removed = Removed(ledger.store)

    assert removed.forget(lambda: ["stays"], at=NOW + MONTH - timedelta(days=2)) == []
    assert filled(ledger, "goes") == TABLES
    assert removed.forget(lambda: ["stays"], at=NOW + MONTH) == ["goes"]

    assert filled(ledger, "goes") == ()
    assert filled(ledger, "stays") == TABLES


def test_it_is_looked_for_once_a_day(ledger: Ledger) -> None:
    live_through(ledger, "goes")
    removed = Removed(ledger.store)
    asked: list[int] = []

    for hour in range(49):
        removed.forget(lambda: asked.append(1) or ["goes"], at=NOW + MONTH + timedelta(hours=hour))

    assert len(asked) == 3
