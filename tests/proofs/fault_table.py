"""The declared outcome of every fault at every request (`fault_table.toml`), by rules of which the last one counts."""

import tomllib
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("fault_table.toml")
OUTCOME = ("result", "reason", "code", "asked")


class Undeclared(AssertionError):
    """A cell that no rule says everything of."""


@dataclass(frozen=True)
class Cell:
    """One fault at one kind of request at one moment, and what it must come to."""

    fault: str
    kind: str
    moment: str
    impossible: str = ""
    result: str = ""
    reason: str = ""
    code: int = 0
    asked: tuple[int, int] = (0, 0)
    """The fewest and the most."""

    def __str__(self) -> str:
        return f"{self.fault}, {self.moment} {self.kind}"


def cells(peer: str, *, without_rule: int | None = None) -> list[Cell]:
    """Every cell of this peer; raises Undeclared.

    without_rule   as if this rule were not there
    """
    table = tomllib.loads(TABLE.read_text())[peer]
    kept = [rule for number, rule in enumerate(table["rule"]) if number != without_rule]
    names = product(table["faults"], table["kinds"], table["moments"])
    return [_declared(kept, *name) for name in names]


def rows_here() -> set[str]:
    """The rows of the catalogue that a fault of the table is of."""
    table = tomllib.loads(TABLE.read_text())
    return {row for peer in ("backend", "site") for rows in table[peer]["faults"].values() for row in rows.split()}


def rows_elsewhere() -> dict[str, str]:
    """The other rows, each with the file or test that proves it."""
    rows: dict[str, str] = tomllib.loads(TABLE.read_text())["elsewhere"]
    return rows


def rules(peer: str) -> int:
    """How many rules there are."""
    return len(tomllib.loads(TABLE.read_text())[peer]["rule"])


def _declared(rules: list[dict[str, Any]], fault: str, kind: str, moment: str) -> Cell:
    said: dict[str, Any] = {}
    for rule in rules:
        concerned = fault in rule.get("faults", [fault]) and fault not in rule.get("except", [])
        concerned = concerned and kind not in rule.get("except_kinds", [])
        if concerned and kind in rule.get("kinds", [kind]) and moment in rule.get("moments", [moment]):
            said |= {key: rule[key] for key in (*OUTCOME, "impossible") if key in rule}
    if "impossible" in said:
        return Cell(fault, kind, moment, impossible=said["impossible"])
    if missing := set(OUTCOME) - said.keys():
        raise Undeclared(f"{fault}, {moment} {kind}: no rule says {', '.join(sorted(missing))}")
    least_most = said["asked"] if isinstance(said["asked"], list) else [said["asked"]] * 2
    return Cell(fault, kind, moment, **said | {"asked": tuple(least_most)})
