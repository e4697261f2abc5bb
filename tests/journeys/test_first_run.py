"""From nothing to the page: what somebody sees who has only just installed the command."""

from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from journey import Wpsa, free_port, page_at, wait_until

from agent.demo.wordpress import WordPress

PROMPT_SECONDS = 2.0


@pytest.fixture(scope="module")
def zygote() -> None:
    """Nothing is warm: what is run is the installed file."""


def test_one_setting_is_enough_to_see_the_counts_of_a_site_on_the_page(
    new_user: Callable[..., Wpsa], wordpress: WordPress, truth: dict[str, Any]
) -> None:
    listen = f"127.0.0.1:{free_port()}"
    wpsa = new_user(SITE_URL=wordpress.url, HUB_LISTEN=listen)

    with wpsa.start("run") as daemon:
        started = daemon.wait_for("agent.started")
        synced = daemon.wait_for("run.finished")
        page = page_at(started["page"])
        stopped = daemon.end()

    assert started["page"] == f"http://{listen}"
    assert synced["message"] == "structure synced successfully"
    assert (synced["post_types"], synced["taxonomies"]) == (len(truth["post_types"]), len(truth["taxonomies"]))
    assert figures_on(page) == {
        slug: (entry["label"], entry["count"]) for slug, entry in counted(truth).items()
    }
    assert truth["wordpress_version"] in page
    assert (stopped.code, stopped.seconds < PROMPT_SECONDS) == (0, True)
    assert modes_in(wpsa.state) == {"folder": {"0o700"}, "file": {"0o600"}}


def test_a_page_on_every_address_asks_for_the_login_that_was_printed_once(
    new_user: Callable[..., Wpsa], wordpress: WordPress
) -> None:
    port = free_port()
    wpsa = new_user(SITE_URL=wordpress.url, HUB_LISTEN=f"0.0.0.0:{port}")

    with wpsa.start("run") as daemon:
        synced = daemon.wait_for("run.finished")
        page = page_at(f"http://127.0.0.1:{port}/")
        first = daemon.end()
    with wpsa.start("run") as daemon:
        daemon.wait_for("agent.started")
        second = daemon.end()

    assert "Posts" not in page
    assert "Sign in" in page
    assert synced["result"] == "delivered"
    assert sum("password" in line for line in first.said) == 1
    assert second.said == []


def test_a_restart_alone_neither_reads_the_site_nor_pushes(
    new_user: Callable[..., Wpsa], wordpress: WordPress
) -> None:
    wpsa = new_user(SITE_URL=wordpress.url, HUB_LISTEN=f"127.0.0.1:{free_port()}")
    with wpsa.start("run") as daemon:
        daemon.wait_for("run.finished", result="delivered")
        daemon.end()
    asked_before, heartbeat = len(wordpress.requests), wpsa.state / "heartbeat"
    heartbeat.unlink()

    with wpsa.start("run") as daemon:
        wait_until(heartbeat.exists, "the first tick")
        stopped = daemon.end()

    assert [line["event"] for line in stopped.log] == ["operations.started", "agent.started", "agent.stopped"]
    assert len(wordpress.requests) == asked_before


def test_the_demo_shows_the_whole_line_once_and_leaves_nothing_behind(
    new_user: Callable[..., Wpsa], wordpress: WordPress
) -> None:
    wpsa = new_user(**demo_cache())

    done = wpsa.run("demo", "--once")

    assert done.code == 0, done.stderr
    assert "Books                book               48" in done.stdout
    assert "demo: structure synced successfully" in done.stdout
    assert done.said == []
    assert not wpsa.state.exists()


def modes_in(state: Path) -> dict[str, set[str]]:
    """The modes of everything that the state keeps: its owner's alone."""
    found: dict[str, set[str]] = {"folder": set(), "file": set()}
    for path in (state, *state.rglob("*")):
        found["folder" if path.is_dir() else "file"].add(oct(path.stat().st_mode & 0o777))
    return found


def demo_cache() -> dict[str, str]:
    """Where WordPress was brought to, since a new home has none."""
    from agent.demo.sources import cache_folder

    return {"DEMO_CACHE": str(cache_folder())}


def counted(truth: dict[str, Any]) -> dict[str, Any]:
    return {**truth["post_types"], **truth["taxonomies"]}


def figures_on(page: str) -> dict[str, tuple[str, int]]:
    """{slug: (label, total)} as a reader of the page finds them."""
    reader = _Rows()
    reader.feed(page)
    return {
        texts["slug"]: (texts["label"], int(texts["total"].removesuffix(" total").replace(",", "").replace(" ", "")))
        for texts in reader.rows
    }


class _Rows(HTMLParser):
    """The rows of the tables: the text of the label, of the slug and of the total."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[dict[str, str]] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "th" and ("scope", "row") in attrs:
            self.rows.append({"label": "", "slug": "", "total": ""})
        named = {("span", "label"): "label", ("span", "total"): "total"}.get((tag, dict(attrs).get("class") or ""))
        self._open.append(named or ("slug" if tag == "code" else ""))

    def handle_endtag(self, tag: str) -> None:
        if self._open:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        for name in self._open:
            if name and self.rows:
                self.rows[-1][name] += data.strip()
