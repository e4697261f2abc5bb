"""What is owed, and what became of it: each step survives a crash right after it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import NOW, a_post_type, a_receipt, a_structure, counted, uncounted

from agent.errors import (
    BackendPaused,
    BackendUnreachable,
    CredentialsRefused,
    DeliveryRejected,
    SiteUnreachable,
    StateFailed,
)
from agent.redact import Redactor
from agent.state import ledger as ledger_module
from agent.state.ledger import Ledger
from agent.state.records import Delivery, Result, SlotState, Trigger
from agent.state.store import FILE_NAME, open_store
from agent.structure.model import Family, Structure

DAY = date(2026, 11, 21)
LATER = NOW + timedelta(minutes=5)


def owe(ledger: Ledger, structure: Structure | None = None, *, site: str = "shop", at: datetime = NOW) -> Delivery:
    run = ledger.begin(site, trigger=Trigger.SCHEDULE, day=at.date(), at=at)
    delivery, _ = ledger.owe(run, structure or a_structure(), at=at)
    return delivery


def unreachable() -> SiteUnreachable:
    return SiteUnreachable("shop: it is down", reason="refused", hint="Start it.")


def unsent() -> BackendUnreachable:
    return BackendUnreachable("it is down", reason="be_5xx", hint="Wait.")


def timed_out() -> BackendUnreachable:
    error = BackendUnreachable("no answer", reason="read_timeout", hint="Wait.")
    error.may_arrive_late = True
    return error


def paused() -> BackendPaused:
    return BackendPaused("not asked", reason="be_5xx", hint="Wait.")


def refused() -> CredentialsRefused:
    return CredentialsRefused("it refused the key", reason="be_credentials", hint="Renew it.")


def rejected() -> DeliveryRejected:
    return DeliveryRejected("it refused", reason="be_rejected", hint="Look.")


@pytest.fixture
def restarted(ledger: Ledger, open_ledger: Callable[[], Ledger]) -> Iterator[Any]:
    """A function: the process dies here, and starts again."""
    opened: list[Ledger] = []

    def restart() -> Ledger:
        (opened[-1] if opened else ledger).close()
        again = open_ledger()
        again.recover(at=NOW)
        opened.append(again)
        return again

    yield restart
    for one in opened:
        one.close()


# --- the way of one document ---------------------------------------------------------------------


def test_a_run_opens_the_slot_of_its_day(ledger: Ledger) -> None:
    ledger.begin("shop", trigger=Trigger.SCHEDULE, day=DAY, at=NOW)

    slot, [run] = ledger.slot("shop"), ledger.runs("shop")
    assert slot is not None
    assert (slot.day, slot.state, slot.failures) == (DAY, SlotState.OPEN, 0)
    assert (run.result, run.finished_at, run.trigger) == (None, None, "schedule")


def test_what_is_owed_waits_with_its_bytes_and_key(ledger: Ledger) -> None:
    delivery = owe(ledger)

    assert ledger.owed_to("shop") == delivery
    assert ledger.due(at=NOW, sites=["shop"]) == [delivery]
    slot = ledger.slot("shop")
    assert slot is not None
    assert slot.state is SlotState.OWED


def test_a_receipt_ends_the_debt_and_closes_the_slot(ledger: Ledger) -> None:
    delivery = owe(ledger)

    ledger.record_receipt(delivery, a_receipt("42"), at=LATER)

    slot, [run] = ledger.slot("shop"), ledger.runs("shop")
    assert ledger.owed_to("shop") is None
    assert slot is not None
    assert slot.state is SlotState.CLOSED
    assert (run.result, run.integration_id, run.finished_at) == (Result.DELIVERED, "42", LATER)
    assert ledger.last_delivered_at("shop") == LATER


def test_a_failure_keeps_bytes_and_key_and_counts(ledger: Ledger) -> None:
    delivery = owe(ledger)

    ledger.record_failure(delivery, unsent(), at=NOW, next_at=LATER)

    owed = ledger.owed_to("shop")
    assert owed is not None
    assert (owed.body, owed.idempotency_key, owed.generation) == (
        delivery.body, delivery.idempotency_key, delivery.generation
    )
    assert (owed.failures, owed.next_at, owed.held, owed.reason) == (1, LATER, False, "be_5xx")
    assert ledger.due(at=NOW, sites=["shop"]) == []
    assert ledger.due(at=LATER, sites=["shop"]) == [owed]


def test_what_needs_a_person_is_held_until_the_next_start(ledger: Ledger) -> None:
    ledger.record_failure(owe(ledger), refused(), at=NOW, next_at=LATER)
    held = ledger.owed_to("shop")
    assert held is not None
    assert (held.held, held.quarantined) == (True, False)

    ledger.forget_held(at=NOW)

    assert ledger.due(at=NOW, sites=["shop"])


def test_a_rejected_document_is_not_sent_again_but_replaced_by_the_next_one(ledger: Ledger, restarted: Any) -> None:
    ledger.record_failure(owe(ledger), rejected(), at=NOW, next_at=LATER)
    again = restarted()
    again.forget_held(at=NOW)

    held = again.owed_to("shop")
    assert (held.held, held.quarantined, held.message) == (True, True, "it refused")
    assert again.due(at=NOW + timedelta(days=9), sites=["shop"]) == []
    assert again.waiting("shop", now=NOW) is None

    newer = owe(again, at=NOW + timedelta(days=1))
    assert again.due(at=newer.owed_at, sites=["shop"]) == [newer]


def test_a_pause_is_no_try(ledger: Ledger) -> None:
    delivery = owe(ledger)

    ledger.record_failure(delivery, paused(), at=NOW, next_at=LATER)

    owed = ledger.owed_to("shop")
    assert owed is not None
    assert (owed.failures, owed.next_at, owed.held, owed.message) == (0, LATER, False, "not asked")


def test_nothing_is_due_while_the_backend_is_known_to_be_away(ledger: Ledger) -> None:
    class Closed:
        seconds = 30.0

        def wait_seconds(self, site: str) -> float:
            return self.seconds

    gate, delivery = Closed(), owe(ledger)
    ledger.heed(gate)

    waiting = ledger.waiting("shop", now=NOW)
    assert waiting == replace(delivery, next_at=NOW + timedelta(seconds=30))
    assert ledger.due(at=NOW, sites=["shop"]) == []
    gate.seconds = 0.0
    assert ledger.due(at=NOW, sites=["shop"]) == [delivery]
    assert ledger.waiting("nobody", now=NOW) is None


def test_only_the_asked_sites_documents_are_due(ledger: Ledger) -> None:
    owe(ledger, site="shop"), owe(ledger, site="blog")

    assert [one.site for one in ledger.due(at=NOW, sites=["blog", "gone"])] == ["blog"]


# --- what may arrive late -------------------------------------------------------------------------


def deliver_in_doubt(ledger: Ledger) -> Delivery:
    """It timed out on its way, and went through the second time."""
    delivery = owe(ledger)
    ledger.record_failure(delivery, timed_out(), at=NOW, next_at=NOW)
    ledger.record_receipt(delivery, a_receipt(), at=NOW)
    return delivery


def checks(ledger: Ledger, **after: float) -> list[Delivery]:
    return ledger.due(at=NOW + timedelta(**after), sites=["shop"])


def test_after_a_delivery_in_doubt_the_backend_is_looked_at_twice(ledger: Ledger, restarted: Any) -> None:
    delivery = deliver_in_doubt(ledger)
    ledger = restarted()

    assert checks(ledger, seconds=59) == []
    [first] = checks(ledger, seconds=60)
    assert (first.to_check, first.generation, first.body) == (True, delivery.generation, delivery.body)
    ledger.record_look(first, at=NOW + timedelta(seconds=60))
    assert checks(ledger, seconds=599) == []
    [second] = checks(ledger, seconds=600)
    ledger.record_look(second, at=NOW + timedelta(seconds=600))
    assert checks(ledger, days=9) == []


def test_an_ordinary_delivery_is_not_looked_at(ledger: Ledger) -> None:
    delivery = owe(ledger)
    ledger.record_failure(delivery, unsent(), at=NOW, next_at=NOW)
    ledger.record_receipt(delivery, a_receipt(), at=NOW)

    assert checks(ledger, days=9) == []


def test_the_doubt_passes_on_to_the_document_that_supersedes(ledger: Ledger) -> None:
    ledger.record_failure(owe(ledger), timed_out(), at=NOW, next_at=NOW)
    newer = owe(ledger, at=LATER)

    ledger.record_receipt(newer, a_receipt(), at=LATER)

    [check] = ledger.due(at=LATER + timedelta(seconds=60), sites=["shop"])
    assert check.generation == newer.generation


def test_a_kill_while_it_was_sent_is_a_doubt(ledger: Ledger, restarted: Any) -> None:
    delivery = owe(ledger)
    ledger = restarted()

    ledger.record_receipt(delivery, a_receipt(), at=NOW)

    assert len(checks(ledger, seconds=60)) == 1


def test_what_is_newly_owed_comes_before_any_look(ledger: Ledger) -> None:
    deliver_in_doubt(ledger)
    newer = owe(ledger, at=LATER)

    assert ledger.due(at=NOW + timedelta(days=1), sites=["shop"]) == [newer]
    ledger.record_receipt(newer, a_receipt(), at=LATER)
    [check] = ledger.due(at=NOW + timedelta(days=1), sites=["shop"])
    assert check.generation == newer.generation


def test_what_the_backend_lost_is_owed_again_as_a_new_document(ledger: Ledger) -> None:
    """With the old key a backend that remembers keys would answer from memory, and change nothing."""
    delivery = deliver_in_doubt(ledger)
    [check] = checks(ledger, seconds=60)

    again = ledger.owe_again(check, at=NOW + timedelta(seconds=60))

    assert again is not None
    assert again.body == delivery.body
    assert again.generation > delivery.generation
    assert again.idempotency_key != delivery.idempotency_key
    assert ledger.runs("shop")[0].trigger == "late_arrival"
    ledger.record_receipt(again, a_receipt(), at=NOW + timedelta(seconds=61))
    assert ledger.runs("shop")[0].result is Result.DELIVERED
    [last] = checks(ledger, seconds=600)
    ledger.owe_again(last, at=NOW + timedelta(seconds=600))
    ledger.record_receipt(ledger.owed_to("shop"), a_receipt(), at=NOW + timedelta(seconds=601))  # type: ignore[arg-type]
    assert checks(ledger, days=9) == [], "it does not go on for ever"


def test_a_look_that_a_newer_document_overtook_owes_nothing(ledger: Ledger) -> None:
    deliver_in_doubt(ledger)
    [check] = checks(ledger, seconds=60)
    newer = owe(ledger, at=LATER)

    assert ledger.owe_again(check, at=LATER) is None
    assert ledger.owed_to("shop") == newer
    ledger.record_receipt(newer, a_receipt(), at=LATER)
    assert ledger.owe_again(check, at=LATER) is None


def test_a_crash_puts_off_the_look_too(ledger: Ledger) -> None:
    deliver_in_doubt(ledger)

    ledger.record_crash("shop", unreachable(), at=NOW, next_at=NOW + timedelta(hours=1))

    assert checks(ledger, minutes=59) == []
    assert checks(ledger, minutes=60)


def test_after_the_state_was_lost_the_first_delivery_is_looked_at(state_folder: Path, redactor: Redactor) -> None:
    state_folder.mkdir()
    (state_folder / FILE_NAME).write_bytes(b"no database" * 500)
    ledger = Ledger(open_store(state_folder), redactor)
    assert ledger.set_aside

    ledger.record_receipt(owe(ledger), a_receipt(), at=NOW)
    ledger.record_receipt(owe(ledger, at=LATER), a_receipt(), at=LATER)

    assert len(checks(ledger, seconds=60)) == 1
    ledger.close()


# --- generations and keys ------------------------------------------------------------------------


def test_a_newer_document_replaces_the_one_that_waits(ledger: Ledger) -> None:
    older = owe(ledger)
    ledger.record_failure(older, unsent(), at=NOW, next_at=LATER)

    newer = owe(ledger, at=NOW + timedelta(days=1))

    assert ledger.owed_to("shop") == newer
    assert newer.failures == 0
    assert newer.generation > older.generation


def test_a_late_receipt_for_an_older_document_leaves_the_newer_owed(ledger: Ledger) -> None:
    older = owe(ledger)
    newer = owe(ledger, at=LATER)

    ledger.record_receipt(older, a_receipt(), at=LATER)

    assert ledger.owed_to("shop") == newer
    slot = ledger.slot("shop")
    assert slot is not None
    assert slot.state is SlotState.OWED


def test_a_late_failure_of_an_older_document_does_not_touch_the_newer(ledger: Ledger) -> None:
    older = owe(ledger)
    newer = owe(ledger, at=LATER)

    ledger.record_failure(older, rejected(), at=LATER, next_at=LATER)

    assert ledger.owed_to("shop") == newer


def test_a_then_b_then_a_again_are_three_keys(ledger: Ledger) -> None:
    """A key of the body alone is answered from a server's memory, which stays at B."""
    a, b = a_structure(), a_structure((a_post_type("post"), counted(5)))

    deliveries = [owe(ledger, structure) for structure in (a, b, a)]

    assert deliveries[0].body == deliveries[2].body
    assert len({one.idempotency_key for one in deliveries}) == 3


def test_equal_documents_of_two_sites_have_two_keys(ledger: Ledger) -> None:
    assert owe(ledger, site="a").idempotency_key != owe(ledger, site="b").idempotency_key


def test_generations_grow_when_the_clock_goes_back(ledger: Ledger) -> None:
    times = [NOW, NOW - timedelta(days=400), NOW - timedelta(days=400), NOW + timedelta(seconds=1)]

    generations = [owe(ledger, at=at).generation for at in times]

    assert generations == sorted(set(generations))


# --- crashes -------------------------------------------------------------------------------------


def test_after_a_crash_in_the_reading_the_slot_is_still_open(ledger: Ledger, restarted: Any) -> None:
    ledger.begin("shop", trigger=Trigger.SCHEDULE, day=DAY, at=NOW)

    again = restarted()

    [run] = again.runs("shop")
    assert run.result is Result.INTERRUPTED
    assert again.slot("shop").state is SlotState.OPEN


def test_after_a_crash_before_the_receipt_the_same_bytes_are_owed(ledger: Ledger, restarted: Any) -> None:
    delivery = owe(ledger)

    again = restarted()

    assert again.owed_to("shop") == delivery
    assert again.slot("shop").state is SlotState.OWED
    assert again.runs("shop")[0].result is Result.PENDING


def test_an_unread_site_does_not_rewrite_the_run_whose_document_still_waits(ledger: Ledger, restarted: Any) -> None:
    owe(ledger)
    again = restarted()

    run = again.begin("shop", trigger=Trigger.DEMAND, day=DAY, at=LATER)
    again.record_unread(run, unreachable(), at=LATER, next_at=LATER)

    assert [one.result for one in again.runs("shop")] == [Result.UNREADABLE, Result.PENDING]


def test_a_crash_in_the_middle_of_owing_leaves_nothing_of_it(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ledger.begin("shop", trigger=Trigger.SCHEDULE, day=DAY, at=NOW)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Ledger, "_remember_counts", die)
    with pytest.raises(KeyboardInterrupt):
        ledger.owe(run, a_structure(), at=NOW)

    assert ledger.owed_to("shop") is None
    assert ledger.structures("shop") == []
    slot = ledger.slot("shop")
    assert slot is not None
    assert slot.state is SlotState.OPEN


# --- failures of reading -------------------------------------------------------------------------


def test_an_unread_site_is_tried_again_in_the_same_slot(ledger: Ledger) -> None:
    run = ledger.begin("shop", trigger=Trigger.SCHEDULE, day=DAY, at=NOW)

    ledger.record_unread(run, unreachable(), at=NOW, next_at=LATER)

    slot, [row] = ledger.slot("shop"), ledger.runs("shop")
    assert slot is not None
    assert (slot.state, slot.failures, slot.next_at) == (SlotState.OPEN, 1, LATER)
    assert (row.result, row.reason, row.message, row.hint) == (
        Result.UNREADABLE, "refused", "shop: it is down", "Start it."
    )


def test_the_failures_of_yesterday_do_not_count_today(ledger: Ledger) -> None:
    run = ledger.begin("shop", trigger=Trigger.SCHEDULE, day=DAY, at=NOW)
    ledger.record_unread(run, unreachable(), at=NOW, next_at=LATER)

    ledger.begin("shop", trigger=Trigger.SCHEDULE, day=DAY + timedelta(days=1), at=NOW + timedelta(days=1))

    slot = ledger.slot("shop")
    assert slot is not None
    assert (slot.failures, slot.next_at) == (0, None)


def test_an_older_day_does_not_open_a_newer_slot_again(ledger: Ledger) -> None:
    ledger.record_receipt(owe(ledger), a_receipt(), at=NOW)

    ledger.begin("shop", trigger=Trigger.SCHEDULE, day=DAY - timedelta(days=1), at=NOW)

    slot = ledger.slot("shop")
    assert slot is not None
    assert (slot.day, slot.state) == (DAY, SlotState.CLOSED)


def test_a_crash_puts_off_reading_and_delivery(ledger: Ledger) -> None:
    owe(ledger)

    ledger.record_crash("shop", unreachable(), at=NOW, next_at=LATER)

    assert ledger.due(at=NOW, sites=["shop"]) == []
    assert ledger.runs("shop")[0].result is Result.CRASHED


# --- memory --------------------------------------------------------------------------------------


def test_counts_are_remembered_and_stale_ones_are_not_learned_again(ledger: Ledger) -> None:
    book = a_post_type("book")
    owe(ledger, a_structure((book, counted(7))))
    known = ledger.last_known("shop")
    owe(ledger, a_structure((book, uncounted()), last_known={(Family.POST_TYPE, "book"): 99}))

    assert known == {(Family.POST_TYPE, "book"): 7}
    assert ledger.last_known("shop") == known


def test_history_knows_what_changed(ledger: Ledger) -> None:
    owe(ledger, a_structure((a_post_type("book"), counted(7))))
    run = ledger.begin("shop", trigger=Trigger.DEMAND, day=DAY, at=LATER)

    _, changes = ledger.owe(run, a_structure((a_post_type("book"), counted(9))), at=LATER)

    assert changes.counts == ("Book (book): 7 → 9 (+2)",)
    newest = ledger.newest_structure("shop")
    assert newest is not None
    assert newest.changes == {"structure": [], "counts": ["Book (book): 7 → 9 (+2)"]}


def test_history_is_kept_within_bounds_and_others_are_left_alone(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "KEPT_PER_SITE", 3)
    owe(ledger, site="blog")

    for minute in range(8):
        delivery = owe(ledger, at=NOW + timedelta(minutes=minute))
        ledger.record_receipt(delivery, a_receipt(), at=NOW + timedelta(minutes=minute))

    assert len(ledger.structures("shop")) == 3
    assert len(ledger.runs("shop")) == 3
    assert ledger.structures("shop")[0].generation == delivery.generation
    assert len(ledger.structures("blog")) == 1


def test_old_history_goes_and_the_newest_stays(ledger: Ledger) -> None:
    for days in (0, 50, 100):
        owe(ledger, a_structure(finished_at=NOW + timedelta(days=days)), at=NOW + timedelta(days=days))
    owe(ledger, a_structure(finished_at=NOW), site="blog")
    owe(ledger, a_structure(finished_at=NOW + timedelta(days=400)), at=NOW + timedelta(days=400))

    assert [one.fetched_at for one in ledger.structures("shop")] == [NOW + timedelta(days=400)]
    assert len(ledger.runs("shop")) == 1
    assert len(ledger.structures("blog")) == 1


def test_a_site_that_never_answers_does_not_fill_the_disk(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "KEPT_PER_SITE", 3)

    for _ in range(8):
        run = ledger.begin("shop", trigger=Trigger.SCHEDULE, day=DAY, at=NOW)
        ledger.record_unread(run, unreachable(), at=NOW, next_at=LATER)

    assert len(ledger.runs("shop")) == 3


def test_no_secret_enters_the_state(ledger: Ledger, redactor: Redactor, state_folder: Path) -> None:
    redactor.add("s3cret-key")
    error = BackendUnreachable("it said s3cret-key", reason="be_5xx", hint="not s3cret-key")

    ledger.record_failure(owe(ledger, a_structure(title="s3cret-key")), error, at=NOW, next_at=LATER)

    kept = [ledger.store.rows(query) for query in ("SELECT * FROM outbox", "SELECT * FROM run", "SELECT * FROM structure")]
    assert all(rows and "s3cret-key" not in str([dict(row) for row in rows]) for rows in kept)
    for file in state_folder.iterdir() if state_folder.exists() else ():
        assert b"s3cret-key" not in file.read_bytes()


def test_a_document_that_changed_on_disk_is_never_sent(ledger: Ledger) -> None:
    owe(ledger)
    with ledger.store.transaction() as database:
        database.execute("UPDATE outbox SET body = ?", (b"{}",))

    with pytest.raises(StateFailed) as failed:
        ledger.due(at=NOW, sites=["shop"])

    assert failed.value.reason == "state_corrupt"
