"""The pictures in the README are of today's pages: `RECORD=1 bash tests/run tests/browser/test_browser_screenshots.py`."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from bookshop import furnish
from hub_process import Hub
from window import Window

FOLDER = Path(__file__).parent / "recorded"
README = Path(__file__).parents[2] / "README.md"
LIMIT_BYTES = 150_000
SHOTS = {
    "sites": ("/", "light", 560),
    "content-types": ("/sites/{shop}/", "light", 760),
    "history": ("/sites/{shop}/history/", "dark", 760),
    "connect": ("/connect/", "light", 900),
}


def test_the_readme_shows_every_picture_and_none_that_is_not_there() -> None:
    shown = set(re.findall(r"tests/browser/recorded/([a-z-]+)\.png", README.read_text("utf-8")))

    assert shown == SHOTS.keys() == {path.stem for path in FOLDER.glob("*.png")}
    assert all(path.stat().st_size < LIMIT_BYTES for path in FOLDER.iterdir())


@pytest.mark.skipif(os.environ.get("RECORD") != "1", reason="writes the README's pictures, with RECORD=1")
def test_pictures_are_taken(hub: Hub, a_window: Callable[..., Window]) -> None:
    owner = hub.arrange("an_owner", email="anna@paper-and-ink.example")
    sites = furnish(hub, owner["email"])
    FOLDER.mkdir(exist_ok=True)
    for name, (path, scheme, height) in SHOTS.items():
        window = a_window(owner, color_scheme=scheme, viewport={"width": 1000, "height": height})
        page = window.open(path.format(**sites))
        if name == "connect":
            page.get_by_label("Address of the site").fill("https://books.example")
            page.get_by_role("button", name="Connect").click()
            page.get_by_role("button", name="Copy wpsa.env").wait_for()
        page.screenshot(path=FOLDER / f"{name}.png")
