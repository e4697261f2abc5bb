"""`wpsa sync`: one pass over the named sites, and what they are still owed."""

from pathlib import Path
from typing import Any

import pytest
from builders import answers
from fakes import FakeBackend, FakeReader, ManualClock, an_agent

from agent.errors import BackendUnreachable, SiteUnreachable
from agent.oneshot import sync_on_demand
from agent.rounds import Rounds
from agent.state.ledger import Ledger
from agent.state.records import Result

pytestmark = pytest.mark.anyio


def down(kind: Any) -> Any:
    return kind("m", reason="r", hint="h")


async def test_asking_pushes_whatever_the_schedule_says(ledger: Ledger, clock: ManualClock, state_folder: Path) -> None:
    backend = FakeBackend()
    agent = an_agent(ledger, clock, FakeReader({"a": answers(), "b": answers()}), backend, state_folder)

    outcomes = [*await sync_on_demand(agent), *await sync_on_demand(agent)]

    assert [one.result for one in outcomes] == [Result.DELIVERED] * 4
    assert len(backend.asked) == 4
    assert {row.trigger for row in ledger.runs("a")} == {"demand"}


async def test_asking_closes_the_slot_of_the_day(ledger: Ledger, clock: ManualClock, state_folder: Path) -> None:
    backend = FakeBackend()
    agent = an_agent(ledger, clock, FakeReader({"a": answers()}), backend, state_folder)
    await sync_on_demand(agent)

    rounds = Rounds(agent)
    rounds.look()

    assert (rounds.in_hand, rounds.waiting) == (0, 0)

    assert len(backend.asked) == 1


async def test_what_waits_is_sent_even_when_its_site_cannot_be_read(
    ledger: Ledger, clock: ManualClock, state_folder: Path
) -> None:
    reader, backend = FakeReader({"a": answers()}), FakeBackend(down(BackendUnreachable))
    agent = an_agent(ledger, clock, reader, backend, state_folder)
    await sync_on_demand(agent)
    reader.says["a"] = down(SiteUnreachable)

    [outcome] = await sync_on_demand(agent)

    assert outcome.result is Result.UNREADABLE
    assert ledger.owed_to("a") is None
    assert backend.asked[0].idempotency_key == backend.asked[1].idempotency_key


async def test_a_newer_document_replaces_the_one_that_waits(
    ledger: Ledger, clock: ManualClock, state_folder: Path
) -> None:
    backend = FakeBackend(down(BackendUnreachable))
    agent = an_agent(ledger, clock, FakeReader({"a": answers()}), backend, state_folder)
    await sync_on_demand(agent)
    clock.advance(seconds=1)

    await sync_on_demand(agent)

    first, second = backend.asked
    assert second.generation > first.generation
    assert ledger.owed_to("a") is None
