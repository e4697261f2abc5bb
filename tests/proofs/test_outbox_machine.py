"""The outbox as a state machine: owing, answers that come late, kills, restarts and clocks that jump (P1, P3)."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp

import pytest
from builders import NOW, a_post_type, a_receipt, a_structure, counted
from figures import Proof
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from machines import histories, until_it_breaks
from world import MEMORY

from agent.errors import BackendUnreachable
from agent.redact import Redactor
from agent.state.ledger import Ledger
from agent.state.records import Delivery, Receipt, Trigger
from agent.state.store import open_store

SITES = st.sampled_from(("shop", "blog"))
JUMPS = st.sampled_from((timedelta(seconds=1), timedelta(0), timedelta(hours=-30), timedelta(days=400)))


class Outbox(RuleBasedStateMachine):
    """The ledger against what a dictionary says."""

    kind: type[Ledger] = Ledger

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.lives = 0
        self.ledger = self.opened()
        self.at: datetime = NOW
        self.owed: dict[str, Delivery] = {}
        self.ever: list[Delivery] = []
        self.newest: dict[str, int] = {}

    def opened(self) -> Ledger:
        return self.kind(open_store(self.folder / str(self.lives)), Redactor())

    def teardown(self) -> None:
        self.ledger.close()
        shutil.rmtree(self.folder)

    @rule(site=SITES, jump=JUMPS, count=st.integers(0, 9))
    def owe(self, site: str, jump: timedelta, count: int) -> None:
        self.at += jump
        run = self.ledger.begin(site, trigger=Trigger.DEMAND, day=self.at.date(), at=self.at)
        structure = a_structure((a_post_type("post"), counted(count)))
        delivery, _ = self.ledger.owe(run, structure, at=self.at)
        assert delivery.generation > self.newest.get(site, 0)
        assert delivery.idempotency_key not in {earlier.idempotency_key for earlier in self.ever}
        self.newest[site] = delivery.generation
        self.owed[site] = delivery
        self.ever.append(delivery)

    @precondition(lambda self: self.ever)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        """The newest one, or one that was superseded long ago and whose answer comes only now."""
        delivery = data.draw(st.sampled_from(self.ever))
        self.ledger.record_receipt(delivery, a_receipt(), at=self.at)
        if self.owed.get(delivery.site) == delivery:
            del self.owed[delivery.site]

    @precondition(lambda self: self.owed)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        delivery = self.owed[data.draw(st.sampled_from(sorted(self.owed)))]
        error = BackendUnreachable("gone", reason="be_5xx", hint="Wait.")
        self.ledger.record_failure(delivery, error, at=self.at, next_at=self.at + timedelta(minutes=1))

    @rule()
    def restart(self) -> None:
        self.ledger.close()
        self.ledger = self.opened()
        self.ledger.recover(at=self.at)

    @rule()
    def kill(self) -> None:
        """The files go on as they are at this moment, and everything in memory is gone."""
        before = self.folder / str(self.lives)
        self.lives += 1
        shutil.copytree(before, self.folder / str(self.lives), ignore=shutil.ignore_patterns("*-shm", "lock"))
        self.ledger.close()
        shutil.rmtree(before)
        self.ledger = self.opened()
        self.ledger.recover(at=self.at)

    @invariant()
    def owes_the_newest_and_nothing_else(self) -> None:
        assert set(self.ledger.owing_sites()) == self.owed.keys()
        for site, delivery in self.owed.items():
            waiting = self.ledger.owed_to(site)
            assert waiting
            assert (waiting.generation, waiting.idempotency_key, waiting.body) == (
                delivery.generation, delivery.idempotency_key, delivery.body
            )  # fmt: skip

    @invariant()
    def keeps_the_structures(self) -> None:
        for site, newest in self.newest.items():
            snapshot = self.ledger.newest_structure(site)
            assert snapshot
            assert snapshot.generation == newest


class Forgetful(Ledger):
    """Whatever is acknowledged, the site's outbox is emptied."""

    def record_receipt(self, delivery: Delivery, receipt: Receipt, *, at: datetime) -> None:
        super().record_receipt(self.owed_to(delivery.site) or delivery, receipt, at=at)


class Broken(Outbox):
    kind = Forgetful


@pytest.mark.parametrize("number", [25, pytest.param(2_000, marks=pytest.mark.nightly)])
@pytest.mark.timeout(1_200)
def test_the_outbox_owes_the_newest_whatever_happens(proof: Proof, number: int) -> None:
    run_state_machine_as_test(Outbox, settings=histories(number, steps=30))

    proof("P1 P3", "outbox as a state machine", f"{number} histories of 30 steps", "0 lost, 0 regressed")


def test_an_outbox_that_forgets_is_noticed(proof: Proof) -> None:
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Broken, settings=until_it_breaks(steps=30))

    proof("P3", "negative control: a late answer empties the outbox", "1 rule broken", "noticed")
