"""The past of a site as its page draws it."""

import random
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hub_browser import Browser
from hub_builders import Tenant, a_document, an_entry

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def series(label: str, *points: tuple[float, int]) -> Any:
    """Points as (days before noon, count)."""
    from agent.hub.integrations.history import Series

    return Series(label, [(NOON - timedelta(days=days), count) for days, count in points])


def test_a_course_begins_with_what_it_was_and_holds_each_change_once(hub: object) -> None:
    from agent.hub.integrations.pages.history import courses_of

    posts = series("Posts", (40, 1), (35, 1), (35, 5), (20, 5), (10, 7), (9, 7), (3, 6), (0, 6))
    pages = series("Pages", (60, 2), (0, 2))
    counts = {
        "post_types": {"post": posts, "page": pages},
        "taxonomies": {"genre": series("Genres", (2, 100), (1, 50))},
    }
    counts["taxonomies"]["gone"] = series("Gone", (60, 3), (40, 3))
    genre, post, page = courses_of(counts, since=NOON - timedelta(days=30), until=NOON + timedelta(hours=1))

    assert [count for _, count in post.steps] == [5, 7, 6]
    assert post.steps[0][0] == NOON - timedelta(days=30)
    assert (post.difference, genre.difference, page.difference) == ("+1", "−50", "+0")
    # Genres were seen last on the day before: their line does not go on.
    assert [date.text for date in genre.chart.dates] == ["19 Nov", "20 Nov"]
    assert [date.text for date in page.chart.dates] == ["22 Oct", "21 Nov"]


def test_a_line_stays_within_its_picture_and_its_axis_is_in_round_numbers() -> None:
    from agent.hub.integrations.pages.chart import HEIGHT, WIDTH, draw

    dice = random.Random(5)
    for _ in range(2_000):
        days = sorted(dice.uniform(0, 30) for _ in range(dice.randrange(1, 20)))
        steps = [(NOON + timedelta(days=day), dice.randrange(10 ** dice.randrange(1, 13))) for day in days]
        chart = draw(steps, since=NOON, until=NOON + timedelta(days=30))

        numbers = [float(number) for number in re.findall(r"\d+\.?\d*", chart.line)]
        assert all(0 <= number <= WIDTH for number in numbers)
        assert all(0 <= float(y) <= HEIGHT for y in re.findall(r"V(\S+?)(?=H)", chart.line))
        assert 2 <= len(chart.levels) <= 5
        assert all(len(level.text) <= 8 for level in chart.levels), chart.levels


@pytest.mark.parametrize(
    ("lowest", "highest", "levels"),
    [
        (0, 0, ["0", "1"]),
        (9, 12, ["8", "10", "12"]),
        (17, 41, ["0", "20", "40", "60"]),
        (0, 123_456_789, ["0", "100M", "200M"]),
        (12_000, 12_345, ["12,000", "12,200", "12,400"]),
    ],
)
def test_the_axis_says(lowest: int, highest: int, levels: list[str]) -> None:
    from agent.hub.integrations.pages.chart import draw

    chart = draw([(NOON, lowest), (NOON, highest)], since=NOON, until=NOON)
    assert [level.text for level in chart.levels] == levels


def test_the_history_tells_changes_and_charts_of_what_was_pushed(browser: Browser, tenant: Tenant) -> None:
    from agent.hub.integrations.intake import Push, take_in
    from agent.hub.integrations.models import SiteIntegration

    def push(days: float, **types: Any) -> None:
        document = a_document(post_types=types, timestamp=f"{days}")
        take_in(
            SiteIntegration.objects.all(),
            tenant.integration.pk,
            Push(document=document, body_sha256="", idempotency_key=None, generation=None),
            received_at=datetime.now(UTC) - timedelta(days=days),
        )

    push(8, post=an_entry(count=10), old=an_entry("Old <ones>", 3))
    push(4, post=an_entry(count=12), book=an_entry("Books", 5))
    push(1, post=an_entry("Articles", 12), book=an_entry("Books", 5))
    page = browser.get(f"/sites/{tenant.site.pk}/history/").text

    assert page.count('<figure class="chart">') == 1
    assert "From 10 to 12 between" in page
    for words in (
        "Post type book is new: “Books”, 5 items",
        "Post type old is no longer visible (was “Old &lt;ones&gt;”)",
        "Post type post is now called “Articles” (was “Posts”)",
        "Posts (post): 10 → 12 (+2)",
        "The oldest structure that is kept.",
    ):
        assert words in page
    assert page.index("Articles") < page.index("Post type book is new")


@pytest.mark.parametrize("asked", ["?days=0", "?days=-1", "?days=x&page=x", "?page=999999999999", "?days=90&page=2"])
def test_any_address_of_a_history_is_answered(browser: Browser, tenant: Tenant, asked: str) -> None:
    assert "No history yet" in browser.get(f"/sites/{tenant.site.pk}/history/{asked}").text
    browser.post(tenant.push_path, bearer=tenant.api_key, json=a_document())
    assert "The oldest structure that is kept." in browser.get(f"/sites/{tenant.site.pk}/history/{asked}").text
