"""`wpsa sync`: one pass over the named sites, and what they are still owed."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import answers
from fakes import FakeBackend, FakeReader, ManualClock, an_agent

from agent.clock import SYSTEM
from agent.config import load
from agent.errors import BackendUnreachable, SiteUnreachable
from agent.oneshot import sync_now, sync_on_demand
from agent.redact import Redactor
from agent.rounds import Rounds
from agent.state.ledger import Ledger
from agent.state.records import Result, Trigger
from agent.state.store import open_store

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


async def test_a_pass_of_one_site_forgets_what_left_the_settings_and_none_of_the_others(state_folder: Path, tmp_path: Path) -> None:
    toml = tmp_path / "wpsa.toml"
    entry = '[[sites]]\nname = "{0}"\nurl = "http://127.0.0.1:9/{0}"\nsite_id = "7"\n'
    toml.write_text("".join(map(entry.format, ("now", "later"))))
    in_clear = {"WPSA_BACKEND_URL": "http://127.0.0.1:9", "WPSA_BACKEND_API_KEY": "k3y", "WPSA_STATE_DIR": str(state_folder)}
    read = load({}, config=toml, environ=in_clear).settings
    long_ago = SYSTEM.now() - timedelta(days=40)
    before = Ledger(open_store(state_folder), Redactor())
    for site in ("gone", "later"):
        before.begin(site, trigger=Trigger.SCHEDULE, day=long_ago.date(), at=long_ago)
    before.close()

    [outcome] = await sync_now(read, [read.sites[0]], redactor=Redactor())

    assert outcome["result"] == "unreadable"
    history = Ledger(open_store(state_folder), Redactor())
    assert history.known_sites() == ["later", "now"]
    history.close()
