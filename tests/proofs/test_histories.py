"""Histories of pushes that are slow, lost, late or doubled on the wire, while several ask at once: judged afterwards (D15)."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from shutil import rmtree
from typing import Any

import pytest
from builders import a_post_type, a_receipt, a_site, answers, counted
from fakes import FakeBackend, FakeReader, ManualClock, an_agent
from figures import Proof

from agent.bootstrap import Agent
from agent.errors import BackendUnreachable
from agent.redact import Redactor
from agent.rounds import Rounds
from agent.state.ledger import Ledger
from agent.state.records import Delivery, Receipt, Trigger
from agent.state.store import open_store
from agent.sync import Task, sync_site

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("sheltered", "logs"), pytest.mark.timeout(3_600)]

SITES = ("shop", "blog")
STEPS = 6


class Wire(FakeBackend):
    """A backend at the end of a wire that takes its time; what went over it is noted.

    refuses_older   as the hub does; many take whatever comes
    """

    def __init__(self, chance: Random, clock: ManualClock, *, refuses_older: bool) -> None:
        super().__init__()
        self.chance, self.clock, self.refuses_older = chance, clock, refuses_older
        self.on_its_way: list[tuple[datetime, Delivery]] = []
        self.in_flight: Counter[str] = Counter()
        self.most_in_flight = 0
        self.newest: dict[str, int] = {}
        self.keys: dict[tuple[str, int], tuple[str, bytes]] = {}
        self.wrong: list[str] = []
        self.calm = False

    async def push(self, delivery: Delivery) -> Receipt:
        self._note(delivery)
        self.in_flight[delivery.site] += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight[delivery.site])
        try:
            return await self._carry(delivery, "" if self.calm else self.chance.choice(("", "", "lost", "unanswered", "late", "doubled")))
        finally:
            self.in_flight[delivery.site] -= 1

    async def _carry(self, delivery: Delivery, mood: str) -> Receipt:
        await self._take_time()
        if mood in ("late", "doubled"):
            self.on_its_way.append((self.clock.at + timedelta(seconds=self.chance.randrange(1, 500)), delivery))
        if mood in ("", "unanswered", "doubled"):
            self._arrive(delivery)
        await self._take_time()
        if mood:
            error = BackendUnreachable(mood, reason="read_timeout", hint="h")
            error.may_arrive_late = mood != "lost"
            raise error
        return a_receipt()

    async def _take_time(self) -> None:
        for _ in range(self.chance.randrange(8)):
            await asyncio.sleep(0)

    def land(self) -> None:
        """What was on its way for long enough arrives."""
        due = [one for one in self.on_its_way if one[0] <= self.clock.at]
        self.on_its_way = [one for one in self.on_its_way if one not in due]
        for _, delivery in sorted(due, key=lambda one: one[0]):
            self._arrive(delivery, late=True)

    def _arrive(self, delivery: Delivery, *, late: bool = False) -> None:
        newest = self.newest.get(delivery.site, 0)
        if delivery.generation < newest and not late:
            self.wrong.append("an older document over a newer one")
        if delivery.generation >= newest or not self.refuses_older:
            self.holds[delivery.site] = json.loads(delivery.body)
        self.newest[delivery.site] = max(newest, delivery.generation)

    def _note(self, delivery: Delivery) -> None:
        if json.loads(delivery.body)["site_url"] != f"https://{delivery.site}.example":
            self.wrong.append("one site's structure in another's place")
        sent = delivery.idempotency_key, delivery.body
        if self.keys.setdefault((delivery.site, delivery.generation), sent) != sent:
            self.wrong.append("another key, or other bytes, for one document")


@dataclass
class History:
    """Two sites that change with every reading, and whoever wants them synced."""

    agent: Agent
    wire: Wire
    clock: ManualClock
    reader: FakeReader
    ask: Callable[[Rounds, Agent, str], Coroutine[Any, Any, Any]]
    items: int = 0

    async def live(self) -> None:
        rounds = Rounds(self.agent)
        for _ in range(STEPS):
            await self._step(rounds, seconds=self.wire.chance.choice((1, 20, 70, 400, 90_000)))
        self.wire.calm = True
        for _ in range(100):
            await self._step(rounds, seconds=700, asks=False)
            if not self.wire.on_its_way and not any(self._waiting(site) for site in SITES):
                break
        await rounds.end(within_seconds=0)
        self._judge()

    async def _step(self, rounds: Rounds, *, seconds: int, asks: bool = True) -> None:
        self.clock.advance(seconds=seconds)
        self.wire.land()
        for site in SITES:
            self.items += 1
            counts = (a_post_type("post"), counted(self.items))
            self.reader.says[site] = answers(counts, site_url=f"https://{site}.example", home=f"https://{site}.example")
        rounds.look()
        chosen = [site for site in SITES for _ in range(2) if asks and self.wire.chance.random() < 0.5]
        await asyncio.gather(*(self.ask(rounds, self.agent, site) for site in chosen))
        while rounds.in_hand or rounds.waiting:
            await asyncio.sleep(0)

    def _waiting(self, site: str) -> bool:
        return self.agent.ledger.waiting(site, now=self.clock.at) is not None

    def _judge(self) -> None:
        assert not self.wire.wrong, self.wire.wrong
        assert self.wire.most_in_flight == 1, "two pushes of a site at once"
        for site in SITES:
            newest = self.agent.ledger.newest_structure(site)
            assert newest
            assert newest.generation == self.wire.newest[site], "the newest was not sent"
            assert self.wire.holds[site] == newest.document, "the backend went back, and stayed there"


async def one_at_a_time(rounds: Rounds, agent: Agent, site: str) -> None:
    await rounds.ask(site)


async def each_for_itself(rounds: Rounds, agent: Agent, site: str) -> None:
    """Whoever asks begins a run of his own."""
    await sync_site(Task(a_site(site), agent.ports.clock.now().date(), Trigger.DEMAND), agent.ports)


async def check_histories(folder: Path, seeds: range, *, ask: Any = one_at_a_time) -> int:
    pushes = 0
    for seed in seeds:
        chance, clock = Random(seed), ManualClock()
        clock.chance = chance.random()
        ledger = Ledger(open_store(folder / "state"), Redactor())
        reader = FakeReader(dict.fromkeys(SITES, answers()))
        wire = Wire(chance, clock, refuses_older=bool(seed % 2))
        try:
            await History(an_agent(ledger, clock, reader, wire, folder), wire, clock, reader, ask).live()
        except AssertionError as error:
            raise AssertionError(f"history {seed}: {error}") from error
        finally:
            ledger.close()
            rmtree(folder / "state")
        pushes += len(wire.keys)
    return pushes


@pytest.mark.parametrize("number", [60, pytest.param(5_000, marks=pytest.mark.nightly)])
async def test_the_newest_structure_stands_in_the_end_of_every_history(memory: Path, proof: Proof, number: int) -> None:
    pushes = await check_histories(memory, range(number))

    size = f"{number:,} histories, {pushes:,} documents; two kinds of backend"
    proof("D15 P3 K38 K39", "slow, lost, late and doubled pushes", size, "the newest stands; 0 regressed, 0 mixed up")


async def test_two_pushes_of_a_site_at_once_are_noticed(memory: Path, proof: Proof) -> None:
    with pytest.raises(AssertionError, match="two pushes of a site at once"):
        await check_histories(memory, range(60), ask=each_for_itself)

    proof("D15", "negative control: single flight off", "1 rule broken", "noticed")


async def test_a_late_arrival_that_nobody_looks_for_is_noticed(
    memory: Path, proof: Proof, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.state.ledger.look_back_later", lambda *_: None)

    with pytest.raises(AssertionError, match="stayed there"):
        await check_histories(memory, range(60))

    proof("D15 K39", "negative control: nobody looks back", "1 rule broken", "noticed")
