"""The limit of open files: raised as far as it may be, and lived within."""

import resource

import pytest
from fakes import Logs

from agent.descriptors import RESERVED, most_in_hand
from agent.fleet import SLOW_PER_PLACE
from agent.settings import ReadingSettings

READING = ReadingSettings(sites_at_once=4, connections=2)
MOST = READING.sites_at_once * (1 + SLOW_PER_PLACE)
WANTED = MOST * READING.connections + RESERVED


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The process's limits; those of the tests themselves stay as they are."""
    of = {"soft": 64, "hard": resource.RLIM_INFINITY}

    def raised(_: int, to: tuple[int, int]) -> None:
        of["soft"], of["hard"] = to

    monkeypatch.setattr(resource, "getrlimit", lambda _: (of["soft"], of["hard"]))
    monkeypatch.setattr(resource, "setrlimit", raised)
    return of


@pytest.mark.parametrize("hard", [resource.RLIM_INFINITY, WANTED, 1_000_000])
def test_the_limit_is_raised_to_what_so_many_sites_need(limits: dict[str, int], logs: Logs, hard: int) -> None:
    limits["hard"] = hard

    assert most_in_hand(10_000, READING) == MOST
    assert limits == {"soft": WANTED, "hard": hard}
    assert logs.lines == []


def test_where_nobody_knows_how_many_sites_there_are_there_may_be_many(limits: dict[str, int]) -> None:
    assert most_in_hand(0, READING) == MOST


@pytest.mark.parametrize("soft", [WANTED, resource.RLIM_INFINITY])
def test_a_limit_that_will_do_stays_as_it_is(limits: dict[str, int], soft: int) -> None:
    limits["soft"] = soft

    assert most_in_hand(10_000, READING) == MOST
    assert limits["soft"] == soft


@pytest.mark.parametrize(("hard", "most"), [(2 * RESERVED + 1, 48), (RESERVED, 24), (16, 4), (3, 1)])
def test_below_a_hard_limit_fewer_sites_are_in_hand_and_the_log_says_why(
    limits: dict[str, int], logs: Logs, hard: int, most: int
) -> None:
    limits |= {"soft": 3, "hard": hard}

    assert most_in_hand(10_000, READING) == most
    assert limits["soft"] == hard
    [line] = logs.lines
    assert (line["event"], line["reason"], line["sites_at_once"]) == ("descriptors.scarce", "fd_pressure", most)
    assert "LimitNOFILE" in line["hint"]


def test_few_sites_need_little(limits: dict[str, int], logs: Logs) -> None:
    limits["hard"] = RESERVED

    assert most_in_hand(2, READING) == 2
    assert logs.lines == []
