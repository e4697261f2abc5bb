"""SIGTERM at random moments of a daemon's life: it is gone within two seconds, with 0, and nothing is lost (D13)."""

import os
import random
import signal
import time

import pytest
from figures import Proof
from world import World, books_in, check_history, check_integrity, rows

PROMPT_SECONDS = 2.0
LONGEST_SECONDS = 0.8
"""A little longer than it takes to start, to read the site and to push."""
FEW = 6


@pytest.fixture
def stops(request: pytest.FixtureRequest) -> int:
    count: int = request.config.getoption("--stops") if request.node.get_closest_marker("nightly") else FEW
    return count


@pytest.fixture
def daemon(world: World) -> World:
    world.command.arguments = ("run",)
    world.command.environment |= {"WPSA_OPS_LISTEN": "127.0.0.1:0", "WPSA_READING_DEADLINE_SECONDS": "20"}
    return world


def stop_at_random(world: World, chance: random.Random) -> float | None:
    """Seconds from the signal to the end; None when it came before the daemon's first line of its own."""
    child = world.command.start()
    time.sleep(chance.random() * LONGEST_SECONDS)
    began = time.monotonic()
    os.kill(child.pid, signal.SIGTERM)
    ended = world.command.ended(child)
    seconds = time.monotonic() - began
    if ended.code == -signal.SIGTERM and not (world.command.home / "state").exists():
        return None
    assert ended.code == 0, ended.brief
    assert "Traceback" not in ended.said, ended.said[-2_000:]
    return seconds


def check_nothing_lost(world: World) -> None:
    """What was read is at the backend or owed to it, and the next pass makes both ends equal."""
    check_integrity(world.command.home)
    check_history(world.command.home, world.backend)
    read = rows(world.command.home, "SELECT generation FROM structure")
    owed = rows(world.command.home, "SELECT generation FROM outbox")
    assert bool(read) == bool(owed or world.backend.pushes)


def stop_again_and_again(world: World, *, stops: int, seed: int) -> list[float]:
    chance, took = random.Random(seed), list[float]()
    for number in range(stops):
        world.begin()
        world.site.books = 1 + number
        if chance.random() < 0.5:
            world.backend.listing_fault = "hang"
            world.backend.released.clear()
        seconds = stop_at_random(world, chance)
        if seconds is not None:
            took.append(seconds)
            check_nothing_lost(world)
    world.begin()
    world.command.arguments = ("sync", "--json")
    healed = world.command.run()
    assert healed.code == 0, healed.brief
    assert books_in(world.backend.stored["8"]) == world.site.books
    return took


@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("size", ["few", pytest.param("many", marks=pytest.mark.nightly)])
def test_a_stop_at_any_moment_is_prompt_and_loses_nothing(daemon: World, proof: Proof, size: str, stops: int) -> None:
    took = stop_again_and_again(daemon, stops=stops, seed=13)

    assert len(took) > stops // 2
    assert max(took) <= PROMPT_SECONDS, sorted(took)[-10:]
    proof("D13", "SIGTERM at a random moment of a daemon", f"{stops} stops", f"at most {max(took):.2f} s, exit 0, 0 lost")
