"""The program as its syntax trees show it."""

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
AGENT = ROOT / "agent"


@dataclass(frozen=True)
class Module:
    name: str
    """Without `agent.`: `backend.client`."""
    path: Path
    tree: ast.Module

    @property
    def room(self) -> str:
        return self.name.split(".")[0]

    @property
    def imports(self) -> set[str]:
        """Everything it imports, also inside functions: `agent.errors`, `httpx`, `collections.abc`."""
        found: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                module = node.module or ""
                names = {f"{module}.{alias.name}" for alias in node.names}
                # `from agent.telemetry import events` names a module, `from agent.errors import X` what is in one.
                found |= {name for name in names if name in _paths()} or {module}
        return found

    @property
    def ours(self) -> set[str]:
        return {name.removeprefix("agent.") for name in self.imports if name in _paths()}

    @property
    def others(self) -> set[str]:
        """Top-level names of what is not ours."""
        return {name.split(".")[0] for name in self.imports} - {"agent"}


@cache
def _paths() -> dict[str, Path]:
    found = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in AGENT.rglob("*.py")}
    return {name.removesuffix(".__init__"): path for name, path in found.items()}


@cache
def modules() -> dict[str, Module]:
    """Every module of the program, by its name."""
    return {
        (short := name.removeprefix("agent").removeprefix(".") or "agent"): Module(short, path, ast.parse(path.read_text()))
        for name, path in _paths().items()
    }
