"""One state on two machines: the two agents do not push by turns without end, and one says that there is another (L27)."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from builders import a_post_type, a_site, answers, counted
from fakes import FakeBackend, FakeReader, ManualClock, ports
from figures import Proof

from agent import sync
from agent.errors import BackendUnreachable
from agent.outcome import Outcome
from agent.redact import Redactor
from agent.state.ledger import Ledger
from agent.state.records import Result, Trigger
from agent.state.store import open_store
from agent.sync import Task, redeliver, sync_site

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("sheltered")]

DAYS = 6


@dataclass
class Agent:
    """One of the two; what it reads is its own view of the site."""

    ledger: Ledger
    backend: FakeBackend
    clock: ManualClock
    items: int

    async def day(self) -> list[Outcome]:
        """A push whose answer is lost, another try, and both looks afterwards."""
        at_work = ports(FakeReader({"shop": answers((a_post_type("post"), counted(self.items)))}), self.backend, self.ledger, self.clock)
        lost = BackendUnreachable("m", reason="read_timeout", hint="h")
        lost.may_arrive_late = True
        self.backend.failures.append(lost)
        outcomes = [await sync_site(Task(a_site(), self.clock.at.date(), Trigger.SCHEDULE), at_work)]
        self.clock.advance(hours=1)
        return outcomes + await self.look()

    async def look(self) -> list[Outcome]:
        """At what is owed, or to be looked at, by now."""
        at_work = ports(FakeReader({}), self.backend, self.ledger, self.clock)
        due = self.ledger.due(at=self.clock.at, sites=["shop"])
        return [outcome for one in due if (outcome := await redeliver(one, at_work))]


@pytest.fixture
def twins(tmp_path: Path, clock: ManualClock) -> Iterator[tuple[Agent, Agent]]:
    first = Ledger(open_store(tmp_path / "first"), Redactor())
    first.close()
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    backend = FakeBackend()
    with ExitStack() as stack:
        ledgers = [Ledger(open_store(tmp_path / name), Redactor()) for name in ("first", "second")]
        for ledger in ledgers:
            stack.callback(ledger.close)
        yield Agent(ledgers[0], backend, clock, 1), Agent(ledgers[1], backend, clock, 2)


async def live(twins: tuple[Agent, Agent], clock: ManualClock) -> list[Outcome]:
    outcomes = []
    for _ in range(DAYS):
        for agent in twins:
            outcomes += await agent.day()
        for _ in range(6):
            clock.advance(minutes=15)
            for agent in twins:
                outcomes += await agent.look()
        clock.advance(hours=20)
    return outcomes


async def test_two_agents_of_one_state_end_in_one_that_waits_for_somebody(
    twins: tuple[Agent, Agent], clock: ManualClock, proof: Proof
) -> None:
    outcomes = await live(twins, clock)

    held = [one for one in outcomes if one.result is Result.HELD]
    assert held
    assert {(one.error.reason, one.error.exit_code) for one in held if one.error} == {("instance_clone", 76)}
    pushes = len(twins[0].backend.asked)
    assert pushes <= 2 * DAYS * 4, "by turns without end"

    # The copy is stopped: the other one goes on by itself.
    clock.advance(hours=2)
    await twins[0].look()
    assert twins[0].ledger.owed_to("shop") is None
    assert twins[0].backend.holds["shop"]["post_types"]["post"]["count"] == 1
    proof("L27 P3", "one state on two machines", f"{DAYS} days, {pushes} pushes", "held (76) after 3 alternations; goes on alone")


async def test_agents_that_take_every_step_back_for_a_late_arrival_are_noticed(
    twins: tuple[Agent, Agent], clock: ManualClock, proof: Proof, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "ALTERNATIONS", 1_000)

    assert all(one.result is not Result.HELD for one in await live(twins, clock))
    proof("L27", "negative control: alternations are not counted", "1 rule broken", "noticed")
