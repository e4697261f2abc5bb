"""What people do with the hub, from signing in to seeing a site turn green; with JavaScript and without."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from bookshop import a_document, an_entry
from hub_process import Hub
from neighbours import served
from playwright.sync_api import Page, expect
from window import Window

BOTH = pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
WPSA = Path(sys.executable).with_name("wpsa")


@pytest.fixture
def site_url() -> Iterator[str]:
    with served() as port:
        yield f"http://127.0.0.1:{port}"


def look_again(page: Page, scripts: bool) -> None:
    """Without scripts the page reloads itself by its noscript refresh; a test need not wait for it."""
    if not scripts:
        page.reload()


def run_agent(tmp_path: Path, command: str) -> "subprocess.CompletedProcess[str]":
    """The printed command, in an empty home, ending after one sync."""
    assert command.endswith(" wpsa run")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WPSA_")}
    environment = {**kept, "HOME": str(tmp_path), "WPSA_STATE_DIR": str(tmp_path / "state")}
    once = command.removesuffix("wpsa run") + shlex.join([str(WPSA), "sync"])
    return subprocess.run(["sh", "-c", once], env=environment, capture_output=True, text=True, timeout=60)


@BOTH
def test_signing_in_opens_what_was_asked_for_and_signing_out_closes_it(
    hub: Hub, owner: dict[str, Any], a_window: Callable[..., Window], scripts: bool
) -> None:
    page = a_window(java_script_enabled=scripts).open("/keys/")

    expect(page).to_have_title("Sign in")
    page.get_by_label("E-mail").fill(owner["email"].upper())
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("The e-mail address or the password is wrong.")
    page.get_by_label("Password").fill(owner["password"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("API keys")
    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{hub.url}/keys/")
    expect(page).to_have_title("Sign in")


@BOTH
def test_a_site_is_connected_and_turns_green_when_the_printed_command_has_run(
    hub: Hub, a_window: Callable[..., Window], owner: dict[str, Any], site_url: str, tmp_path: Path, scripts: bool
) -> None:
    page = a_window(owner, base=hub.open_url, java_script_enabled=scripts).open("/?state=")
    page.get_by_role("link", name="Connect a site").last.click()
    page.get_by_label("Address of the site").fill(site_url + "/")
    page.get_by_label("Name").fill("My bookshop")
    page.get_by_role("button", name="Connect").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Start the agent of My bookshop")
    expect(page.get_by_role("status").first).to_contain_text("Waiting")
    done = run_agent(tmp_path, page.locator("#command").inner_text())
    assert done.returncode == 0, done.stdout + done.stderr

    if not scripts:
        with page.context.expect_page() as second:
            page.get_by_role("link", name="watch it in a second window").click()
        page = second.value
    arrived = page.get_by_role("status").first
    expect(arrived).to_contain_text("The first structure has arrived")
    expect(arrived).to_have_class(re.compile("good"))
    arrived.get_by_role("link", name="Open the site").click()
    expect(page.get_by_role("row").filter(has=page.get_by_text("book", exact=True))).to_contain_text("5 total")
    expect(page.locator("dl .badge")).to_have_text("Fresh")


def test_all_that_is_printed_says_the_same_and_reaches_the_hub(
    hub: Hub, a_window: Callable[..., Window], owner: dict[str, Any], site_url: str, tmp_path: Path
) -> None:
    page = a_window(owner, base=hub.open_url).open("/connect/")
    page.get_by_label("Address of the site").fill(site_url)
    page.get_by_role("button", name="Connect").click()
    printed = {
        name: page.locator(f"#{name}").inner_text() for name in ("key", "environment", "docker", "compose", "command")
    }

    options = dict(line.split("=", 1) for line in printed["environment"].splitlines() if line)
    assert options["WPSA_BACKEND_API_KEY"] == printed["key"]
    assert options["WPSA_BACKEND_URL"] == hub.open_url
    assert set(shlex.split(printed["command"])[:-2]) == {f"{name}={value}" for name, value in options.items()}
    [service] = yaml.safe_load(printed["compose"])["services"].values()
    assert (service["env_file"], service["image"], service["network_mode"]) == ("wpsa.env", "wpsa", "host")
    docker = shlex.split(printed["docker"])
    assert docker[:2] == ["docker", "run"] and docker[-1] == "wpsa"
    assert docker[docker.index("--env-file") + 1] == "wpsa.env"
    assert docker[docker.index("--network") + 1] == "host"
    # As docker and compose read the file: each line's value as it is.
    told = {**os.environ, **options, "HOME": str(tmp_path), "WPSA_STATE_DIR": str(tmp_path / "state")}
    checked = subprocess.run([str(WPSA), "check"], env=told, capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_key_is_shown_once(hub: Hub, window: Window, owner: dict[str, Any]) -> None:
    site = hub.arrange("a_site", owner=owner["email"])["site"]
    page = window.open(f"/sites/{site}/connect/")
    page.get_by_role("button", name="Make a key").click()
    key = page.locator("#key").inner_text()
    assert key.startswith("wpsa_")
    keys = hub.arrange("everything")["ApiKey"]

    page.reload()  # the browser sends the form again
    assert page.locator("#key").count() == 0
    assert hub.arrange("everything")["ApiKey"] == keys
    assert key not in page.goto(f"{hub.url}/keys/").text()  # type: ignore[union-attr]
    assert key[:13] in page.content()


@BOTH
@pytest.mark.parametrize(
    ("state", "words"),
    [("done", "Synced just now: 9 post types"), ("failed", "The sync failed just now: shop.example answered 502")],
)
def test_sync_now_shows_how_far_it_is(
    hub: Hub, owner: dict[str, Any], a_window: Callable[..., Window], scripts: bool, state: str, words: str
) -> None:
    made = hub.arrange("a_site", owner=owner["email"])
    hub.arrange("a_push", integration=made["integration"], document=a_document(), ago_minutes=90)
    page = a_window(owner, java_script_enabled=scripts).open(f"/sites/{made['site']}/")
    status = page.get_by_role("status")

    page.get_by_role("button", name="Sync now").click()
    expect(status).to_contain_text("Asked for a sync just now")
    page.get_by_role("button", name="Sync now").click()
    assert hub.arrange("requests_of", integration=made["integration"]) == 1
    hub.arrange("a_report", integration=made["integration"], state="running")
    look_again(page, scripts)
    expect(status).to_contain_text("Syncing since just now")
    message = words.split(": ")[1]
    hub.arrange("a_report", integration=made["integration"], state=state, message=message, hint="Look at its log.")
    look_again(page, scripts)
    expect(status).to_contain_text(words)
    if state == "failed":
        expect(status).to_contain_text("What to do: Look at its log.")
    assert page.locator("noscript").count() == 0 or scripts  # it has come to rest


@pytest.mark.nightly
def test_without_scripts_what_moves_reloads_itself(
    hub: Hub, owner: dict[str, Any], a_window: Callable[..., Window]
) -> None:
    made = hub.arrange("a_site", owner=owner["email"])
    page = a_window(owner, java_script_enabled=False).open(f"/sites/{made['site']}/")
    expect(page.get_by_role("heading", name="No structure yet")).to_be_visible()

    hub.arrange("a_push", integration=made["integration"], document=a_document())

    expect(page.get_by_text("123 total")).to_be_visible(timeout=20_000)  # five seconds and a reload


@BOTH
def test_what_is_chosen_for_a_type_stays_chosen_through_the_next_push(
    hub: Hub, owner: dict[str, Any], a_window: Callable[..., Window], scripts: bool
) -> None:
    made = hub.arrange("a_site", owner=owner["email"])
    document = a_document(post_types={"post": an_entry("Posts", 123), "a/b:c d": an_entry("Odd & <b>", 1)})
    hub.arrange("a_push", integration=made["integration"], document=document)
    page = a_window(owner, java_script_enabled=scripts).open(f"/sites/{made['site']}/settings/")
    post = page.get_by_role("row").filter(has_text="Posts")
    odd = page.get_by_role("row").filter(has_text="Odd & <b>")

    post.get_by_label("Enabled").uncheck()
    odd.get_by_label("Fetch limit").fill("2500")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Saved.")
    expect(post).to_contain_text("you")
    hub.arrange("a_push", integration=made["integration"], document=document)

    page.get_by_role("link", name="Content types").click()
    expect(page.get_by_role("row").filter(has_text="Posts")).to_contain_text("No")
    expect(odd).to_contain_text("2,500")

    page.get_by_role("link", name="Settings").click()
    odd.get_by_label("back to the agent’s").check()
    page.get_by_role("button", name="Save").click()
    expect(odd).to_contain_text("the agent")
    expect(odd.get_by_label("Fetch limit")).to_have_value("100")
    expect(post).to_contain_text("you")


def test_a_wrong_limit_is_named_where_it_is_and_nothing_is_stored(
    hub: Hub, owner: dict[str, Any], a_window: Callable[..., Window]
) -> None:
    made = hub.arrange("a_site", owner=owner["email"])
    hub.arrange("a_push", integration=made["integration"], document=a_document())
    window = a_window(owner, java_script_enabled=False)
    page = window.open(f"/sites/{made['site']}/settings/")
    row = page.get_by_role("row").filter(has_text="Posts")
    row.get_by_label("Fetch limit").evaluate("field => field.form.noValidate = true")
    row.get_by_label("Fetch limit").fill("0")
    page.get_by_role("row").filter(has_text="Pages").get_by_label("Fetch limit").fill("7")
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_role("alert")).to_contain_text("Nothing was saved")
    expect(row).to_contain_text("Give a number from 1 to 1,000,000.")
    page.goto(f"{hub.url}/sites/{made['site']}/")
    expect(page.get_by_role("row").filter(has_text="Pages")).to_contain_text("100")


@BOTH
def test_keys_are_made_and_revoked(
    owner: dict[str, Any], hub: Hub, a_window: Callable[..., Window], scripts: bool
) -> None:
    hub.arrange("a_site", owner=owner["email"], name="Shop")
    page = a_window(owner, java_script_enabled=scripts).open("/keys/")
    page.get_by_label("What it is for").fill("a second agent")
    page.get_by_label("Opens").select_option("Shop")
    page.get_by_label("Ends").select_option("in 90 days")
    page.get_by_role("button", name="Make a key").click()

    key = page.locator("#key").inner_text()
    row = page.get_by_role("row").filter(has_text="a second agent")
    expect(row).to_contain_text(f"{key[:13]}…")
    expect(row).to_contain_text(re.compile(r"\d+ \w+ 20\d\d"))
    answer = page.request.get(
        f"{hub.open_url}/api/v1/integration/integrations/", headers={"Authorization": f"Bearer {key}"}
    )
    assert answer.status == 200
    row.get_by_role("button", name="Revoke").click()
    expect(row).to_contain_text("revoked just now")
    answer = page.request.get(
        f"{hub.open_url}/api/v1/integration/integrations/", headers={"Authorization": f"Bearer {key}"}
    )
    assert answer.status == 401


@BOTH
def test_sites_are_searched_sorted_and_narrowed(
    hub: Hub, owner: dict[str, Any], a_window: Callable[..., Window], scripts: bool
) -> None:
    hub.arrange("many_sites", owner=owner["email"], number=230)
    page = a_window(owner, java_script_enabled=scripts).open("/")

    names = page.locator("tbody a.label")
    expect(names).to_have_count(100)
    page.get_by_role("link", name="Next").click()
    expect(names.first).to_have_text("site 00100")
    page.get_by_role("link", name="Site", exact=True).click()
    expect(names.first).to_have_text("site 00229")
    page.get_by_label("Health").get_by_role("link", name="Failing").click()
    expect(names).to_have_count(18)
    page.get_by_role("searchbox").fill("SITE 0020")
    page.get_by_role("button", name="Search").click()
    expect(names).to_have_text(["site 00200"])
    page.get_by_role("link", name="show all").click()
    expect(names).to_have_count(100)


def test_where_pages_are_open_a_site_is_synced_and_set_but_no_key_is_handed_out(
    hub: Hub, owner: dict[str, Any], a_window: Callable[..., Window]
) -> None:
    made = hub.arrange("a_site", owner=owner["email"], name="Open to this machine")
    hub.arrange("a_push", integration=made["integration"], document=a_document())
    page = a_window(base=hub.open_url).open(f"/sites/{made['site']}/")

    page.get_by_role("button", name="Sync now").click()
    expect(page.get_by_role("status")).to_contain_text("Asked for a sync")
    page.get_by_role("link", name="Settings").click()
    page.get_by_label("Fetch limit").first.fill("5")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Saved.")
    page.get_by_role("link", name="Connect a site").click()
    expect(page.get_by_text("Name the site in the agent’s settings")).to_be_visible()
    for path in ("/keys/", f"/sites/{made['site']}/connect/"):
        page.goto(hub.open_url + path)
        expect(page).to_have_title("Sign in")


def test_what_is_to_be_pasted_is_copied_by_a_button(
    hub: Hub, owner: dict[str, Any], a_window: Callable[..., Window]
) -> None:
    site = hub.arrange("a_site", owner=owner["email"])["site"]
    page = a_window(owner, permissions=["clipboard-read", "clipboard-write"]).open(f"/sites/{site}/connect/")
    page.get_by_role("button", name="Make a key").click()
    page.get_by_role("button", name="Copy wpsa.env").click()

    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("#environment").text_content()
