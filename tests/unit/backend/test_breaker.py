"""One look for all sites while the backend is away."""

from typing import Any

import pytest
from fakes import ManualClock

from agent.backend.breaker import (
    AT_ONCE,
    DRAIN_SECONDS,
    LOOK_SECONDS,
    OPENS_AFTER,
    STEP_BACK_SECONDS,
    TURN_SECONDS,
    Breaker,
)
from agent.errors import BackendError, BackendPaused, BackendThrottled, BackendUnreachable, DeliveryRejected


@pytest.fixture
def breaker(clock: ManualClock) -> Breaker:
    return Breaker(clock.clock)


def down(kind: type[BackendError] = BackendUnreachable, **options: Any) -> BackendError:
    return kind("it is down", reason="be_5xx", hint="Wait.", **options)


def fail(breaker: Breaker, site: str, error: BackendError | None = None) -> None:
    with pytest.raises(type(error or down())), breaker.asking(site):
        raise error or down()


def answer(breaker: Breaker, site: str) -> bool:
    """Whether this was the one look."""
    with breaker.asking(site) as looks:
        return looks


def is_refused(breaker: Breaker, site: str) -> bool:
    try:
        answer(breaker, site)
    except BackendPaused:
        return True
    return False


def opened(breaker: Breaker) -> Breaker:
    for site in ("a", "b", "a", "b", "a"):
        fail(breaker, site)
    return breaker


def test_failures_of_several_sites_in_a_row_open_it_for_all(breaker: Breaker) -> None:
    for number in range(OPENS_AFTER):
        assert not breaker.wait_seconds("z")
        fail(breaker, "ab"[number % 2])

    assert is_refused(breaker, "z")
    assert 0 < breaker.wait_seconds("z") <= 5


def test_a_single_site_that_always_fails_is_no_outage(breaker: Breaker) -> None:
    for _ in range(50):
        fail(breaker, "poison")

    assert not is_refused(breaker, "healthy")


def test_an_answer_in_between_begins_the_count_anew(breaker: Breaker) -> None:
    for _ in range(3):
        fail(breaker, "a")
        fail(breaker, "b")
        answer(breaker, "c")

    assert not is_refused(breaker, "a")


def test_a_refusal_is_an_answer(breaker: Breaker, clock: ManualClock) -> None:
    opened(breaker)
    clock.advance(seconds=5)

    fail(breaker, "c", down(DeliveryRejected))

    assert not answer(breaker, "a"), "nobody has to look any more"


def test_exactly_one_looks_whether_it_is_back(breaker: Breaker, clock: ManualClock) -> None:
    opened(breaker)
    clock.advance(seconds=5)

    with breaker.asking("c") as looks:
        assert looks
        assert is_refused(breaker, "d")
        assert breaker.wait_seconds("d") == LOOK_SECONDS

    assert not answer(breaker, "d")


def test_looks_grow_apart_up_to_a_cap(breaker: Breaker, clock: ManualClock) -> None:
    opened(breaker)
    waits = []
    for number in range(12):
        waits.append(breaker.wait_seconds("z"))
        clock.advance(seconds=waits[-1])
        fail(breaker, f"site {number}")

    assert waits[:4] == [2.5, 5, 10, 20]
    assert max(waits) == 450, "half of the cap: chance is one half here"


def test_a_look_that_was_cancelled_leaves_the_next_one_free(breaker: Breaker, clock: ManualClock) -> None:
    opened(breaker)
    clock.advance(seconds=5)
    with pytest.raises(KeyboardInterrupt), breaker.asking("c"):
        raise KeyboardInterrupt

    assert answer(breaker, "d")


def test_who_looked_in_vain_lets_others_look_first(breaker: Breaker, clock: ManualClock) -> None:
    """The backend is back, but breaks at one site's document: the others must not wait for that one."""
    opened(breaker)
    clock.advance(seconds=2.5)
    fail(breaker, "poison")
    clock.advance(seconds=5)

    assert is_refused(breaker, "poison")
    assert answer(breaker, "healthy")
    assert not is_refused(breaker, "poison")


def test_the_last_one_looks_again_after_a_while(breaker: Breaker, clock: ManualClock) -> None:
    opened(breaker)
    clock.advance(seconds=2.5)
    fail(breaker, "alone")
    clock.advance(seconds=5 + STEP_BACK_SECONDS)

    assert answer(breaker, "alone")


def test_a_wish_for_fewer_requests_is_the_whole_accounts(breaker: Breaker, clock: ManualClock) -> None:
    fail(breaker, "a", down(BackendThrottled, retry_after_seconds=600.0))

    assert breaker.wait_seconds("b") == 600
    with pytest.raises(BackendPaused) as paused, breaker.asking("b"):
        raise AssertionError
    assert (paused.value.retry_after_seconds, paused.value.reason) == (600, "be_5xx")
    clock.advance(seconds=600)
    assert answer(breaker, "b")


def test_what_was_on_its_way_when_it_opened_counts_once(breaker: Breaker) -> None:
    with pytest.raises(BackendUnreachable), breaker.asking("late"):
        opened(breaker)
        raise down()

    assert breaker.wait_seconds("z") == 2.5


def back_again(breaker: Breaker, clock: ManualClock, *, held_back: int) -> list[str]:
    """An outage in which these many have asked, that the first of them finds over; all of them."""
    opened(breaker)
    sites = [f"site-{number}" for number in range(held_back)]
    assert all(is_refused(breaker, site) for site in sites)
    clock.advance(hours=1)
    assert answer(breaker, sites[0])
    return sites


def test_a_few_that_were_held_back_may_come_together(breaker: Breaker, clock: ManualClock) -> None:
    sites = back_again(breaker, clock, held_back=AT_ONCE + 1)

    assert not any(is_refused(breaker, site) for site in sites)


def test_many_that_were_held_back_come_one_after_another_the_first_of_them_first(
    breaker: Breaker, clock: ManualClock
) -> None:
    sites = back_again(breaker, clock, held_back=400)

    assert not is_refused(breaker, sites[0]), "who has looked goes on with what it has begun"
    waits = [breaker.wait_seconds(site) for site in sites[1:]]
    assert waits == pytest.approx([LOOK_SECONDS + TURN_SECONDS * number for number in range(1, 400)])
    assert not is_refused(breaker, "somebody who was not held back")
    clock.advance(seconds=LOOK_SECONDS + 30)
    assert sum(not is_refused(breaker, site) for site in sites[1:]) == 30 / TURN_SECONDS


def test_the_longest_line_has_passed_in_twenty_minutes(breaker: Breaker, clock: ManualClock) -> None:
    sites = back_again(breaker, clock, held_back=20_000)

    assert max(breaker.wait_seconds(site) for site in sites) == pytest.approx(LOOK_SECONDS + DRAIN_SECONDS)


def test_who_waits_for_a_turn_is_told_that_it_comes(breaker: Breaker, clock: ManualClock) -> None:
    sites = back_again(breaker, clock, held_back=400)

    with pytest.raises(BackendPaused, match="just come back") as paused, breaker.asking(sites[-1]):
        pass
    assert (paused.value.reason, paused.value.transient) == ("be_recovered", True)
    assert paused.value.retry_after_seconds == pytest.approx(LOOK_SECONDS + TURN_SECONDS * 399)


def test_an_outage_that_goes_on_ends_the_line(breaker: Breaker, clock: ManualClock) -> None:
    sites = back_again(breaker, clock, held_back=400)
    opened(breaker)
    clock.advance(hours=1)
    assert answer(breaker, "somebody")

    assert not any(is_refused(breaker, site) for site in sites)
