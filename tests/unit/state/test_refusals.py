"""What is remembered of refusals: logins that the backend would not take, and readings that were not believed."""

from collections.abc import Callable
from datetime import date, timedelta

from builders import NOW, a_structure

from agent.errors import AgentError, SiteUnreachable, SuspiciousShrink
from agent.state.ledger import KEPT_PER_SITE, Ledger
from agent.state.records import Run, Trigger
from agent.structure.guard import Doubt

Opened = Callable[[], Ledger]


def begun(ledger: Ledger) -> Run:
    return ledger.begin("shop", trigger=Trigger.DEMAND, day=date(2026, 11, 21), at=NOW)


def unread(ledger: Ledger, error: AgentError | None = None) -> None:
    failure = error or SiteUnreachable("m", reason="read_timeout", hint="h")
    ledger.record_unread(begun(ledger), failure, at=NOW, next_at=NOW)


def a_shrink() -> SuspiciousShrink:
    error = SuspiciousShrink("m", reason="shrink_guard", hint="h")
    error.gone = frozenset({"post_type page", "taxonomy genre"})
    return error


def test_refused_logins_are_known_to_the_next_process_and_to_no_other_account(open_ledger: Opened) -> None:
    ledger = open_ledger()
    for minutes in (0, 50, 70):
        ledger.record_refused_login("bot", at=NOW + timedelta(minutes=minutes))
    ledger.close()

    again = open_ledger()
    lately = again.refused_logins("bot", since=NOW + timedelta(minutes=10))
    others = again.refused_logins("another", since=NOW)
    again.close()

    assert lately == [NOW + timedelta(minutes=50), NOW + timedelta(minutes=70)]
    assert others == []


def test_old_refusals_are_forgotten_with_the_next_one(ledger: Ledger) -> None:
    for days in (0, 5):
        ledger.record_refused_login("bot", at=NOW + timedelta(days=days))

    assert ledger.refused_logins("bot", since=NOW - timedelta(days=1)) == [NOW + timedelta(days=5)]


def test_a_doubt_is_of_the_last_reading_alone_and_says_what_was_gone(ledger: Ledger) -> None:
    assert begun(ledger).doubt is None
    unread(ledger, a_shrink())
    assert begun(ledger).doubt == Doubt(NOW, frozenset({"post_type page", "taxonomy genre"}))
    unread(ledger)
    assert begun(ledger).doubt is None


def test_what_the_newest_structure_was_read_with_outlives_any_number_of_failures(ledger: Ledger) -> None:
    ledger.owe(begun(ledger), a_structure(), at=NOW)
    for _ in range(KEPT_PER_SITE + 5):
        unread(ledger)

    assert ledger.last_provenance("shop")["rest_root"] == "https://shop.example/wp-json/"
    assert len(ledger.runs("shop", limit=2 * KEPT_PER_SITE)) == KEPT_PER_SITE + 1
