"""One fault of a push after another, in any order: each comes to what the table says, and one look heals both (D5)."""

import asyncio
import random
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
import stamina
from builders import a_post_type, answers, counted
from fakes import VIRTUAL_TIME, Logs
from fault_table import Cell, cells
from figures import Proof
from one_cell import Stage, said_of, stage

from agent.backend.client import BackendClient
from agent.bootstrap import Agent
from agent.outcome import Outcome
from agent.rounds import Rounds
from agent.schedule import next_slot
from agent.state.records import Delivery

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(3_600)]

SAMPLE = 90
"""Pairs in the default run; nightly takes all of them."""
PUSHES = [cell for cell in cells("backend") if cell.kind == "push" and not cell.impossible]
ONCE_IS_CHANCE = ("be_mismatch",)
"""What needs somebody the second time."""


@pytest.fixture
def anyio_backend(sheltered: None, logs: Logs) -> object:
    stamina.set_testing(False)
    return VIRTUAL_TIME


@dataclass
class Daemon:
    """An agent that looks when the test says so."""

    on: Stage
    agent: Agent
    heard: asyncio.Queue[Outcome] = field(default_factory=asyncio.Queue)
    items: int = 0

    def __post_init__(self) -> None:
        self.rounds = Rounds(self.agent, told=(self.heard.put_nowait,))

    async def one_look(self) -> Outcome:
        """At the next moment at which a push is due; raises TimeoutError when none was."""
        self._read_something_new()
        now = self.on.clock.at
        slot = next_slot(self.agent.moments["shop"], now).starts_at
        waiting = self.agent.ledger.waiting("shop", now=now)
        due = min(slot, waiting.next_at) if waiting and not waiting.to_check else slot
        self.on.clock.advance(seconds=max(0.0, (due - now).total_seconds()) + 1)
        self.rounds.look()
        async with asyncio.timeout(timedelta(hours=1).total_seconds()):
            return await self.heard.get()

    def _read_something_new(self) -> None:
        assert self.on.reader
        self.items += 1
        self.on.reader.says["shop"] = answers((a_post_type("post"), counted(self.items)))

    @property
    def owed(self) -> Delivery | None:
        return self.agent.ledger.owed_to("shop")


def afterwards(first: Cell, second: Cell) -> tuple[str, str, int]:
    """What the second comes to: (result, reason, code)."""
    same_document = first.result != "delivered" and not is_quarantined(first)
    taken = same_document and first.moment != "before"
    found = next((cell for cell in PUSHES if taken and (cell.fault, cell.moment) == (second.fault, "after")), second)
    again = same_document and found.reason in ONCE_IS_CHANCE
    return "held" if again else found.result, found.reason, found.code


def is_quarantined(cell: Cell) -> bool:
    return cell.reason in ("be_rejected", "be_too_large")


async def check_pair(first: Cell, second: Cell, on: Stage) -> None:
    await on.begin(verify="204" in (first.fault, second.fault))
    backend = on.backend
    async with on.opened() as agent:
        daemon = Daemon(on, agent)
        for cell, declared in ((first, (first.result, first.reason, first.code)), (second, afterwards(first, second))):
            backend.fault, backend.kind, backend.moment = cell.fault, cell.kind, cell.moment
            came = said_of(await daemon.one_look())
            assert came == declared, f"{cell} came to {came}, declared is {declared}"
        backend.heal()
        healed = await daemon.one_look()
        assert said_of(healed) == ("delivered", "", 0), f"not healed: {healed.error}"
        assert daemon.owed is None, "still owed"
        newest = agent.ledger.newest_structure("shop")
        await daemon.rounds.end(within_seconds=0)
    assert newest
    assert backend.stored == {key: newest.document[key] for key in ("post_types", "taxonomies")}, "not the newest"
    generations = [int(asked.headers["x-structure-generation"]) for asked in backend.pushes]
    assert generations == sorted(generations), "an older document after a newer one"
    keys = {(asked.headers["x-structure-generation"], asked.headers["idempotency-key"], asked.body) for asked in backend.pushes}
    assert len(keys) == len(set(generations)), "a document with two keys, or other bytes under one"


async def check_pairs(pairs: list[tuple[Cell, Cell]], folder: Path) -> None:
    wrong = []
    async with stage(folder, reads=False) as on:
        for first, second in pairs:
            try:
                await check_pair(first, second, on)
            except (AssertionError, TimeoutError) as error:
                wrong.append(f"{first}; then {second}: {type(error).__name__} {str(error).partition(chr(10))[0]}")
    assert not wrong, "\n".join(wrong[:40])


@pytest.mark.parametrize("size", ["sample", pytest.param("all", marks=pytest.mark.nightly)])
async def test_two_faults_in_a_row_come_to_what_is_declared_and_one_look_heals_both(
    memory: Path, proof: Proof, size: str
) -> None:
    every = [(first, second) for first in PUSHES for second in PUSHES]
    assert len(every) >= 2_500

    pairs = every if size == "all" else random.Random(5).sample(every, SAMPLE)
    await check_pairs(pairs, memory)

    proof("D5 P2", "two faults of a push in a row", f"{len(pairs):,} of {len(every):,} pairs", "as declared; one look heals")


async def test_an_older_try_that_is_taken_for_a_newer_one_is_noticed(
    memory: Path, proof: Proof, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client believes any success; the pairs in which one says nothing fail."""

    async def believing(client: BackendClient, delivery: Delivery, integration_id: str, answer: object) -> bool:
        return False

    monkeypatch.setattr(BackendClient, "_proved", believing)
    silent = [cell for cell in PUSHES if cell.fault == "web page"]

    with pytest.raises(AssertionError, match="declared is"):
        await check_pairs([(first, second) for first in silent for second in silent], memory)

    proof("D5", "negative control: any success is believed", "1 rule broken", "noticed")
