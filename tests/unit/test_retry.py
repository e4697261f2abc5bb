"""How often and how long: numbers only."""

import pytest

from agent.retry import DELIVERY, REQUEST, RetryPolicy, parse_retry_after

DATE = "Sat, 21 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(("attempt", "ceiling"), [(1, 2), (2, 4), (3, 8), (4, 10), (5_000, 10)])
def test_the_ceiling_doubles_up_to_the_cap(attempt: int, ceiling: float) -> None:
    assert RetryPolicy(3, base_seconds=2, cap_seconds=10).ceiling_seconds(attempt) == ceiling


@pytest.mark.parametrize(("chance", "wait"), [(0.0, 0.0), (0.5, 2.0), (0.999, 3.996)])
def test_the_wait_is_drawn_from_nothing_to_the_ceiling(chance: float, wait: float) -> None:
    policy = RetryPolicy(3, base_seconds=2, cap_seconds=10)

    assert policy.wait_seconds(2, random=lambda: chance) == pytest.approx(wait)


@pytest.mark.parametrize(("asked", "wait"), [(None, 1.0), (0.5, 1.0), (60.0, 60.0)])
def test_a_wish_lengthens_the_wait_and_never_shortens_it(asked: float | None, wait: float) -> None:
    policy = RetryPolicy(3, base_seconds=2, cap_seconds=10)

    assert policy.wait_seconds(1, random=lambda: 0.5, retry_after_seconds=asked) == wait


def test_a_run_gives_up_soon_and_the_outbox_never() -> None:
    assert REQUEST.attempts == 3
    assert DELIVERY.attempts > 10**9
    assert DELIVERY.ceiling_seconds(10**9) == 900


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120), (" 7 ", 7), ("0", 1), ("00", 1), ("9" * 5_000, 86_400), ("1000000000000", 86_400),
        ("Sat, 21 Nov 2026 10:00:30 GMT", 30),
        ("Sat, 21 Nov 2026 11:00:00 +0100", 1),
        ("Sat, 21 Nov 2026 09:00:00 GMT", 1),
        ("Sat, 21 Nov 2096 10:00:00 GMT", 86_400),
        ("Sat, 21 Nov 2026 10:00:30", 30),
        (None, None), ("", None), ("-5", None), ("1.5", None), ("1_000", None), ("٣", None), ("soon", None),
        ("Sat, 99 Nov 2026 10:00:00 GMT", None), ("Mon, 01 Jan 99999 00:00:00 GMT", None),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_within_a_day_or_nothing(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, DATE) == seconds


@pytest.mark.parametrize("date", [None, "", "yesterday"])
def test_a_date_without_a_date_to_compare_it_with_says_nothing(date: str | None) -> None:
    assert parse_retry_after("Sat, 21 Nov 2026 10:00:30 GMT", date) is None
