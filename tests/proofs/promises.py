"""Prints the table of promises from a file of figures, one JSON a line: `python promises.py FILE`."""

import json
import re
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

NOT = "DID NOT HOLD"
PROMISES = {
    "P1": "durable once it is owed",
    "P2": "converges when both ends are healthy",
    "P3": "never an older structure over a newer one",
    "P4": "every slot pushes, once in effect",
    "P8": "bounded in memory, requests and time",
    "P9": "no success that was not confirmed",
    "P10": "stops within two seconds, nothing lost",
}
"""What the P of a row stands for; D are sizes and their oracles, K, L, S and F the faults that are met."""


def in_order(row: dict[str, Any]) -> tuple[bool, str, int, bool, str]:
    """What did not hold first, then by goal, each with what proves the proof behind it."""
    letter, number = re.match(r"(\D*)(\d*)", row["goal"]).groups()  # type: ignore[union-attr]
    return row["result"] != NOT, letter, int(number or 0), "negative control" in row["what"], row["what"]


def table(rows: list[dict[str, Any]]) -> Table:
    made = Table(box=None, pad_edge=False)
    for name, justify in (("goal", "left"), ("what", "left"), ("size", "left"), ("reached", "left"), ("seconds", "right")):
        made.add_column(name, justify=justify)  # type: ignore[arg-type]
    for row in sorted(rows, key=in_order):
        made.add_row(row["goal"], row["what"], row["size"], row["result"], f"{row['seconds']:.1f}")
    return made


if __name__ == "__main__":
    rows = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
    console = Console(width=170, markup=False, highlight=False)
    console.print(table(rows))
    failed = sum(row["result"] == NOT for row in rows)
    seconds = sum(row["seconds"] for row in rows)
    console.print("\n" + " · ".join(f"{name} {words}" for name, words in PROMISES.items()))
    print(f"\n{len(rows) - failed} proofs hold, {failed} do not; {seconds:,.0f} seconds of one core or another.")
