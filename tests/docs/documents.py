"""Reading what people read: tables and blocks of Markdown, and every WPSA_* name in a text."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
NAME = re.compile(r"\bWPSA_[A-Z0-9_]*[A-Z0-9]\b")


def table_under(heading: str, text: str = README, *, which: int = 0) -> list[list[str]]:
    """The rows of a table below a heading, without its head; cells stripped, escaped bars resolved."""
    section = re.split(rf"^#+ {re.escape(heading)}$", text, flags=re.MULTILINE)[1]
    section = re.split(r"^#+ ", section, flags=re.MULTILINE)[0]
    tables = re.findall(r"(?:^\|.*\n)+", section, flags=re.MULTILINE)
    return [_cells(row) for row in tables[which].splitlines()[2:]]


def _cells(row: str) -> list[str]:
    return [cell.replace(r"\|", "|").strip() for cell in re.split(r"(?<!\\)\|", row.strip().strip("|"))]


def code(cell: str) -> str:
    """The text of a cell that is one piece of code; anything else as it is."""
    found = re.fullmatch(r"`([^`]*)`", cell)
    return found[1] if found else cell


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def parsed(path: Path) -> Any:
    """A file of one YAML document."""
    return yaml.safe_load(path.read_text("utf-8"))


def for_operators() -> list[Path]:
    """Every text that somebody outside reads or copies."""
    files = [path for path in (ROOT / "config").rglob("*") if path.is_file() and "secrets" not in path.parts]
    names = ("README.md", "CHANGELOG.md", "Dockerfile", ".dockerignore", "agent/README.md", "tests/README.md")
    return sorted({*files, *(ROOT / name for name in names)})
