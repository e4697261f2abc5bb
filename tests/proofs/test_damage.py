"""Bits flip and files are cut, in the database and its log: detected or harmless, and never a wrong push (D19)."""

import asyncio
import random
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from builders import NOW, a_post_type, a_receipt, a_structure, counted
from fakes import FakeBackend, FakeReader, ManualClock, ports
from figures import Proof

from agent.errors import StateError
from agent.redact import Redactor
from agent.state import history, ledger, store
from agent.state.ledger import Ledger
from agent.state.records import Delivery, Trigger
from agent.state.store import FILE_NAME, open_store
from agent.sync import redeliver

pytestmark = pytest.mark.usefixtures("sheltered")

SITES = ("shop", "blog", "docs")
Sent = tuple[str, int, str, bytes]
"""All of a document that travels: site, generation, key and body."""


def sent(delivery: Delivery) -> Sent:
    return delivery.site, delivery.generation, delivery.idempotency_key, delivery.body


def write_state(folder: Path, *, closed: bool) -> set[Sent]:
    """A state that owes each site a document; closed, or as a kill leaves it: mostly in the log. What may be sent."""
    opened = Ledger(open_store(folder / "written"), Redactor())
    enqueued = set()
    for number, site in enumerate(SITES * 4):
        at = NOW + timedelta(hours=number)
        run = opened.begin(site, trigger=Trigger.DEMAND, day=at.date(), at=at)
        counts = [(a_post_type(f"type{n}"), counted(number * n)) for n in range(8)]
        delivery, _ = opened.owe(run, a_structure(*counts), at=at)
        enqueued.add(sent(delivery))
        if number < 9:
            opened.record_receipt(delivery, a_receipt(), at=at)
    if closed:
        opened.close()
    shutil.copytree(folder / "written", folder / "state")
    if not closed:
        opened.close()
    (folder / "state" / f"{FILE_NAME}-shm").unlink(missing_ok=True)
    return enqueued


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Some bits flipped, a sector of zeros, or the end cut off."""
    match chance.randrange(8):
        case 0:
            return content[: chance.randrange(len(content))]
        case 1:
            at = chance.randrange(len(content)) // 512 * 512
            return content[:at] + b"\0" * 512 + content[at + 512 :]
        case _:
            flipped = bytearray(content)
            for _ in range(chance.choice((1, 1, 1, 2, 8))):
                flipped[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
            return bytes(flipped)


async def pushed_from(folder: Path) -> list[Sent]:
    """Everything that an agent with this state sends to its backend; raises StateError."""
    backend, clock = FakeBackend(), ManualClock()
    at = clock.advance(days=2)
    opened = Ledger(open_store(folder), Redactor())
    try:
        opened.recover(at=at)
        everything = ports(FakeReader({}), backend, opened, clock)
        for delivery in opened.due(at=at, sites=SITES):
            await redeliver(delivery, everything)
    finally:
        opened.close()
    return [sent(delivery) for delivery in backend.asked]


async def check_damage(folder: Path, file: str, *, times: int, enqueued: set[Sent]) -> int:
    """How often it was noticed. Where it was not, only what was enqueued is sent."""
    original = (folder / "state" / file).read_bytes()
    noticed = 0
    for seed in range(times):
        tried = folder / "tried"
        shutil.rmtree(tried, ignore_errors=True)
        shutil.copytree(folder / "state", tried)
        (tried / file).write_bytes(damaged(original, random.Random(f"{file}{seed}")))
        pushes: list[Sent] = []
        try:
            pushes = await pushed_from(tried)
        except StateError:
            noticed += 1
        except Exception as error:
            raise AssertionError(f"seed {seed} of {file}: {type(error).__name__} is no error of ours") from error
        noticed += bool(list(tried.glob(f"{FILE_NAME}.*-*")))  # set aside, and begun anew
        assert set(pushes) <= enqueued, f"seed {seed} of {file}: something was sent that was never owed"
    return noticed


@pytest.mark.parametrize("times", [400, pytest.param(5_000, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("file", [FILE_NAME, f"{FILE_NAME}-wal"])
@pytest.mark.timeout(1_200)
def test_damage_is_noticed_or_harmless(tmp_path: Path, proof: Proof, file: str, times: int) -> None:
    enqueued = write_state(tmp_path, closed=file == FILE_NAME)

    noticed = asyncio.run(check_damage(tmp_path, file, times=times, enqueued=enqueued))

    what = "log" if file.endswith("wal") else "database"
    proof("D19 L05 L06", f"bits flipped, cuts in the {what}", f"{times} damages", f"{noticed} noticed, 0 wrong pushes")


@pytest.fixture
def believing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are believed without looking at their checksums."""
    for name in ("check_outbox", "check_structure"):
        for room in (store, history, ledger):
            monkeypatch.setattr(room, name, lambda row: None, raising=False)


def test_without_checksums_damage_is_sent(tmp_path: Path, proof: Proof, believing: None) -> None:
    enqueued = write_state(tmp_path, closed=True)

    with pytest.raises(AssertionError, match=r"never owed|no error of ours"):
        asyncio.run(check_damage(tmp_path, FILE_NAME, times=400, enqueued=enqueued))

    proof("D19", "negative control: no checksum of a row", "1 rule broken", "noticed")
