"""SIGKILL at random moments, of a recovery too: whatever was owed reaches the backend, once in effect (D2)."""

import os
import random
import signal
import time

import pytest
from figures import Proof
from world import World, books_in, check_history, check_integrity, rows

LONGEST_SECONDS = 0.16
"""A little longer than a sync takes."""


def kill_at_random(world: World, chance: random.Random) -> bool:
    """Whether it was killed before its end."""
    child = world.command.start()
    time.sleep(chance.random() * LONGEST_SECONDS)
    os.kill(child.pid, signal.SIGKILL)
    return world.command.ended(child).code == -signal.SIGKILL


def kill_again_and_again(world: World, *, kills: int, seed: int) -> int:
    """Structure after structure, with one to three kills each; how many hit."""
    chance = random.Random(seed)
    hit = tried = 0
    while hit < kills:
        world.site.books = 1 + tried % 10_000
        for _ in range(chance.choice((1, 1, 2, 3))):
            hit += kill_at_random(world, chance)
            tried += 1
            check_integrity(world.command.home)
            check_history(world.command.home, world.backend)
        assert tried < 4 * kills + 40, "hardly a kill hits"
        if chance.random() < 0.5:
            check_healed(world)
    check_healed(world)
    return hit


def check_healed(world: World) -> None:
    healed = world.command.run()
    assert healed.code == 0, healed.brief
    check_history(world.command.home, world.backend)
    assert books_in(world.backend.stored["8"]) == world.site.books
    assert rows(world.command.home, "SELECT generation FROM outbox") == []
    # History is bounded; what the checks compare with it is so as well.
    del world.backend.pushes[:-20]


@pytest.mark.parametrize("kills", [30, pytest.param(2_000, marks=pytest.mark.nightly)])
@pytest.mark.timeout(1_800)
def test_kills_at_random_moments_lose_nothing(world: World, proof: Proof, kills: int) -> None:
    hit = kill_again_and_again(world, kills=kills, seed=7)

    proof("D2 P1 P3", "SIGKILL at a random moment", f"{hit} kills", "0 lost, integrity ok, one key a document")


@pytest.mark.timeout(300)
def test_the_kills_notice_a_key_that_is_drawn_anew(world: World, proof: Proof) -> None:
    world.command.broken = "a new key for every try"
    world.backend.fault, world.backend.faults_left = "drop after commit", 3

    with pytest.raises(AssertionError, match="two keys of one document"):
        for _ in range(4):
            world.command.run()
            world.site.books = 0
            check_history(world.command.home, world.backend)

    proof("D2", "negative control: a new key for every try", "1 rule broken", "noticed")
