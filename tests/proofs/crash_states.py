"""What a disk may hold after the power went: written from a record of system calls, without a block device.

A write is on the disk for certain once its file was synced after it. Until then it may be there, missing or
torn at a sector, each independently of the others. That is more than ext4 does to a file, and less than a disk
that lies: order between folders' entries is not modelled.
"""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SECTOR = 512
TRACED = "openat,close,write,pwrite64,ftruncate,fsync,fdatasync,unlink"

FOLDER = "."
"""What is synced to make a removal last."""

Disk = dict[str, bytes]
"""{file name: content} of the state's folder."""


@dataclass(frozen=True)
class Write:
    offset: int
    content: bytes

    def onto(self, before: bytes) -> bytes:
        return before[: self.offset].ljust(self.offset, b"\0") + self.content + before[self.offset + len(self.content) :]


@dataclass(frozen=True)
class Cut:
    length: int

    def onto(self, before: bytes) -> bytes:
        return before[: self.length].ljust(self.length, b"\0")


@dataclass(frozen=True)
class Gone:
    def onto(self, before: bytes) -> None:
        return None


Change = Write | Cut | Gone


@dataclass
class Step:
    """One recorded call: a change of a file, a sync of it, or a promise."""

    file: str
    change: Change | None = None
    promise: str = ""


_CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += (-?\d+)")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


def recorded(log: str, folder: Path) -> list[Step]:
    """The steps of a log of `strace -xx -s …`; the -shm file is memory, and no power loss keeps it."""
    names: dict[int, str] = {}
    steps: list[Step] = []
    for line in log.splitlines():
        found = _CALL.match(line)
        if found is None or int(found[3]) < 0:
            continue
        call, arguments, result = found[1], found[2], int(found[3])
        texts = [bytes.fromhex(text.replace("\\x", "")) for text in _TEXT.findall(arguments)]
        if call in ("openat", "unlink"):
            path = Path(texts[0].decode())
            name = path.name if path.parent == folder and not path.name.endswith("-shm") else ""
            name = FOLDER if path == folder else name
            if call == "unlink" and name:
                steps.append(Step(name, Gone()))
            if call == "openat":
                names[result] = name
            continue
        descriptor = int(arguments.split(",")[0])
        name = names.get(descriptor, "")
        if call == "close":
            names.pop(descriptor, None)
        elif name == "promises":
            steps.append(Step(name, promise=texts[0].decode().strip()))
        elif not name:
            continue
        elif call == "pwrite64":
            steps.append(Step(name, Write(int(arguments.rsplit(",", 1)[1]), texts[0])))
        elif call == "ftruncate":
            steps.append(Step(name, Cut(int(arguments.rsplit(",", 1)[1]))))
        elif call in ("fsync", "fdatasync"):
            steps.append(Step(name))
    return steps


@dataclass
class _File:
    kept: bytes | None = None
    loose: list[Change] = field(default_factory=list)
    """Changes since the last sync."""

    def settle(self, until: int | None = None) -> None:
        self.kept, self.loose = _applied(self.kept, self.loose[:until]), self.loose[until:] if until else []

    def settle_removals(self) -> None:
        last = max((number for number, change in enumerate(self.loose, 1) if isinstance(change, Gone)), default=0)
        if last:
            self.settle(last)


def crash_states(steps: list[Step], *, tries: int, seed: int) -> Iterator[tuple[Disk, list[str]]]:
    """(a disk that may be found, the promises given before) for cuts all along the record."""
    chance = random.Random(seed)
    files: dict[str, _File] = {}
    promises: list[str] = []
    for step in steps:
        if step.promise:
            promises.append(step.promise)
            continue
        if step.file == FOLDER:
            for file in files.values():
                file.settle_removals()
        elif step.change is None:
            files.setdefault(step.file, _File()).settle()
        else:
            files.setdefault(step.file, _File()).loose.append(step.change)
        for _ in range(tries):
            found = {name: _survivor(file, chance) for name, file in files.items()}
            yield {name: content for name, content in found.items() if content is not None}, list(promises)


def _survivor(file: _File, chance: random.Random) -> bytes | None:
    match chance.randrange(4):
        case 0:
            survivors: list[Change] = []
        case 1:
            survivors = file.loose
        case 2:
            survivors = [change for change in file.loose if chance.random() < 0.5]
        case _:
            survivors = file.loose[: chance.randint(0, len(file.loose))]
            if survivors and isinstance(torn := survivors[-1], Write):
                length = min(len(torn.content), SECTOR * chance.randint(0, 8))
                survivors = [*survivors[:-1], Write(torn.offset, torn.content[:length])]
    return _applied(file.kept, survivors)


def _applied(content: bytes | None, changes: list[Change]) -> bytes | None:
    for change in changes:
        content = change.onto(content or b"")
    return content
