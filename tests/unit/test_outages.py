"""A failure is news when it begins, turns into another, and ends."""

from datetime import timedelta

import pytest
from builders import NOW
from fakes import ManualClock

from agent.errors import (
    AgentError,
    BackendPaused,
    BackendUnreachable,
    LoginRefused,
    RestClosed,
    SiteThrottled,
    SiteUnreachable,
)
from agent.outages import Outages, Turning
from agent.outcome import Outcome
from agent.state.records import Result

WELL = Outcome("shop", Result.DELIVERED, 1.0)


def failed(kind: type[AgentError], site: str = "shop") -> Outcome:
    return Outcome(site, Result.UNREADABLE, 1.0, kind("m", reason="r", hint="h"))


@pytest.fixture
def outages(clock: ManualClock) -> Outages:
    return Outages({}, now=clock.clock.now)


def test_a_site_that_works_is_no_news(outages: Outages) -> None:
    assert [outages.turn_of(WELL), outages.turn_of(WELL)] == [None, None]


def test_a_failure_is_news_once_and_its_end_says_how_long_it_was(outages: Outages, clock: ManualClock) -> None:
    began = outages.turn_of(failed(SiteUnreachable))
    clock.advance(hours=1)
    again = outages.turn_of(failed(SiteUnreachable))
    clock.advance(hours=1)
    ended = outages.turn_of(WELL)

    assert began is not None
    assert began.turning is Turning.BEGAN
    assert again is None
    assert ended is not None
    assert (ended.turning, ended.failing_for_seconds) == (Turning.ENDED, 7200)
    assert outages.turn_of(WELL) is None


@pytest.mark.parametrize(
    ("before", "after", "news"),
    [
        (SiteUnreachable, SiteThrottled, False),
        (BackendUnreachable, BackendPaused, False),
        (SiteUnreachable, LoginRefused, True),
        (LoginRefused, RestClosed, True),
        (SiteUnreachable, BackendUnreachable, True),
    ],
)
def test_what_may_pass_is_one_kind_and_what_needs_a_person_is_told_anew(
    outages: Outages, before: type[AgentError], after: type[AgentError], news: bool
) -> None:
    outages.turn_of(failed(before))

    turn = outages.turn_of(failed(after))

    assert (turn is not None and turn.turning is Turning.BECAME) == news


def test_what_was_told_once_is_not_told_again_after_other_settings(clock: ManualClock) -> None:
    """“site.degraded” at each reload: the agent of the new settings began with an empty memory."""
    told: dict[str, str] = {}
    Outages({}, now=clock.clock.now, kinds=told).turn_of(failed(SiteUnreachable))

    after_reload = Outages({"shop": clock.at}, now=clock.clock.now, kinds=told)

    assert after_reload.turn_of(failed(SiteUnreachable)) is None
    ended = after_reload.turn_of(WELL)
    assert ended is not None
    assert ended.turning is Turning.ENDED


def test_each_site_has_its_own(outages: Outages) -> None:
    assert outages.turn_of(failed(SiteUnreachable, "a"))
    assert outages.turn_of(failed(SiteUnreachable, "b"))


def test_what_failed_before_the_start_is_no_news_to_others(clock: ManualClock) -> None:
    outages = Outages({"shop": NOW - timedelta(hours=2)}, now=clock.clock.now)

    began, ended = outages.turn_of(failed(SiteUnreachable)), outages.turn_of(WELL)

    assert began is not None
    assert (began.turning, began.known) == (Turning.BEGAN, True)
    assert ended is not None
    assert ended.failing_for_seconds == 7200


def test_a_clock_that_goes_back_makes_no_negative_time(outages: Outages, clock: ManualClock) -> None:
    outages.turn_of(failed(SiteUnreachable))
    clock.advance(days=-1)

    ended = outages.turn_of(WELL)

    assert ended is not None
    assert ended.failing_for_seconds == 0
