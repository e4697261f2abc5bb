"""One cell of the fault table, on a real wire: the fault in one run, none in the next. Time is virtual, the rest is real."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any

import fake_wordpress
from builders import answers
from fake_wordpress import PASSWORD
from fakes import FakeReader, ManualClock, served
from fault_table import Cell
from scripted_backend import ScriptedBackend
from site_on_wire import SiteOnWire

from agent.bootstrap import Agent, open_agent
from agent.config import load
from agent.oneshot import sync_on_demand
from agent.outcome import Outcome
from agent.redact import Redactor
from agent.settings import Settings
from agent.state.records import Delivery

COUNTS = fake_wordpress.COUNTS | {"hidden": 6}


@dataclass
class Stage:
    """A site, a backend and an agent between them; `begin` before each cell."""

    site: SiteOnWire
    backend: ScriptedBackend
    settings: Settings
    reader: FakeReader | None
    """In the place of a reading, where the backend is what matters."""
    clock: ManualClock = field(default_factory=ManualClock)

    async def begin(self, *, verify: bool = False) -> None:
        """As if nothing had been asked yet, and everybody were healthy."""
        folder = Path(self.settings.state.dir)
        beginning = folder.with_name("beginning")
        self.settings = self.settings.model_copy(
            update={"backend": self.settings.backend.model_copy(update={"verify": verify})}
        )
        if not beginning.exists():
            async with self.opened():
                pass  # the tables, which are half of the work of a cell
            folder.rename(beginning)
        rmtree(folder, ignore_errors=True)
        copytree(beginning, folder)
        self.clock = ManualClock()
        self.site.begin()
        self.backend.begin()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Agent]:
        opened = open_agent(
            self.settings, self.settings.all_sites, redactor=Redactor(), hub_listen="127.0.0.1:0", clock=self.clock.clock,
            observers=(),
        )  # fmt: skip
        async with opened as agent:
            yield replace(agent, ports=replace(agent.ports, reader=self.reader)) if self.reader else agent

    async def sync(self) -> tuple[Outcome, Delivery | None]:
        """One `wpsa sync`, and what is owed after it."""
        async with self.opened() as agent:
            [outcome] = await sync_on_demand(agent)
            return outcome, agent.ledger.owed_to("shop")


@asynccontextmanager
async def stage(folder: Path, *, login: bool = False, reads: bool = True) -> AsyncIterator[Stage]:
    """login   the agent has one at the site"""
    async with served(SiteOnWire([])) as site, served(ScriptedBackend()) as backend:
        environ = {
            "WPSA_SITE_URL": site.url, "WPSA_SITE_NAME": "shop", "WPSA_STATE_DIR": str(folder / "state"),
            "WPSA_BACKEND_URL": backend.url, "WPSA_BACKEND_EMAIL": "bot@shop.example", "WPSA_BACKEND_PASSWORD": "secret",
            "WPSA_BACKEND_SITE_ID": "42",
        }  # fmt: skip
        if login:
            environ |= {"WPSA_SITE_USERNAME": "joe", "WPSA_SITE_APPLICATION_PASSWORD": PASSWORD}
        reader = None if reads else FakeReader({"shop": answers()})
        yield Stage(site, backend, load({}, environ=environ).settings, reader)


def said_of(outcome: Outcome) -> tuple[str, str, int]:
    """(result, reason, exit code)"""
    return str(outcome.result), outcome.error.reason if outcome.error else "", outcome.exit_code


async def check_cell(cell: Cell, on: Stage) -> None:
    """The outcome is as declared, the state says the same, and the next sync delivers."""
    outcome, owed = await on.sync()
    came, declared = (*said_of(outcome), asked_now(cell, on)), (cell.result, cell.reason, cell.code, cell.asked)
    assert came[:3] == declared[:3], f"came to {came}, declared is {declared}"
    least, most = cell.asked
    assert least <= came[3] <= most, f"asked {came[3]} times, declared is {cell.asked}"
    assert (owed is not None) == (cell.result in ("pending", "held")), f"the state owes {owed}"
    assert outcome.error is None or outcome.error.hint, "no hint"
    if cell.result == "delivered":
        assert on.backend.stored, "delivered, and not there"
        assert on.reader or counts_in(on.backend.stored) <= COUNTS.items(), "a wrong number"

    on.site.heal()
    on.backend.heal()
    keys = len(on.backend.keys)
    on.clock.advance(days=1, minutes=1)  # the longest pause that anybody asked for
    healed, owed = await on.sync()
    assert said_of(healed) == ("delivered", "", 0), f"not healed: {healed.error}"
    assert owed is None, "still owed"
    assert len(on.backend.keys) == keys + 1, "not pushed once"
    assert len(set(on.backend.keys[:keys])) <= 1, "another key at each try"


def counts_in(stored: dict[str, Any]) -> set[tuple[str, int]]:
    return {(slug, entry["count"]) for entries in stored.values() for slug, entry in entries.items()}


def asked_now(cell: Cell, on: Stage) -> int:
    return on.backend.asked_of[cell.kind] if on.backend.kind else on.site.asked_of(cell.kind)
