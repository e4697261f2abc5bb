"""Prints the table of promises from a file of figures, one JSON a line: `python promises.py FILE`."""

import json
import re
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


def in_order(row: dict[str, Any]) -> tuple[int, bool, str]:
    """By goal, each with what proves the proof behind it."""
    number = re.search(r"\d+", row["goal"])
    return int(number[0]) if number else 0, "negative control" in row["what"], row["what"]


def table(rows: list[dict[str, Any]]) -> Table:
    made = Table(box=None, pad_edge=False)
    for name, justify in (("goal", "left"), ("what", "left"), ("size", "left"), ("reached", "left"), ("seconds", "right")):
        made.add_column(name, justify=justify)  # type: ignore[arg-type]
    for row in sorted(rows, key=in_order):
        made.add_row(row["goal"], row["what"], row["size"], row["result"], f"{row['seconds']:.1f}")
    return made


if __name__ == "__main__":
    rows = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
    Console(width=170, markup=False, highlight=False).print(table(rows))
    failed = sum(row["result"] == "DID NOT HOLD" for row in rows)
    print(f"\n{len(rows) - failed} proofs hold, {failed} do not.")
