"""Whatever a peer writes into Retry-After, and however long an outage lasts."""

from hypothesis import example, given
from hypothesis import strategies as st

from agent.retry import DELIVERY, REQUEST, RetryPolicy, parse_retry_after

NUMBERS = st.integers(-(10**6), 10**6).map(str)
DATES = st.builds(
    "{}, {} {} {} {}:{}:{} {}".format,
    st.sampled_from(["Mon", "Xyz", ""]), NUMBERS, st.sampled_from(["Jan", "Feb", "Nov", "Foo"]), NUMBERS,
    NUMBERS, NUMBERS, NUMBERS, st.sampled_from(["GMT", "+0100", "-9999", "+999999999999", "EST", ""]),
)  # fmt: skip
HEADERS = st.text() | NUMBERS | DATES | st.none()


@given(HEADERS, HEADERS)
@example("Mon, 01 Jan 2026 00:00:00 +999999999999", "Mon, 01 Jan 2026 00:00:00 GMT")
@example("Fri, 31 Dec 9999 23:59:59 -2359", "Mon, 01 Jan 0001 00:00:00 +2359")
def test_retry_after_is_a_second_to_a_day_or_nothing(value: str | None, date: str | None) -> None:
    seconds = parse_retry_after(value, date)

    assert seconds is None or 1 <= seconds <= 86_400


@given(st.sampled_from([REQUEST, DELIVERY]), st.integers(1, 10**9), st.floats(0, 1, exclude_max=True))
def test_no_wait_is_longer_than_the_cap(policy: RetryPolicy, attempt: int, chance: float) -> None:
    assert 0 <= policy.wait_seconds(attempt, random=lambda: chance) <= policy.cap_seconds
