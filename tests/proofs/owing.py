"""A program that owes and delivers structures one after another, and says when each was promised (for test_power_loss).

`python owing.py FOLDER SYNCHRONOUS ROUNDS`
"""

import os
import sys
from datetime import timedelta
from pathlib import Path

from builders import NOW, a_post_type, a_receipt, a_structure, counted

from agent.redact import Redactor
from agent.state import store
from agent.state.ledger import Ledger
from agent.state.records import Trigger
from agent.structure.model import Structure


def main() -> None:
    folder, synchronous, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    # A small log, so that it is written back again and again: that is where a careless disk order shows.
    pragmas = [line for line in store._PRAGMAS if "synchronous" not in line]  # noqa: SLF001 - the one rule that is tried
    store._PRAGMAS = (*pragmas, f"PRAGMA synchronous = {synchronous}", "PRAGMA wal_autocheckpoint = 24")  # noqa: SLF001
    promises = os.open(folder / "promises", os.O_WRONLY | os.O_CREAT, 0o600)
    for opening in range(3):
        ledger = Ledger(store.open_store(folder), Redactor())
        for number in range(opening * rounds, (opening + 1) * rounds):
            at = NOW + timedelta(minutes=number)
            run = ledger.begin("shop", trigger=Trigger.DEMAND, day=at.date(), at=at)
            delivery, _ = ledger.owe(run, structure(number), at=at)
            os.write(promises, f"owed {delivery.generation}\n".encode())
            if number % 3:
                ledger.record_receipt(delivery, a_receipt(), at=at)
                os.write(promises, f"delivered {delivery.generation}\n".encode())
        ledger.close()


def structure(number: int) -> Structure:
    return a_structure((a_post_type("post"), counted(number)), (a_post_type("page"), counted(12)))


if __name__ == "__main__":
    main()
