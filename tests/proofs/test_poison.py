"""A site whose answers end the process that reads them: it is found, and the others have their day (F06)."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import answers
from fakes import FakeBackend, FakeReader, ManualClock, an_agent
from figures import Proof

from agent.redact import Redactor
from agent.rounds import Rounds
from agent.state import interrupted
from agent.state.ledger import Ledger
from agent.state.store import open_store
from agent.structure.model import Answers, Site

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("sheltered")]

SITES = 40
DAYS = 3


class PoisonReader(FakeReader):
    """Whoever reads its poisoned site is dead, and with him all that he was at."""

    def __init__(self) -> None:
        super().__init__({f"s{number:02}": answers() for number in range(SITES)} | {"s07 poison": answers()})
        self.died = asyncio.Event()

    async def read(self, site: Site, **asked: Any) -> Answers:
        if site.name == "s07 poison":
            self.died.set()
        if self.died.is_set():
            await asyncio.Event().wait()
        return await super().read(site, **asked)


async def deaths_in(folder: Path, clock: ManualClock, backend: FakeBackend, *, days: float) -> int:
    """A daemon that a supervisor starts again five seconds after each death; it looks every quarter of a minute."""
    deaths, end = 0, clock.at + timedelta(days=days)
    while clock.at < end:
        reader = PoisonReader()
        ledger = Ledger(open_store(folder), Redactor())
        ledger.recover(at=clock.at)
        rounds = Rounds(an_agent(ledger, clock, reader, backend, folder))
        while clock.at < end and not reader.died.is_set():
            rounds.look()
            while (rounds.in_hand or rounds.waiting) and not reader.died.is_set():
                await asyncio.sleep(0)
            clock.advance(seconds=15)
        deaths += reader.died.is_set()
        await rounds.end(within_seconds=0)
        ledger.close()
        clock.advance(seconds=5)
    return deaths


async def test_a_poisoned_site_costs_the_others_minutes_and_never_their_day(
    tmp_path: Path, clock: ManualClock, proof: Proof
) -> None:
    backend = FakeBackend()
    began = clock.at

    first_day = await deaths_in(tmp_path / "state", clock, backend, days=1)
    others = {delivery.site for delivery in backend.asked}
    later = await deaths_in(tmp_path / "state", clock, backend, days=DAYS - 1)

    assert others == {f"s{number:02}" for number in range(SITES)}
    assert first_day <= 8
    assert later <= 2 * (DAYS - 1)
    assert len(backend.asked) >= SITES * DAYS
    assert max(delivery.owed_at for delivery in backend.asked[:SITES]) < began + timedelta(minutes=30)
    reached = f"{first_day} deaths the first day, {later} in the {DAYS - 1} after it; the others in half an hour"
    proof("F06", "a site that kills whoever reads it", f"among {SITES} others, {DAYS} days", reached)


async def test_without_a_quarantine_it_kills_time_and_again(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, proof: Proof
) -> None:
    monkeypatch.setattr(interrupted, "HELD_FROM", 10**6)

    assert await deaths_in(tmp_path / "state", clock, FakeBackend(), days=1 / 48) > 20

    proof("F06", "negative control: nothing is held", "1 rule broken", "noticed")
