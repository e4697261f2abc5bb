"""Who may import whom: the table below is the rule, and imports are read from the source.

Imports go downward only; the two parties (`wordpress`, `backend`) never meet; the hub is a program
of its own; each library has its one place.
"""

import ast
import re

import pytest
from source import Module, modules

ROOMS = {"backend", "demo", "hub", "net", "state", "structure", "telemetry", "wordpress", "workers"}

# Layer 0, the pure middle: no I/O, no clock, no chance, and none but each other.
PURE = {
    "errors", "redact", "retry", "schedule", "strictjson", "exchange", "outcome", "outages", "diagnosis", "crowds", "state.records",
    "net.addresses", "net.heads", "backend.contract", "telemetry.events",
}  # fmt: skip
# Layers 1 to 3: options, tools, and what is shared by the parties.
NET = {"net.resolver", "net.network", "net.connection", "net.connections"}
TOOLS = NET | {"clock", "accepted", "settings", "body", "faults", "redirects", "detour", "transport", "reception", "web"}
# Layers 4 and 5: the story, which cannot name SQLite, httpx or WordPress, and the crowd of stories.
STORY = {"sync": {"clock"}, "bulkhead": {"sync"}, "fleet": {"sync", "bulkhead"}}

IO = {"asyncio", "fcntl", "http", "httpx", "os", "pathlib", "random", "shutil", "signal", "socket", "sqlite3", "ssl",
      "subprocess", "tempfile", "threading", "time"}  # fmt: skip

HTTPX = {"transport", "faults", "redirects", "body", "detour", "backend.session"} | NET - {"net.resolver"}
"""Besides the readers of WordPress, who need its types of addresses and headers."""
ONLY_IN = {
    "httpx": HTTPX,
    "h11": {"web"},
    "stamina": {"transport", "telemetry.logs"},
    "sqlite3": {"state.schema", "state.store", "state.history", "state.ledger", "state.outbox"},
    "click": {"cli", "command", "configverbs", "fleetverbs"},
    "psycopg": {"state.fleet_schema", "state.fleet_store", "workers.engine", "hub.settings"},
    "psycopg_pool": {"workers.engine"},
    "procrastinate": {"state.fleet_schema", "workers.engine"},
    "apscheduler": {"daemon"},
    "uvicorn": {"web"},
    "starlette": {"ops.endpoint"},
    "prometheus_client": {"ops.metrics", "ops.fleet_series"},
    "rich": {"report", "demo.run"},
    "pydantic_settings": {"settings", "config"},
}


def is_pure(name: str) -> bool:
    return name in PURE or name.startswith("structure.")


def allowed(module: Module) -> set[str]:
    """What of ours a module below the doors may import."""
    pure = {name for name in modules() if is_pure(name)}
    room = {name for name in modules() if name.startswith(f"{module.room}.")} if module.room in ROOMS else set()
    if is_pure(module.name):
        return pure
    if module.name in STORY:
        return pure | STORY[module.name]
    if module.room in ("net", "state", "telemetry"):
        return pure | room
    if module.room in ("backend", "wordpress"):
        return pure | room | TOOLS | {"agent"}
    return pure | TOOLS | {"agent"}


BELOW_THE_DOORS = [
    module
    for name, module in modules().items()
    if is_pure(name) or name in TOOLS | STORY.keys() or module.room in ("state", "telemetry", "backend", "wordpress")
]


@pytest.mark.parametrize("module", BELOW_THE_DOORS, ids=lambda module: module.name)
def test_imports_go_downward(module: Module) -> None:
    assert module.ours - allowed(module) == set()


@pytest.mark.parametrize("module", [m for n, m in modules().items() if is_pure(n)], ids=lambda module: module.name)
def test_the_middle_is_pure(module: Module) -> None:
    assert module.others & (IO | ONLY_IN.keys()) == set()


def test_the_parties_never_meet() -> None:
    for one, other in (("wordpress", "backend"), ("backend", "wordpress")):
        for module in modules().values():
            if module.room == one:
                assert not {name for name in module.ours if name.split(".")[0] == other}, module.name


def test_the_hub_knows_the_contract_and_itself() -> None:
    for module in modules().values():
        if module.room == "hub":
            foreign = {name for name in module.ours if name.split(".")[0] != "hub"}
            assert foreign <= {"backend.contract", "agent"}, module.name


def test_nobody_but_the_doors_knows_the_hub_or_the_demo() -> None:
    doors = {"premises", "hubserver", "cli"}
    for module in modules().values():
        if module.room not in ("hub", "demo") and module.name not in doors:
            assert not {name for name in module.ours if name.split(".")[0] in ("hub", "demo")}, module.name


@pytest.mark.parametrize("library", ONLY_IN)
def test_each_library_has_its_place(library: str) -> None:
    free = {"hub", "demo"} | ({"wordpress"} if library == "httpx" else set())

    users = {module.name for module in modules().values() if library in module.others}
    assert {name for name in users if name.split(".")[0] not in free} <= ONLY_IN[library]
    assert users & ONLY_IN[library], "nobody uses it any more"


def test_only_the_transport_opens_connections() -> None:
    openers = re.compile(r"httpx\.(Async)?Client|httpx\.(get|head|post|put|patch|delete|request|stream|options)|urlopen")
    for module in modules().values():
        if module.room not in ("transport", "hub", "demo"):
            called = [ast.unparse(node.func) for node in ast.walk(module.tree) if isinstance(node, ast.Call)]
            assert [name for name in called if openers.fullmatch(name)] == [], module.name


def test_only_the_net_asks_for_names_and_connects() -> None:
    """asyncio's own way asks in the threads that it waits for at the exit, and connects to any address."""
    openers = re.compile(r".*\b(getaddrinfo|gethostby\w+|create_connection|open_connection|sock_connect)")
    for module in modules().values():
        if module.room not in ("net", "hub", "demo"):
            called = [ast.unparse(node.func) for node in ast.walk(module.tree) if isinstance(node, ast.Call)]
            assert [name for name in called if openers.fullmatch(name)] == [], module.name


def test_imports_run_in_no_circle() -> None:
    graph = {name: module.ours & modules().keys() for name, module in modules().items()}
    done: set[str] = set()

    def walk(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " → ".join((*trail[trail.index(name) :], name))
        if name not in done:
            for following in sorted(graph[name]):
                walk(following, (*trail, name))
            done.add(name)

    for name in graph:
        if not name.startswith("hub."):
            walk(name, ())


def test_the_table_names_modules_that_exist() -> None:
    assert (PURE | TOOLS | STORY.keys() | set().union(*ONLY_IN.values())) <= modules().keys()
