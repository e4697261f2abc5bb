"""The rules of the house that no type checker knows."""

import ast
import re
from collections.abc import Iterator

import pytest
from source import ROOT, Module, modules

from agent import errors
from agent.config import _variables
from agent.telemetry import events

FILE_LINES = 320
FUNCTION_LINES = 50
"""Without its docstring."""
TABLES = re.compile(r"m\d{3}_\w+|django_settings")
"""Tables in the form of a function, of SQL and of Django's settings, may be longer."""

OURS = [module for module in modules().values() if module.room not in ("hub", "demo")]


def calls(module: Module) -> Iterator[str]:
    """`time.time`, `datetime.now`, `print`: what is called, as it is written."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


STRAY = re.compile(r"(time\.(time|monotonic|sleep|perf_counter)|(datetime|date)\.(now|utcnow|today)|random\..+)")


@pytest.mark.parametrize("module", OURS, ids=lambda module: module.name)
def test_time_and_chance_are_handed_down(module: Module) -> None:
    if module.name != "clock":
        assert [call for call in calls(module) if STRAY.fullmatch(call)] == []


@pytest.mark.parametrize("module", OURS, ids=lambda module: module.name)
def test_only_the_doors_print(module: Module) -> None:
    if module.name not in ("report", "cli", "hubserver", "premises"):
        assert "print" not in calls(module)


def test_the_premises_print_one_thing_that_must_not_be_logged() -> None:
    assert list(calls(modules()["premises"])).count("print") <= 1


@pytest.mark.parametrize("module", modules().values(), ids=lambda module: module.name)
def test_files_and_functions_stay_short(module: Module) -> None:
    assert len(module.path.read_text().splitlines()) <= FILE_LINES
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not TABLES.fullmatch(node.name):
            said = len((ast.get_docstring(node) or "").splitlines())
            assert (node.end_lineno or 0) - node.lineno + 1 - said <= FUNCTION_LINES, node.name


# Certificates that are not checked are the linter's to find (S501).
FORBIDDEN = re.compile(r"follow_redirects\s*=\s*True|pickle|yaml\.load|shell\s*=\s*True|\beval\(|\bexec\(")


@pytest.mark.parametrize("module", modules().values(), ids=lambda module: module.name)
def test_what_is_never_written(module: Module) -> None:
    assert FORBIDDEN.findall(module.path.read_text()) == []


LEAVES = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.AgentError) and not kind.__subclasses__()
]


def _raised() -> set[str]:
    """Names of errors that are made, or handed to somebody who makes them."""
    found: set[str] = set()
    for module in modules().values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) not in ("isinstance", "issubclass"):
                found |= {part.id for part in (node.func, *node.args) if isinstance(part, ast.Name)}
    return found


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.__name__)
def test_every_error_is_raised_somewhere(leaf: type[errors.AgentError]) -> None:
    assert leaf.__name__ in _raised()


def test_every_error_that_is_made_says_what_to_do() -> None:
    names = {leaf.__name__ for leaf in LEAVES}
    for module in modules().values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
                assert {"reason", "hint"} <= {keyword.arg for keyword in node.keywords}, (module.name, node.lineno)


EVENTS = {name: value for name, value in vars(events).items() if name.isupper() and isinstance(value, str)}


def test_events_are_of_the_catalogue_and_the_catalogue_is_of_events() -> None:
    used: set[str] = set()
    for module in OURS:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "events":
                used.add(node.attr)
            if isinstance(node, ast.Call) and re.fullmatch(r"log\.(debug|info|warning|error)", ast.unparse(node.func)):
                assert ast.unparse(node.args[0]).startswith("events."), (module.name, node.lineno)

    assert used - {"SENTENCES"} == EVENTS.keys()
    assert all(re.fullmatch(r"[a-z]+\.[a-z]+", value) for value in EVENTS.values())


def test_every_option_is_documented() -> None:
    documents = "".join((ROOT / name).read_text() for name in ("README.md", "config/README.md"))

    assert [name for name, _, _ in _variables() if name not in documents] == []
