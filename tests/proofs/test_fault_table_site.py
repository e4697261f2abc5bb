"""Every fault at every kind of request of a site, as declared (D5)."""

from pathlib import Path

import pytest
import stamina
from fakes import VIRTUAL_TIME, Logs
from fault_table import cells
from figures import Proof
from one_cell import check_cell, stage
from site_on_wire import KINDS

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]


@pytest.fixture
def anyio_backend(sheltered: None, logs: Logs) -> object:
    stamina.set_testing(False)
    return VIRTUAL_TIME


@pytest.mark.parametrize("kind", KINDS)
async def test_a_fault_of_a_site_comes_to_what_is_declared(memory: Path, proof: Proof, kind: str) -> None:
    every = [cell for cell in cells("site") if cell.kind == kind]
    possible = [cell for cell in every if not cell.impossible]
    wrong = []
    async with stage(memory, login=kind == "XML-RPC") as on:
        for cell in possible:
            await on.begin()
            on.site.fault, on.site.kind, on.site.moment = cell.fault, kind, cell.moment
            try:
                await check_cell(cell, on)
            except AssertionError as error:
                wrong.append(f"{cell}: {str(error).splitlines()[0]}")

    assert not wrong, "\n".join(wrong)
    size = f"{len(possible)} cells, {len(every) - len(possible)} impossible"
    proof("D5 D18 S03–S53", f"fault table, site: {kind}", size, "outcome, code, requests as declared; healed")
