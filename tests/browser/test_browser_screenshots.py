"""The pictures in the README are of today's pages: `RECORD=1 bash tests/run tests/browser/test_browser_screenshots.py`."""

import os
import re
from pathlib import Path

import pytest
from bookshop import furnish, furnish_quarter
from hub_process import running
from playwright.sync_api import Browser
from window import open_window

FOLDER = Path(__file__).parent / "recorded"
README = Path(__file__).parents[2] / "README.md"
LIMIT_BYTES = 150_000
SHOTS = {
    "sites": ("/", "light", 856),
    "content-types": ("/sites/{shop}/", "light", 856),
    "history": ("/sites/{shop}/history/", "dark", 762),
    "connect": ("/connect/", "light", 786),
}
"""Name: (address, colours, height): each ends where a row of it does, those beside each other in the README alike."""


def test_the_readme_shows_every_picture_and_none_that_is_not_there() -> None:
    shown = set(re.findall(r"tests/browser/recorded/([a-z-]+)\.png", README.read_text("utf-8")))

    assert shown == SHOTS.keys() == {path.stem for path in FOLDER.glob("*.png")}
    assert all(path.stat().st_size < LIMIT_BYTES for path in FOLDER.iterdir())


@pytest.mark.skipif(os.environ.get("RECORD") != "1", reason="writes the README's pictures, with RECORD=1")
def test_pictures_are_taken(tmp_path: Path, chromium: Browser) -> None:
    FOLDER.mkdir(exist_ok=True)
    with running(tmp_path / "state", WPSA_HUB_PUBLIC_URL="https://hub.paper-and-ink.example") as hub:
        owner = hub.arrange("an_owner", email="anna@paper-and-ink.example")
        sites = furnish(hub, owner["email"])
        furnish_quarter(hub, owner["email"])
        for name, (path, scheme, height) in SHOTS.items():
            size = {"width": 1000, "height": height}
            with open_window(chromium, hub.url, owner, color_scheme=scheme, viewport=size) as window:
                page = window.open(path.format(**sites))
                if name == "connect":
                    page.get_by_label("Address of the site").fill("https://garten-und-hof.example")
                    page.get_by_role("button", name="Connect").click()
                    page.get_by_role("button", name="Copy wpsa.env").wait_for()
                page.screenshot(path=FOLDER / f"{name}.png")
