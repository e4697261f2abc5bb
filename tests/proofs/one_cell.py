"""One cell of the fault table, driven: a whole sync against a site and a backend on raw sockets, then another one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from builders import answers
from fake_wordpress import PASSWORD
from fakes import FakeReader, ManualClock, served
from fault_table import Cell
from scripted_backend import ScriptedBackend
from site_on_wire import SiteOnWire

from agent.bootstrap import open_agent
from agent.config import load
from agent.oneshot import sync_on_demand
from agent.outcome import Outcome
from agent.redact import Redactor
from agent.settings import Settings
from agent.state.records import Delivery


@dataclass
class Stage:
    site: SiteOnWire
    backend: ScriptedBackend
    settings: Settings
    clock: ManualClock
    reader: FakeReader | None
    """In the place of a reading, where the backend is what matters."""

    async def sync(self) -> tuple[Outcome, Delivery | None]:
        """One `wpsa sync`, and what is owed after it."""
        opened = open_agent(
            self.settings, self.settings.all_sites, redactor=Redactor(), hub_listen="127.0.0.1:0", clock=self.clock.clock,
            observers=(),
        )  # fmt: skip
        async with opened as agent:
            read = replace(agent.ports, reader=self.reader) if self.reader else agent.ports
            [outcome] = await sync_on_demand(replace(agent, ports=read))
            return outcome, agent.ledger.owed_to("shop")


@asynccontextmanager
async def stage(folder: Path, *, login: bool = False, verify: bool = False, reads: bool = True) -> AsyncIterator[Stage]:
    async with served(SiteOnWire([])) as site, served(ScriptedBackend()) as backend:
        environ = {
            "WPSA_SITE_URL": site.url, "WPSA_SITE_NAME": "shop", "WPSA_STATE_DIR": str(folder),
            "WPSA_BACKEND_URL": backend.url, "WPSA_BACKEND_EMAIL": "bot@shop.example", "WPSA_BACKEND_PASSWORD": "secret",
            "WPSA_BACKEND_SITE_ID": "42", "WPSA_BACKEND_VERIFY": str(verify).lower(),
        }  # fmt: skip
        if login:
            environ |= {"WPSA_SITE_USERNAME": "joe", "WPSA_SITE_APPLICATION_PASSWORD": PASSWORD}
        reader = None if reads else FakeReader({"shop": answers()})
        yield Stage(site, backend, load({}, environ=environ).settings, ManualClock(), reader)


def said_of(outcome: Outcome) -> tuple[str, str, int]:
    """(result, reason, exit code)"""
    return str(outcome.result), outcome.error.reason if outcome.error else "", outcome.exit_code


async def check_cell(cell: Cell, on: Stage) -> None:
    """The outcome is as declared, the state says the same, and the next sync delivers."""
    outcome, owed = await on.sync()
    came, declared = said_of(outcome), (cell.result, cell.reason, cell.code)
    assert came == declared, f"came to {came}, declared is {declared}"
    asked, (least, most) = asked_now(cell, on), cell.asked
    assert least <= asked <= most, f"asked {asked} times, declared is {cell.asked}"
    assert (owed is not None) == (cell.result in ("pending", "held")), f"the state owes {owed}"
    assert outcome.error is None or outcome.error.hint, "no hint"
    if cell.result == "delivered":
        assert on.backend.stored, "delivered, and not there"

    on.site.heal()
    on.backend.heal()
    keys = len(on.backend.keys)
    on.clock.advance(days=1, minutes=1)  # the longest pause that anybody asked for
    healed, owed = await on.sync()
    assert said_of(healed) == ("delivered", "", 0), f"not healed: {healed.error}"
    assert owed is None, "still owed"
    assert len(on.backend.keys) == keys + 1, "not pushed once"
    assert len(set(on.backend.keys[:keys])) <= 1, "another key at each try"


def asked_now(cell: Cell, on: Stage) -> int:
    return on.backend.asked_of[cell.kind] if on.backend.kind else on.site.asked_of(cell.kind)
