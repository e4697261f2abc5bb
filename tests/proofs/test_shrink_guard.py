"""Sites that show less than they have, time and again: the backend never loses a type on one reading's word (D20, P5)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from shutil import rmtree
from typing import Any

import pytest
from builders import a_post_type, a_site, a_taxonomy, answers, counted, uncounted
from fakes import FakeBackend, FakeReader, ManualClock, ports
from figures import Proof

from agent import sync
from agent.errors import LoginRefused, RestClosed, SiteUnreachable, SuspiciousShrink
from agent.outcome import Outcome
from agent.redact import Redactor
from agent.state.ledger import Ledger
from agent.state.records import Result, Trigger
from agent.state.store import open_store
from agent.structure.model import LoginState
from agent.sync import Task, sync_site

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("sheltered"), pytest.mark.timeout(3_600)]

STEPS = 10
BLOCK = 500
"""Histories on one state, which is made anew for the next."""
EVERYWHERE = {"post", "page"}
TYPES = {slug: a_post_type(slug) for slug in ("post", "page", "book", "film", "event")} | {
    slug: a_taxonomy(slug) for slug in ("category", "genre")
}
CLOSED = RestClosed("closed", reason="rest_closed", hint="h")
REFUSED = LoginRefused("refused", reason="auth", hint="h")


@dataclass
class History:
    """One site that changes, its readings, which are worse than it is, and what the backend holds after each."""

    chance: Random
    name: str
    ledger: Ledger
    has: set[str] = field(default_factory=lambda: {"post", "page", "book", "film", "category"})
    mood: str = "whole"
    logged_in: bool = False
    """Whether the newest structure was read with a login."""
    doubted: tuple[datetime, set[str]] | None = None
    """When the last reading was refused for what it did not show, and what that was."""

    def __post_init__(self) -> None:
        self.clock, self.backend = ManualClock(), FakeBackend()

    async def live(self) -> None:
        for _ in range(STEPS):
            self._change()
            shown, said = self._reading()
            await self._step(shown, said)
        self.mood = "whole"
        for _ in range(2):
            self.clock.advance(minutes=11)
            await self._step(self.has, self._answers(self.has, learned=self.has))
        assert self._held() == self.has, "what the site has in the end did not arrive"

    def _change(self) -> None:
        self.clock.advance(minutes=self.chance.choice((2, 9, 11, 40, 1440)))
        if self.chance.random() < 0.2:
            self.has ^= {self.chance.choice(sorted(TYPES))}

    def _reading(self) -> tuple[set[str], Any]:
        """What it shows, and how it is said."""
        if self.chance.random() < 0.6:  # a bad mood often lasts
            self.mood = self.chance.choice(("whole", "whole", "part", "part", "nothing", "closed", "stranger", "down"))
        if self.mood == "down":
            return set(), SiteUnreachable("down", reason="read_timeout", hint="h")
        shown = set(self.has) if self.mood == "whole" else {one for one in self.has if self.chance.random() < 0.5}
        if self.mood == "nothing":
            shown = set()
        learned = {one for one in shown if self.chance.random() < 0.7}
        fields: dict[str, Any] = {"closed": {"closed": CLOSED}, "stranger": {"login": LoginState("failed", failure=REFUSED)}}
        return shown, self._answers(shown, learned=learned, **fields.get(self.mood, {}))

    def _answers(self, shown: set[str], *, learned: set[str], **fields: Any) -> Any:
        pairs = [(TYPES[slug], counted(3) if slug in learned else uncounted()) for slug in sorted(shown)]
        usual = {"finished_at": self.clock.at, "login": LoginState("proved", "bot"), "counted": tuple(pairs)}
        return answers(**(usual | fields))

    async def _step(self, shown: set[str], said: Any) -> None:
        held = self._held()
        reader = FakeReader({self.name: said})
        task = Task(a_site(self.name), self.clock.at.date(), Trigger.SCHEDULE)
        outcome = await sync_site(task, ports(reader, self.backend, self.ledger, self.clock))
        self._check(held, shown, outcome)

    def _check(self, held: set[str], shown: set[str], outcome: Outcome) -> None:
        lost = held - self._held()
        delivered = outcome.result is Result.DELIVERED
        blind = self.mood in ("closed", "down") or (self.mood == "stranger" and self.logged_in)
        assert not (delivered and blind), f"a site that was {self.mood} was believed"
        assert not lost & shown, "the site shows what is gone"
        if lost & EVERYWHERE or len(lost) * 2 > len(held) > 0:
            assert self.doubted, "gone on one reading's word"
            at, missing = self.doubted
            assert lost <= missing, "the reading before had it still"
            assert self.clock.at - at >= timedelta(minutes=10), "two readings of one moment"
        if delivered:
            self.logged_in = self.mood != "stranger"
        doubted = isinstance(outcome.error, SuspiciousShrink)
        self.doubted = (self.clock.at, held - shown) if doubted else None

    def _held(self) -> set[str]:
        document = self.backend.holds.get(self.name, {"post_types": {}, "taxonomies": {}})
        return {*document["post_types"], *document["taxonomies"]}


def ledgers(folder: Path, number: int) -> Iterator[tuple[Ledger, range]]:
    for first in range(0, number, BLOCK):
        ledger = Ledger(open_store(folder / "state"), Redactor())
        try:
            yield ledger, range(first, min(first + BLOCK, number))
        finally:
            ledger.close()
            rmtree(folder / "state")


async def check_histories(folder: Path, number: int) -> None:
    for ledger, seeds in ledgers(folder, number):
        for seed in seeds:
            try:
                await History(Random(seed), f"site-{seed}", ledger).live()
            except AssertionError as error:
                raise AssertionError(f"history {seed}: {error}") from error


@pytest.mark.parametrize("number", [100, pytest.param(20_000, marks=pytest.mark.nightly)])
async def test_no_type_is_lost_on_one_readings_word(memory: Path, proof: Proof, number: int) -> None:
    await check_histories(memory, number)

    proof("D20 P5", "sites that show less than they have", f"{number:,} histories of {STEPS} readings", "0 types lost unconfirmed")


@pytest.mark.parametrize("rule", ["guard off", "lesser view believed", "unknown is gone"])
async def test_a_guard_that_lets_everything_through_is_noticed(
    memory: Path, proof: Proof, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    def believing(*_: Any, **__: Any) -> None:
        pass

    def forgetful(given: Any, *, choices: Any, last_known: Any) -> Any:
        return build(given, choices=choices, last_known={})

    build = sync.build_structure
    broken = {
        "guard off": ("refuse_suspicious_shrink", believing),
        "lesser view believed": ("refuse_lesser_view", believing),
        "unknown is gone": ("build_structure", forgetful),
    }
    monkeypatch.setattr(sync, *broken[rule])

    with pytest.raises(AssertionError, match="history"):
        await check_histories(memory, 100)

    proof("D20", f"negative control: {rule}", "1 rule broken", "noticed")
