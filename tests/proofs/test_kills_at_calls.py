"""SIGKILL as a sync enters any one of its state-changing system calls: nothing lost, nothing older over newer (D1)."""

import random
from collections.abc import Iterable

import pytest
from figures import Proof
from world import World, books_in, check_history, check_integrity, rows

Point = tuple[str, int]
"""The name of a call, and for the how-many-th time."""

SAMPLE = 26
"""Points of each beginning in the default run; nightly takes all of them."""

TURNING_POINTS = ("fdatasync", "unlink", "ftruncate")
"""Calls after which the disk is another; always in the sample."""


def points(world: World) -> list[Point]:
    """Every point of one sync from this beginning."""
    world.begin()
    calls = world.command.calls()
    assert sum(calls.values()) > 80, "strace saw hardly a call, so hardly anything would be tried"
    return [(call, number) for call, times in sorted(calls.items()) for number in range(1, times + 1)]


def sample(every: list[Point]) -> list[Point]:
    """The same ones at every run."""
    turning = [point for point in every if point[0] in TURNING_POINTS]
    others = [point for point in every if point[0] not in TURNING_POINTS]
    chosen = random.Random(1).sample(others, min(len(others), max(0, SAMPLE - len(turning))))
    return [*turning, *chosen]


def check_point(world: World, point: Point) -> bool:
    """Kill there, deliver what is owed while the site is down, then sync as usual. Whether the kill came in time."""
    world.begin()
    world.site.books = 3
    killed = world.command.killed(*point)
    assert killed.code in (-9, 0), killed.brief
    check_integrity(world.command.home)
    check_history(world.command.home, world.backend)
    promised = max((row["generation"] for row in rows(world.command.home, "SELECT generation FROM structure")), default=0)

    world.site.books = 0
    down = world.command.run()
    assert down.code == 77, down.brief  # of the site; what was owed goes out all the same
    newest = max((push.generation for push in world.backend.pushes), default=0)
    assert newest == promised, "what was durable at the kill is lost"
    assert rows(world.command.home, "SELECT generation FROM outbox") == []

    world.site.books = 4
    healed = world.command.run()
    assert healed.code == 0, healed.brief
    check_integrity(world.command.home)
    check_history(world.command.home, world.backend)
    assert books_in(world.backend.stored["8"]) == 4
    return killed.code == -9


def check_points(world: World, chosen: Iterable[Point]) -> int:
    """How many of them were kills."""
    kills = 0
    for call, number in chosen:
        try:
            kills += check_point(world, (call, number))
        except AssertionError as error:
            raise AssertionError(f"killed at {call} number {number}: {error}") from error
    return kills


def begin_owing(world: World) -> None:
    """One document was delivered, and a newer one waits."""
    world.site.books = 1
    assert world.command.run().code == 0
    world.site.books, world.backend.fault = 2, "500"
    assert world.command.run().code == 75
    world.remember()


@pytest.mark.parametrize("beginning", ["the first sync of all", "a sync with an older document owed"])
@pytest.mark.parametrize("size", ["sample", pytest.param("all", marks=pytest.mark.nightly)])
@pytest.mark.timeout(1_200)
def test_a_kill_at_a_system_call_loses_nothing(world: World, proof: Proof, beginning: str, size: str) -> None:
    if beginning == "a sync with an older document owed":
        begin_owing(world)
    every = points(world)
    chosen = every if size == "all" else sample(every)

    kills = check_points(world, chosen)

    assert kills >= 0.9 * len(chosen), "most of these were no kills"
    proof("D1 P1 P3 P4", f"SIGKILL at a system call of {beginning}", f"{kills} of {len(every)} points",
          "0 lost, 0 older over newer, 0 doubled")  # fmt: skip


@pytest.mark.parametrize(("broken", "call"), [("receipt before the push", "sendto"), ("one commit at the end", "fdatasync")])
@pytest.mark.timeout(300)
def test_the_kills_notice_a_broken_rule(world: World, proof: Proof, broken: str, call: str) -> None:
    begin_owing(world)
    telling = [point for point in points(world) if point[0] == call]
    world.command.broken = broken

    with pytest.raises(AssertionError, match=f"killed at {call}"):
        check_points(world, reversed(telling))

    proof("D1", f"negative control: {broken}", "1 rule broken", "noticed")
