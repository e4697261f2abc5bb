"""A process with everything imported that forks one worker after another: two hundred kills cost no two hundred starts.

Each line on stdin is an order, each line on stdout its answer:

    {"fork": {"environment": {...}, "home": "...", "log": "...", "broken": ""}}   → {"pid": 7}
    {"wait": 7}    → {"code": 0}, or the negative number of the signal that ended it

A child is `wpsa fleet worker` from its first line to its exit code. `broken` names a rule that it breaks.
"""

import gc
import json
import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

ON_THE_WAY = (
    "agent.cli", "agent.workers.worker", "agent.state.fleet_store", "agent.config", "agent.report", "agent.telemetry.logs",
    "procrastinate", "psycopg_pool", "rich.console", "stamina", "_strptime", "agent.ops.endpoint", "zoneinfo._zoneinfo",
)  # fmt: skip


def nobody_is_buried() -> None:
    """What the dead had in hand stays theirs."""
    from agent.state.fleet_store import FleetStore

    FleetStore.bury_dead = lambda self: []  # type: ignore[method-assign]


def anybody_may_write() -> None:
    """Who has lost a site writes of it all the same."""
    from agent.state.fleet_store import FleetStore

    FleetStore._must_have = lambda self, connection, site: None  # type: ignore[method-assign]  # noqa: SLF001 - broken on purpose


def a_new_document_for_every_try() -> None:
    """What is owed by the dead is read anew, instead of being sent as it is."""
    from agent.state.ledger import Ledger

    Ledger.waiting = lambda self, site, *, now: None  # type: ignore[method-assign,assignment]
    slot = Ledger.slot

    def forgetful(self: Ledger, site: str) -> Any:
        row = slot(self, site)
        return None if row and row.state != "closed" else row

    Ledger.slot = forgetful  # type: ignore[method-assign]


BROKEN: dict[str, Callable[[], None]] = {
    "": lambda: None,
    "nobody is buried": nobody_is_buried,
    "anybody may write": anybody_may_write,
    "a new document for every try": a_new_document_for_every_try,
}


def main() -> None:
    for name in ON_THE_WAY:
        import_module(name)
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        match json.loads(line):
            case {"fork": order}:
                if (pid := os.fork()) == 0:
                    be_a_worker(order)
                tell({"pid": pid})
            case {"wait": pid}:
                _, status = os.waitpid(pid, 0)
                tell({"code": os.waitstatus_to_exitcode(status)})


def tell(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def be_a_worker(order: dict[str, Any]) -> None:
    """Never returns."""
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, descriptor in enumerate((nothing, log, log)):
        os.dup2(descriptor, number)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["home"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    code = 1
    try:
        BROKEN[order["broken"]]()
        sys.argv = ["wpsa", "fleet", "worker"]
        import_module("agent.cli").main()
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
