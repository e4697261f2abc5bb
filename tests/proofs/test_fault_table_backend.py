"""Every fault at every kind of request of the backend, before, in the middle of and after its work, as declared (D5)."""

from pathlib import Path

import pytest
import stamina
from fakes import VIRTUAL_TIME, Logs
from fault_table import Cell, Undeclared, cells, rows_elsewhere, rows_here, rules
from figures import Proof
from one_cell import check_cell, stage

TESTS = Path(__file__).parents[1]

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]


@pytest.fixture
def anyio_backend(sheltered: None, logs: Logs) -> object:
    stamina.set_testing(False)
    return VIRTUAL_TIME


@pytest.mark.parametrize("kind", ["login", "refresh", "look-up", "push", "read-back"])
async def test_a_fault_of_the_backend_comes_to_what_is_declared(memory: Path, proof: Proof, kind: str) -> None:
    every = [cell for cell in cells("backend") if cell.kind == kind]
    possible = [cell for cell in every if not cell.impossible]
    wrong = []
    async with stage(memory, reads=False) as on:
        for cell in possible:
            await on.begin(verify=kind == "read-back" or cell.fault == "204")
            backend = on.backend
            backend.fault, backend.kind, backend.moment, backend.expires = cell.fault, kind, cell.moment, kind == "refresh"
            try:
                await check_cell(cell, on)
            except AssertionError as error:
                wrong.append(f"{cell}: {str(error).splitlines()[0]}")

    assert not wrong, "\n".join(wrong)
    size = f"{len(possible)} cells, {len(every) - len(possible)} impossible"
    proof("D5 D18 K01–K37", f"fault table, backend: {kind}", size, "outcome, code, requests as declared; healed")


NUMBERED = {"S": 56, "K": 39, "L": 37, "F": 18}
"""Of the site, the backend, the machine, and of fleets and the hub."""
ROWS = {f"{letter}{number:02}" for letter, last in NUMBERED.items() for number in range(1, last + 1)}


def test_every_row_of_the_catalogue_is_a_fault_of_the_table_or_is_proved_elsewhere(proof: Proof) -> None:
    here, elsewhere = rows_here(), rows_elsewhere()

    assert here | elsewhere.keys() == ROWS
    assert not here & elsewhere.keys(), "said twice"
    for what in elsewhere.values():
        path, _, test = what.partition("::")
        assert (TESTS / path).exists(), what
        assert f"def {test}(" in (TESTS / path).read_text("utf-8") if test else True, what
    size = f"{len(here)} rows in the table, {len(elsewhere)} elsewhere"
    proof("D5", "the catalogue of 150 rows", size, "none without a proof")


@pytest.mark.parametrize("peer", ["backend", "site"])
def test_a_cell_that_nobody_declared_is_noticed(proof: Proof, peer: str) -> None:
    """Whichever rule is taken away, some cell has no outcome or another one."""
    declared, number = cells(peer), rules(peer)

    assert [rule for rule in range(number) if not is_missed(peer, rule, declared)] == []
    proof("D5", f"negative control: a rule of the {peer}'s table is missing", f"{number} rules", "each one noticed")


def is_missed(peer: str, rule: int, declared: list[Cell]) -> bool:
    try:
        return cells(peer, without_rule=rule) != declared
    except Undeclared:
        return True
