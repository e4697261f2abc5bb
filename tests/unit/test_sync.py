"""The story of one site, with a real state between a reader and a backend of our own."""

import asyncio
import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import NOW, a_delivery, a_post_type, a_site, a_taxonomy, answers, counted, uncounted
from fakes import FakeBackend, FakeReader, ManualClock, an_agent, ports

from agent.errors import (
    AgentError,
    BackendPaused,
    BackendThrottled,
    BackendUnreachable,
    ContractBroken,
    CredentialsRefused,
    DeliveryRejected,
    IntegrationNotFound,
    LoginRefused,
    RestClosed,
    SiteThrottled,
    SiteUnreachable,
    StateFailed,
    StateFull,
    SuspiciousShrink,
)
from agent.rounds import Rounds
from agent.state.ledger import KEPT_PER_SITE, Ledger
from agent.state.records import Result, SlotState, Trigger
from agent.structure.model import Answers, Choices, Family, LoginState
from agent.sync import Ports, Task, next_try, read_site, redeliver, sync_site

pytestmark = pytest.mark.anyio

TASK = Task(a_site(), date(2026, 11, 21), Trigger.SCHEDULE)


def an(kind: type[AgentError], **options: Any) -> AgentError:
    return kind("what happened", reason="why", hint="Do it.", **options)


def world(
    ledger: Ledger, clock: ManualClock, *failures: Exception, says: Answers | Exception | None = None
) -> tuple[Ports, FakeBackend, FakeReader]:
    reader, backend = FakeReader({"shop": says or answers()}), FakeBackend(*failures)
    return ports(reader, backend, ledger, clock), backend, reader


async def test_a_site_is_read_owed_delivered_and_closed(ledger: Ledger, clock: ManualClock) -> None:
    with_ports, backend, _ = world(ledger, clock)

    outcome = await sync_site(TASK, with_ports)

    assert outcome.result is Result.DELIVERED
    assert outcome.receipt is not None
    assert outcome.structure is not None
    assert outcome.structure.items == 135
    assert backend.holds["shop"]["post_types"]["post"]["count"] == 123
    assert ledger.owed_to("shop") is None
    slot = ledger.slot("shop")
    assert slot is not None
    assert slot.state is SlotState.CLOSED


async def test_a_site_that_did_not_change_is_pushed_all_the_same(ledger: Ledger, clock: ManualClock) -> None:
    with_ports, backend, _ = world(ledger, clock)

    for _ in range(3):
        clock.advance(days=1)
        await sync_site(TASK, with_ports)

    assert len(backend.asked) == 3
    assert len({one.idempotency_key for one in backend.asked}) == 3


@pytest.mark.parametrize(
    ("error", "result", "wait"),
    [
        (an(BackendUnreachable), Result.PENDING, 2.5),
        (an(BackendThrottled, retry_after_seconds=600), Result.PENDING, 600),
        (an(BackendPaused, retry_after_seconds=77.0), Result.PENDING, 77),
        (an(DeliveryRejected), Result.HELD, 3600),
        (an(CredentialsRefused), Result.HELD, 3600),
        (an(IntegrationNotFound), Result.HELD, 900),
        (an(ContractBroken), Result.HELD, 3600),
    ],
)
async def test_what_the_backend_does_not_take_stays_owed(
    ledger: Ledger, clock: ManualClock, error: AgentError, result: Result, wait: float
) -> None:
    with_ports, backend, _ = world(ledger, clock, error)

    outcome = await sync_site(TASK, with_ports)

    owed = ledger.owed_to("shop")
    assert (outcome.result, outcome.error) == (result, error)
    assert owed is not None
    assert owed.body == backend.asked[0].body
    assert owed.next_at == NOW + timedelta(seconds=wait)
    assert owed.held is (result is Result.HELD)


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        (an(SiteUnreachable), 2.5),
        (an(SiteThrottled, retry_after_seconds=600), 600),
        (an(RestClosed), 3600),
    ],
)
async def test_an_unread_site_is_pushed_nothing_in_its_name(
    ledger: Ledger, clock: ManualClock, error: AgentError, wait: float
) -> None:
    with_ports, backend, _ = world(ledger, clock, says=error)

    outcome = await sync_site(TASK, with_ports)

    slot = ledger.slot("shop")
    assert (outcome.result, outcome.error, backend.asked) == (Result.UNREADABLE, error, [])
    assert slot is not None
    assert (slot.state, slot.next_at) == (SlotState.OPEN, NOW + timedelta(seconds=wait))
    assert ledger.structures("shop") == []


async def test_yesterdays_document_stays_owed_when_today_cannot_be_read(
    ledger: Ledger, clock: ManualClock
) -> None:
    with_ports, _, reader = world(ledger, clock, an(BackendUnreachable))
    await sync_site(TASK, with_ports)
    owed = ledger.owed_to("shop")
    reader.says["shop"] = an(SiteUnreachable)
    clock.advance(days=1)

    await sync_site(Task(a_site(), date(2026, 11, 22), Trigger.SCHEDULE), with_ports)

    assert ledger.owed_to("shop") == owed


async def test_the_document_is_durable_before_it_is_sent(ledger: Ledger, clock: ManualClock) -> None:
    with_ports, backend, _ = world(ledger, clock, KeyboardInterrupt())  # type: ignore[arg-type]

    with pytest.raises(KeyboardInterrupt):
        await sync_site(TASK, with_ports)

    assert ledger.owed_to("shop") == backend.asked[0]


async def test_a_second_try_repeats_bytes_and_key(ledger: Ledger, clock: ManualClock) -> None:
    with_ports, backend, _ = world(ledger, clock, an(BackendUnreachable))
    await sync_site(TASK, with_ports)
    owed = ledger.owed_to("shop")
    assert owed is not None

    outcome = await redeliver(owed, with_ports)

    assert outcome is not None
    first, second = backend.asked
    assert outcome.result is Result.DELIVERED
    assert (first.body, first.idempotency_key, first.generation) == (
        second.body, second.idempotency_key, second.generation
    )
    assert ledger.owed_to("shop") is None


async def test_a_document_that_a_newer_one_replaced_meanwhile_is_not_sent(ledger: Ledger, clock: ManualClock) -> None:
    with_ports, backend, _ = world(ledger, clock, an(BackendUnreachable))
    await sync_site(TASK, with_ports)
    older = ledger.owed_to("shop")
    assert older is not None
    clock.advance(days=1)
    await sync_site(TASK, with_ports)

    assert await redeliver(older, with_ports) is None

    assert [one.generation for one in backend.asked] == sorted({one.generation for one in backend.asked})


async def test_a_newer_document_that_waits_for_somebody_is_not_sent_in_an_older_ones_place(
    ledger: Ledger, clock: ManualClock
) -> None:
    with_ports, backend, _ = world(ledger, clock, an(BackendUnreachable), an(DeliveryRejected))
    await sync_site(TASK, with_ports)
    older = ledger.owed_to("shop")
    assert older is not None
    clock.advance(days=1)
    await sync_site(TASK, with_ports)

    assert await redeliver(older, with_ports) is None

    assert len(backend.asked) == 2


async def test_a_full_disk_at_the_receipt_is_pending_and_not_a_success(
    ledger: Ledger, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_ports, backend, _ = world(ledger, clock)

    def full(*_: Any, **__: Any) -> None:
        raise an(StateFull)

    with monkeypatch.context() as patched:
        patched.setattr(ledger, "record_receipt", full)
        outcome = await sync_site(TASK, with_ports)

    assert (outcome.result, outcome.exit_code) == (Result.PENDING, 75)
    owed = ledger.owed_to("shop")
    assert owed is not None
    await redeliver(owed, with_ports)
    assert len({one.idempotency_key for one in backend.asked}) == 1, "the repeat changes nothing there"


async def test_a_full_disk_at_the_failure_is_what_the_failure_was(
    ledger: Ledger, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_ports, _, _ = world(ledger, clock, an(CredentialsRefused))

    def full(*_: Any, **__: Any) -> None:
        raise an(StateFull)

    monkeypatch.setattr(ledger, "record_failure", full)
    outcome = await sync_site(TASK, with_ports)

    assert (outcome.result, outcome.exit_code) == (Result.HELD, 77)
    assert ledger.owed_to("shop")


async def test_a_full_disk_before_the_document_is_durable_is_no_outcome(
    ledger: Ledger, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_ports, backend, _ = world(ledger, clock)

    def full(*_: Any, **__: Any) -> Any:
        raise an(StateFull)

    monkeypatch.setattr(ledger, "owe", full)
    with pytest.raises(StateFull):
        await sync_site(TASK, with_ports)

    assert backend.asked == []


async def test_an_older_structure_that_arrives_late_is_replaced_again(ledger: Ledger, clock: ManualClock) -> None:
    """A proxy held the first push for a minute and let it go after the second one."""
    late = an(BackendUnreachable)
    late.may_arrive_late = True
    with_ports, backend, reader = world(ledger, clock, late)
    await sync_site(TASK, with_ports)
    first = json.loads(backend.asked[0].body)
    reader.says["shop"] = answers((a_post_type("post"), counted(200)), (a_post_type("page"), counted(12)))
    clock.advance(seconds=10)
    await sync_site(TASK, with_ports)
    backend.holds["shop"] = first

    clock.advance(seconds=60)
    [check] = ledger.due(at=clock.at, sites=["shop"])
    outcome = await redeliver(check, with_ports)

    assert outcome is not None
    assert outcome.result is Result.DELIVERED
    assert backend.holds["shop"]["post_types"]["post"]["count"] == 200
    assert backend.asked[-1].generation > backend.asked[-2].generation


async def test_a_daemon_looks_back_by_itself(ledger: Ledger, clock: ManualClock, state_folder: Path) -> None:
    late = an(BackendUnreachable)
    late.may_arrive_late = True
    backend = FakeBackend(late)
    rounds = Rounds(an_agent(ledger, clock, FakeReader({"shop": answers()}), backend, state_folder))

    async def look_after(**duration: float) -> int:
        clock.advance(**duration)
        rounds.look()
        while rounds.in_hand or rounds.waiting:
            await asyncio.sleep(0)
        return len(backend.asked)

    assert [await look_after(seconds=0), await look_after(seconds=15)] == [1, 2]
    backend.holds["shop"] = {"post_types": {}}
    assert await look_after(seconds=30) == 2
    assert await look_after(seconds=31) == 3
    assert backend.holds["shop"]["post_types"]["post"]["count"] == 123
    backend.holds["shop"] = {"post_types": {}}
    assert [await look_after(minutes=8), await look_after(minutes=2), await look_after(hours=9)] == [3, 4, 4]


async def test_a_look_that_finds_the_structure_sends_nothing(ledger: Ledger, clock: ManualClock) -> None:
    late = an(BackendUnreachable)
    late.may_arrive_late = True
    with_ports, backend, _ = world(ledger, clock, late)
    await sync_site(TASK, with_ports)
    await redeliver(ledger.owed_to("shop"), with_ports)  # type: ignore[arg-type]
    sent = len(backend.asked)

    for _ in range(2):
        clock.advance(minutes=10)
        [check] = ledger.due(at=clock.at, sites=["shop"])
        assert await redeliver(check, with_ports) is None

    assert len(backend.asked) == sent
    assert ledger.due(at=clock.advance(days=1), sites=["shop"]) == []


@pytest.mark.parametrize(("error", "looks_left"), [(an(BackendUnreachable), 1), (an(BackendPaused), 2)])
async def test_a_look_that_gets_no_answer_doubts_nothing(
    ledger: Ledger, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, error: AgentError, looks_left: int
) -> None:
    late = an(BackendUnreachable)
    late.may_arrive_late = True
    with_ports, backend, _ = world(ledger, clock, late)
    await sync_site(TASK, with_ports)
    await redeliver(ledger.owed_to("shop"), with_ports)  # type: ignore[arg-type]
    [check] = ledger.due(at=clock.advance(minutes=1), sites=["shop"])

    async def no_answer(_: Any) -> bool:
        raise error

    monkeypatch.setattr(backend, "still_shows", no_answer)
    await redeliver(check, with_ports)
    monkeypatch.undo()

    looks = 0
    while due := ledger.due(at=clock.advance(minutes=10), sites=["shop"]):
        looks += 1
        await redeliver(due[0], with_ports)
    assert looks == looks_left
    assert len(backend.asked) == 2


async def test_a_count_that_was_not_learned_is_the_last_known_one_and_never_zero(
    ledger: Ledger, clock: ManualClock
) -> None:
    book = a_post_type("book")
    with_ports, backend, reader = world(ledger, clock, says=answers((book, counted(7))))
    await sync_site(TASK, with_ports)
    reader.says["shop"] = answers((book, uncounted()), (a_post_type("film"), uncounted()))

    outcome = await sync_site(TASK, with_ports)

    assert outcome.structure is not None
    assert {slug: entry["count"] for slug, entry in backend.holds["shop"]["post_types"].items()} == {"book": 7}
    [entry] = outcome.structure.of(Family.POST_TYPE)
    assert entry.count.stale
    assert any("film" in warning for warning in outcome.structure.warnings)


async def test_changes_are_told(ledger: Ledger, clock: ManualClock) -> None:
    with_ports, _, reader = world(ledger, clock)
    first = await sync_site(TASK, with_ports)
    reader.says["shop"] = answers((a_post_type("post"), counted(5)), (a_post_type("page"), counted(12)))

    second = await sync_site(TASK, with_ports)

    assert not first.changes
    assert second.changes.counts == ("Post (post): 123 → 5 (-118)",)
    assert second.changes.structure == ("taxonomy category is no longer visible (was “Category”)",)


async def test_a_sudden_shrink_is_believed_only_the_second_time_and_ten_minutes_later(
    ledger: Ledger, clock: ManualClock
) -> None:
    with_ports, backend, reader = world(ledger, clock)
    await sync_site(TASK, with_ports)
    only_posts = (a_post_type("post"), counted(123))
    reader.says["shop"] = answers(only_posts)

    doubted = await sync_site(TASK, with_ports)
    clock.advance(minutes=9)
    reader.says["shop"] = answers(only_posts, finished_at=clock.at)
    too_soon = await sync_site(TASK, with_ports)
    clock.advance(minutes=11)
    reader.says["shop"] = answers(only_posts, finished_at=clock.at)
    believed = await sync_site(TASK, with_ports)

    assert isinstance(doubted.error, SuspiciousShrink)
    assert isinstance(too_soon.error, SuspiciousShrink)
    assert believed.result is Result.DELIVERED
    assert set(backend.holds["shop"]["post_types"]) == {"post"}


async def test_a_second_reading_that_lost_something_else_confirms_nothing(
    ledger: Ledger, clock: ManualClock
) -> None:
    """A site that answers for one half and then for the other is broken, and not smaller."""
    post, page, book, film = ((a_post_type(slug), counted(3)) for slug in ("post", "page", "book", "film"))
    with_ports, backend, reader = world(ledger, clock, says=answers(post, page, book, film))
    await sync_site(TASK, with_ports)

    async def read(*shown: Any) -> Result:
        clock.advance(minutes=11)
        reader.says["shop"] = answers(*shown, finished_at=clock.at)
        return (await sync_site(TASK, with_ports)).result

    assert [await read(post), await read(page), await read(post)] == [Result.UNREADABLE] * 3
    assert len(backend.asked) == 1
    assert await read(post, film) is Result.DELIVERED, "something has come back, nothing else has gone"
    assert set(backend.holds["shop"]["post_types"]) == {"post", "film"}


async def test_a_type_that_could_not_be_counted_is_no_shrink(ledger: Ledger, clock: ManualClock) -> None:
    with_ports, _, reader = world(ledger, clock)
    await sync_site(TASK, with_ports)
    reader.says["shop"] = answers(
        (a_post_type("post"), uncounted()), (a_post_type("page"), uncounted()), (a_taxonomy("category"), counted(9))
    )

    assert (await sync_site(TASK, with_ports)).result is Result.DELIVERED


async def test_a_login_that_worked_before_is_missed(ledger: Ledger, clock: ManualClock) -> None:
    refused = LoginRefused("the password was ignored", reason="auth", hint="Make a new one.")
    with_ports, _, reader = world(ledger, clock, says=answers(login=LoginState("proved", "bot")))
    await sync_site(TASK, with_ports)
    reader.says["shop"] = answers(login=LoginState("failed", "bot", failure=refused))

    outcome = await sync_site(TASK, with_ports)

    assert outcome.error is refused
    assert ledger.owed_to("shop") is None


async def test_a_login_that_worked_before_is_missed_after_weeks_without_an_answer_too(
    ledger: Ledger, clock: ManualClock
) -> None:
    """History keeps so many runs; what the newest structure was read with is older than all of them here."""
    refused = LoginRefused("the password was ignored", reason="auth", hint="Make a new one.")
    with_ports, backend, reader = world(ledger, clock, says=answers(login=LoginState("proved", "bot")))
    await sync_site(TASK, with_ports)
    reader.says["shop"] = an(SiteUnreachable)
    for _ in range(KEPT_PER_SITE + 1):
        await sync_site(TASK, with_ports)
    reader.says["shop"] = answers(login=LoginState("failed", "bot", failure=refused))

    outcome = await sync_site(TASK, with_ports)

    assert outcome.error is refused
    assert len(backend.asked) == 1


async def test_what_a_closed_site_shows_in_its_sitemap_is_never_pushed(ledger: Ledger, clock: ManualClock) -> None:
    closed = RestClosed("the REST API is closed", reason="rest_not_logged_in", hint="Give a login.")
    with_ports, backend, _ = world(ledger, clock, says=answers(closed=closed))

    outcome = await sync_site(TASK, with_ports)

    assert outcome.error is closed
    assert "shop" not in backend.holds


async def test_a_broken_state_is_nobodys_outcome(ledger: Ledger, clock: ManualClock) -> None:
    with_ports, _, _ = world(ledger, clock)
    ledger.close()

    with pytest.raises(StateFailed):
        await sync_site(TASK, with_ports)


async def test_a_bug_escapes(ledger: Ledger, clock: ManualClock) -> None:
    with_ports, _, _ = world(ledger, clock, says=KeyError("bug"))

    with pytest.raises(KeyError):
        await sync_site(TASK, with_ports)


async def test_reading_alone_stores_nothing(ledger: Ledger, clock: ManualClock) -> None:
    with_ports, backend, _ = world(ledger, clock)

    structure = await read_site(a_site(), reader=with_ports.reader, choices=with_ports.choices_for("shop"))

    assert structure.items == 135
    assert (backend.asked, ledger.known_sites()) == ([], [])


@pytest.mark.parametrize(
    ("kind", "hours"),
    [(CredentialsRefused, [1, 2, 4, 8, 16, 24, 24]), (IntegrationNotFound, [0.25, 0.5, 1, 2]), (ContractBroken, [1, 1, 1])],
)
async def test_what_a_person_has_to_do_is_asked_for_less_and_less_often(
    clock: ManualClock, kind: type[AgentError], hours: list[float]
) -> None:
    waits = [next_try(an(kind), failures=number, clock=clock.clock) - NOW for number in range(1, len(hours) + 1)]

    assert [wait / timedelta(hours=1) for wait in waits] == hours


@pytest.mark.parametrize(("failures", "wait"), [(1, 2.5), (2, 5), (3, 10), (9, 450), (5_000, 450)])
async def test_tries_grow_apart_up_to_a_cap(clock: ManualClock, failures: int, wait: float) -> None:
    at = next_try(an(BackendUnreachable), failures=failures, clock=clock.clock)

    assert at == NOW + timedelta(seconds=wait)


async def test_choices_of_the_operator_are_in_the_document(ledger: Ledger, clock: ManualClock) -> None:
    reader, backend = FakeReader({"shop": answers()}), FakeBackend()
    chosen = Choices(plugin_connection_enabled=False)

    await sync_site(TASK, Ports(reader, backend, ledger, clock.clock, lambda _: chosen))

    assert json.loads(backend.asked[0].body)["plugin_connection_enabled"] is False
    assert a_delivery().site == "shop"
