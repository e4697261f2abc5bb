"""A process with everything imported that forks one `wpsa` after another: a command costs its work, not its start.

Each line on stdin is an order, each line on stdout its answer:

    {"fork": {"arguments": [...], "environment": {...}, "home": "...", "said": "...", "broken": ""}}  → {"pid": 7}
    {"go": 7}      the child begins; until then it waits, so that strace can take hold of it     → {}
    {"wait": 7}    → {"code": 0}, or the negative number of the signal that ended it

A child is the installed command from its first line to its exit code; only the interpreter's own start is
behind it. `broken` names a rule that the child breaks (`broken_rules.py`): the negative controls.
"""

import ctypes
import gc
import json
import os
import sys
import traceback
from importlib import import_module
from typing import Any

PR_SET_PTRACER, ANYBODY = 0x59616D61, ctypes.c_ulong(-1)


ON_THE_WAY = (
    "agent.cli", "agent.daemon", "agent.oneshot", "agent.config", "agent.naming", "agent.report", "agent.telemetry.logs",
    "rich.console", "rich.markup", "stamina", "_strptime",
)  # fmt: skip
"""What a sync and a daemon import when they need it: here already, so that no child does."""


def main() -> None:
    for name in ON_THE_WAY:
        import_module(name)
    gc.collect()
    gc.freeze()
    waiting: dict[int, int] = {}
    for line in sys.stdin:
        match json.loads(line):
            case {"fork": order}:
                reading, writing = os.pipe()
                pid = os.fork()
                if pid == 0:
                    os.close(writing)
                    be_the_command(order, reading, waiting)
                os.close(reading)
                waiting[pid] = writing
                tell({"pid": pid})
            case {"go": pid}:
                os.write(waiting[pid], b"!")
                tell({})
            case {"wait": pid}:
                _, status = os.waitpid(pid, 0)
                os.close(waiting.pop(pid))
                tell({"code": os.waitstatus_to_exitcode(status)})


def tell(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def be_the_command(order: dict[str, Any], started: int, others: dict[int, int]) -> None:
    """Never returns."""
    for descriptor in others.values():
        os.close(descriptor)
    # Some kernels let only a parent trace; strace is none.
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, ANYBODY, 0, 0, 0)
    said = os.open(order["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(said, 1)
    os.dup2(said, 2)
    os.close(said)
    os.close(nothing)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["home"])
    code = 1
    try:
        from broken_rules import BROKEN

        from agent.cli import main as wpsa

        sys.argv = ["wpsa", *order["arguments"]]
        BROKEN[order["broken"]]()
        os.read(started, 1)
        os.close(started)
        wpsa()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - a real interpreter prints it too
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
