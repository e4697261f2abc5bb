"""Every page as it is seen: by the rules of accessibility, in light and dark, on a narrow screen, by keyboard."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bookshop import furnish
from hub_process import Hub
from window import Window

WIDTHS = (320, 768, 1280)
PAGES = {
    "sites": "/",
    "no site fits": "/?search=nothing+of+that+name",
    "content types": "/sites/{shop}/",
    "content types, stale": "/sites/{studio}/",
    "content types, failing": "/sites/{nord}/",
    "content types, never fetched": "/sites/{journal}/",
    "history": "/sites/{shop}/history/",
    "history, older": "/sites/{shop}/history/?days=90&page=2",
    "history, none": "/sites/{journal}/history/",
    "settings": "/sites/{shop}/settings/",
    "settings, none": "/sites/{journal}/settings/",
    "connect": "/connect/",
    "connect again": "/sites/{shop}/connect/",
    "arrival": "/sites/{journal}/arrival/",
    "arrival, over": "/sites/{shop}/arrival/",
    "keys": "/keys/",
}
FOLDER = os.environ.get("BROWSER_SCREENSHOTS")
"""Where pictures of all that is judged go, for people to look at; taking them is a sixth of the work."""


@pytest.fixture(scope="module")
def furnished(hub: Hub) -> dict[str, Any]:
    owner = hub.arrange("an_owner")
    return {"owner": owner, "sites": furnish(hub, owner["email"])}


def judge(window: Window, name: str, look: str) -> None:
    if FOLDER:
        file = f"{name.replace(', ', '-').replace(' ', '-')}.{look}.png"
        window.page.screenshot(path=Path(FOLDER, file), full_page=True)
    assert window.axe() == []
    assert not window.is_too_wide()
    assert window.page.locator("h1").count() == 1


def look_at_all(furnished: dict[str, Any], a_window: Callable[..., Window], scheme: str, width: int) -> None:
    window = a_window(furnished["owner"], color_scheme=scheme, viewport={"width": width, "height": 800})
    for name, path in PAGES.items():
        window.open(path.format(**furnished["sites"]))
        judge(window, name, f"{scheme}-{width}")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 320)])
def test_every_page_is_accessible_and_fits(
    furnished: dict[str, Any], a_window: Callable[..., Window], scheme: str, width: int
) -> None:
    look_at_all(furnished, a_window, scheme, width)


@pytest.mark.nightly
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible_and_fits_in_every_look(
    furnished: dict[str, Any], a_window: Callable[..., Window], scheme: str, width: int
) -> None:
    look_at_all(furnished, a_window, scheme, width)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_a_stranger_sees_is_accessible_too(hub: Hub, a_window: Callable[..., Window], scheme: str) -> None:
    window = a_window(color_scheme=scheme, viewport={"width": 320, "height": 700})
    window.open("/")
    assert window.page.url == f"{hub.url}/sign-in/?next=/"
    judge(window, "sign in", f"{scheme}-320")
    window.page.get_by_label("E-mail").fill("nobody@example.com")
    window.page.get_by_label("Password").fill("wrong")
    window.page.get_by_role("button", name="Sign in").click()
    judge(window, "sign in, wrong", f"{scheme}-320")
    window.open("/nothing/here/", status=404)
    judge(window, "not found", f"{scheme}-320")
    window.page.set_content(f'<form method="post" action="{hub.url}/sign-in/"><button>go</button></form>')
    window.page.get_by_role("button", name="go").click()
    window.page.get_by_role("heading", name="Forbidden").wait_for()
    judge(window, "form refused", f"{scheme}-320")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_open_on_this_machine_is_accessible_too(
    hub: Hub, furnished: dict[str, Any], a_window: Callable[..., Window], scheme: str
) -> None:
    window = a_window(base=hub.open_url, color_scheme=scheme)
    for path, name in (("/", "sites, open"), ("/connect/", "connect, open"), ("/sign-in/", "sign in, open")):
        window.open(path)
        judge(window, name, f"{scheme}-1280")
    window.open(f"/sites/{furnished['sites']['shop']}/")
    judge(window, "content types, open", f"{scheme}-1280")


def test_a_keyboard_is_enough(furnished: dict[str, Any], a_window: Callable[..., Window]) -> None:
    window = a_window(furnished["owner"])
    page, keys = window.open("/"), window.page.keyboard

    keys.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    assert page.locator(".skip").is_visible()
    keys.press("Enter")
    focused = []
    for _ in range(12):
        keys.press("Tab")
        focused.append(page.evaluate("document.activeElement.textContent.trim()"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none", focused[-1]
    assert focused[0] == "Connect a site"  # the first within the content
    page.get_by_role("link", name="Paper & Ink").focus()
    keys.press("Enter")
    page.get_by_role("heading", name="Paper & Ink").wait_for()


def test_the_exact_time_shows_on_hover_and_the_numbers_stand_under_each_other(
    furnished: dict[str, Any], a_window: Callable[..., Window]
) -> None:
    window = a_window(furnished["owner"])
    page = window.open(f"/sites/{furnished['sites']['shop']}/")

    time = page.locator("dl time")
    assert re.fullmatch(r"\d+ minutes ago", time.text_content() or "")
    assert (time.get_attribute("title") or "").endswith("UTC")
    dots = [dot.bounding_box() for dot in page.locator(".types").first.locator(".dot").all()]
    assert len(dots) == 7 and len({box["x"] for box in dots if box}) == 1
    post = page.get_by_role("row").filter(has_text="Posts")
    assert "208 total · 150 synced" in post.inner_text().replace("\n", " ")


def test_a_chart_says_in_words_and_in_a_table_what_it_draws(
    furnished: dict[str, Any], a_window: Callable[..., Window]
) -> None:
    window = a_window(furnished["owner"])
    page = window.open(f"/sites/{furnished['sites']['shop']}/history/")

    chart = page.get_by_role("img", name="Posts")
    assert chart.is_visible()
    said = chart.locator("desc").text_content() or ""
    assert said.startswith("From 171 to 208 between")
    figure = page.locator("figure").filter(has=chart)
    figure.get_by_text("As a table").click()
    rows = figure.locator("tbody tr")
    assert "208" in rows.first.inner_text() and "171" in rows.last.inner_text()
    assert "Post type book is now called “Books & Zines” (was “Books”)" in page.locator("main").inner_text()
    assert "What to do: Look at the site in a browser" in page.locator("main").inner_text()
