"""One hub for all tests, one Chromium for those of a module; each test has its own owner and its own window."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hub_process import Hub, running
from playwright.sync_api import Browser, expect, sync_playwright
from window import Window, open_window

CHROMIUM = shutil.which("chromium")
SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


expect.set_options(timeout=20_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("browser")
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="there is no chromium: apt-get install chromium"))


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with running(tmp_path_factory.mktemp("hub") / "state") as hub:
        yield hub


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """For one module only: while it lives, an event loop of Playwright's runs in this thread."""
    folder = tmp_path_factory.mktemp("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=list(SWITCHES), env={**os.environ, "TMPDIR": str(folder)}
        )
        yield browser
        browser.close()


@pytest.fixture
def owner(hub: Hub) -> dict[str, Any]:
    """Somebody with an account and no sites."""
    return dict(hub.arrange("an_owner"))


@pytest.fixture
def a_window(hub: Hub, chromium: Browser) -> Iterator[Callable[..., Window]]:
    """A function: a window of a fresh profile, signed in as the owner that is given; closed at the end.

    No test ends well in which a page said something on the console, threw, or opened a dialog.
    """
    with ExitStack() as stack:

        def opened(owner: dict[str, Any] | None = None, *, base: str = hub.url, **options: Any) -> Window:
            return stack.enter_context(open_window(chromium, base, owner, **options))

        yield opened


@pytest.fixture
def window(a_window: Callable[..., Window], owner: dict[str, Any]) -> Window:
    return a_window(owner)
