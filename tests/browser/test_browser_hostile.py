"""What others write is shown as text, in every field and on every page; what others send changes nothing."""

import html
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

import pytest
from bookshop import a_document, an_entry
from fake_wordpress import Said
from hub_process import Hub
from neighbours import served
from payloads import PAYLOADS, RUN
from playwright.sync_api import Page, Response
from window import Window

LABEL_LIMIT, SLUG_LIMIT, KEY_LABEL_LIMIT = 300, 64, 100
SHOWN_RUNS = 20

ALIEN = """() => [
    ...document.querySelectorAll("script:not([src^='/static/hub.']), iframe, object, embed, base, video, math, style, template"),
    ...[...document.querySelectorAll("img, link")].filter(one => !(one.src || one.href).startsWith(location.origin + "/static/")),
    ...[...document.querySelectorAll("form")].filter(one => !one.action.startsWith(location.origin)),
    ...[...document.querySelectorAll("a")].filter(one => !one.href.startsWith(location.origin)),
    ...[...document.querySelectorAll("svg")].filter(one => !one.closest("figure.chart")),
    ...[...document.querySelectorAll("*")].filter(one => [...one.attributes].some(({name}) => name.startsWith("on"))),
].map(one => one.outerHTML.slice(0, 200))"""


def assert_harmless(page: Page) -> None:
    assert page.evaluate("window.ran") is None
    assert page.evaluate(ALIEN) == []


def text_of(page: Page) -> str:
    return str(page.evaluate("document.body.textContent"))


def test_there_are_five_hundred_payloads() -> None:
    assert len(set(PAYLOADS)) == 500
    assert sum(RUN in payload for payload in PAYLOADS) > 400


def hostile_document(first: int) -> dict[str, Any]:
    """Every payload as a label and, cut to its limit, as a slug: half of them as post types."""
    turned = PAYLOADS[first:] + PAYLOADS[:first]
    entries = [
        (f"{number}{slug}"[:SLUG_LIMIT], an_entry(label[:LABEL_LIMIT], number + first))
        for number, (slug, label) in enumerate(zip(PAYLOADS, turned, strict=True))
    ]
    return a_document(
        post_types=dict(entries[::2]),
        taxonomies=dict(entries[1::2]),
        wordpress_version=turned[0][:SLUG_LIMIT],
        site_url=f"https://shop.example/{turned[1]}",
    )


def test_labels_and_slugs_are_text_on_every_page_of_a_site(
    hub: Hub, owner: dict[str, Any], a_window: Callable[..., Window]
) -> None:
    made = hub.arrange("a_site", owner=owner["email"], name=PAYLOADS[3], url=f"https://x.example/{PAYLOADS[2]}")
    hub.arrange("a_push", integration=made["integration"], document=hostile_document(0), ago_minutes=2_000)
    hub.arrange("a_push", integration=made["integration"], document=hostile_document(7))
    window = a_window(owner)

    page = window.open(f"/sites/{made['site']}/")
    assert_harmless(page)
    assert PAYLOADS[8].strip() in text_of(page)
    page = window.open(f"/sites/{made['site']}/history/")
    assert page.locator("figure.chart").count() == 60
    assert page.locator(".diff .renamed").count() == 500
    assert_harmless(page)
    for number in range(1, 6):
        page = window.open(f"/sites/{made['site']}/settings/?page={number}")
        assert page.locator("input[type=number]").count() == 100
        assert_harmless(page)
    page.get_by_label("Fetch limit").first.fill("3")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    assert_harmless(page)
    for path in ("/", f"/sites/{made['site']}/connect/", f"/sites/{made['site']}/arrival/", "/keys/"):
        assert_harmless(window.open(path))


def test_names_addresses_and_key_labels_are_text(
    hub: Hub, owner: dict[str, Any], a_window: Callable[..., Window]
) -> None:
    hub.arrange("sites_called", owner=owner["email"], names=[f"{number}{text}" for number, text in enumerate(PAYLOADS)])
    window = a_window(owner)

    for number in range(1, 6):
        page = window.open(f"/?page={number}")
        assert page.locator("tbody tr").count() == 100
        assert_harmless(page)
    page = window.open("/keys/")
    assert page.locator("tbody tr").count() == 500
    assert page.locator("#site option").count() == 501
    assert_harmless(page)


def messages(hub: Hub, owner: dict[str, Any], window: Window, payloads: tuple[str, ...]) -> None:
    """Each payload as the message and the hint of a run and of a sync that failed."""
    for first in range(0, len(payloads), SHOWN_RUNS):
        shown = payloads[first : first + SHOWN_RUNS]
        made = hub.arrange("a_site", owner=owner["email"], name=f"from {first}")
        for number, text in enumerate(shown):
            hub.arrange(
                "a_run", integration=made["integration"], result="held", message=text, hint=text, ago_minutes=number
            )
        page = window.open(f"/sites/{made['site']}/history/")
        assert page.locator(".log > li").count() == len(shown)
        assert_harmless(page)
        assert shown[0].strip() in text_of(page)
        hub.arrange("a_failed_sync", integration=made["integration"], message=shown[0], hint=shown[-1])
        assert_harmless(window.open(f"/sites/{made['site']}/"))


def typed(window: Window, payloads: tuple[str, ...]) -> None:
    """Each payload as a search, and as what a form gives back with its complaint."""
    for text in payloads:
        page = window.page
        page.goto(f"{window.base}/?state=")
        page.get_by_role("searchbox").fill(text)
        page.get_by_role("button", name="Search").click()
        page.get_by_role("heading", name="No site fits").wait_for()
        assert_harmless(page)
        page.goto(f"{window.base}/connect/")
        page.get_by_label("Address of the site").fill(f"no address {text}")
        page.get_by_label("Name").fill(text[:KEY_LABEL_LIMIT])
        page.get_by_role("button", name="Connect").click()
        page.get_by_role("alert").wait_for()
        assert_harmless(page)


def test_what_agents_say_is_text(hub: Hub, owner: dict[str, Any], a_window: Callable[..., Window]) -> None:
    messages(hub, owner, a_window(owner), PAYLOADS[::13])


def test_what_is_typed_comes_back_as_text(hub: Hub, owner: dict[str, Any], a_window: Callable[..., Window]) -> None:
    hub.arrange("a_site", owner=owner["email"])
    typed(a_window(owner), PAYLOADS[::83])


@pytest.mark.nightly
@pytest.mark.timeout(1_800)
def test_every_payload_is_text_wherever_it_is_said_or_typed(
    hub: Hub, owner: dict[str, Any], a_window: Callable[..., Window]
) -> None:
    window = a_window(owner)
    messages(hub, owner, window, PAYLOADS)
    typed(window, PAYLOADS)


# --- forms that somebody else sends --------------------------------------------------------------

WAYS = ("form", "form with a made-up token", "text/plain form", "fetch", "fetch as JSON", "beacon")
TARGETS = {
    "sign-in": ("/sign-in/", {"username": "{email}", "password": "{password}"}),
    "sign-out": ("/sign-out/", {}),
    "sync": ("/sites/{site}/sync/", {}),
    "settings": ("/sites/{site}/settings/", {f"limit:{sha256(b'post_types:post').hexdigest()[:16]}": "1"}),
    "connect": ("/connect/", {"url": "https://forged.example"}),
    "connect again": ("/sites/{site}/connect/", {"once": "forged"}),
    "new key": ("/keys/", {"label": "forged", "once": "forged"}),
    "revoke": ("/keys/{key}/revoke/", {}),
}
"""What can be changed by a form: where, and with what; eight times the six ways are 48 vectors, from two origins."""


def forged(way: str, target: str, fields: dict[str, str]) -> str:
    """A page that sends it when its function `go` is called."""
    if way == "form with a made-up token":
        fields = {**fields, "csrfmiddlewaretoken": "a" * 64}
    if way in ("fetch", "beacon", "fetch as JSON"):
        body = "&".join(f"{name}={value}" for name, value in fields.items())
        kind = "application/json" if way == "fetch as JSON" else "application/x-www-form-urlencoded"
        send = (
            f"navigator.sendBeacon({target!r}, new Blob([{body!r}], {{type: {kind!r}}}))"
            if way == "beacon"
            else f"fetch({target!r}, {{method: 'POST', mode: 'no-cors', credentials: 'include', body: {body!r}, headers: {{'Content-Type': {kind!r}}}}})"
        )
        return f"<script>function go() {{ {send} }}</script>"
    inputs = "".join(
        f'<input name="{html.escape(name)}" value="{html.escape(value)}">' for name, value in fields.items()
    )
    encoding = "text/plain" if way.startswith("text") else "application/x-www-form-urlencoded"
    form = f'<form method="post" enctype="{encoding}" action="{target}">{inputs}</form>'
    return f"{form}<script>function go() {{ document.forms[0].submit() }}</script>"


def answer_to(page: Page, base: str, *, is_navigation: bool) -> Response | None:
    """What the hub said, once it has; None where the browser keeps it from the page that asked."""
    if is_navigation:
        with page.expect_navigation() as navigation:
            page.evaluate("go()")
        return first_of(navigation.value)
    with page.expect_request(lambda asked: asked.method == "POST" and asked.url.startswith(base)) as sent:
        page.evaluate("void go()")
    return sent.value.response()


def first_of(answer: Response | None) -> Response | None:
    """The answer to the form itself, before what it redirected to."""
    asked = answer and answer.request
    while asked and asked.redirected_from:
        asked = asked.redirected_from
    return asked.response() if asked else None


@pytest.fixture
def evil() -> Iterator[tuple[int, dict[str, str]]]:
    """A server of somebody else's: the pages are what it serves."""
    pages: dict[str, str] = {}

    def say(method: str, target: str, body: bytes) -> Said:
        return Said(200 if target in pages else 404, pages.get(target, "").encode(), {"Content-Type": "text/html"})

    with served(say) as port:
        yield port, pages


@pytest.mark.parametrize(
    ("origin", "is_open"),
    [
        # The browser sends all cookies along with these: only the token and the origin stand against them.
        pytest.param("hub.localhost", False, id="signed in, another port of the same host"),
        pytest.param("evil.localhost", True, id="open pages, another site", marks=pytest.mark.nightly),
        pytest.param("evil.localhost", False, id="signed in, another site", marks=pytest.mark.nightly),
        pytest.param("127.0.0.1", True, id="open pages, another port of the same host", marks=pytest.mark.nightly),
    ],
)
def test_a_form_of_another_origin_changes_nothing(
    hub: Hub, owner: dict[str, Any], chromium: Any, evil: tuple[int, dict[str, str]], origin: str, is_open: bool
) -> None:
    made = hub.arrange("a_site", owner=owner["email"])
    hub.arrange("a_push", integration=made["integration"], document=a_document())
    values = {**made, **owner, "key": hub.arrange("key_of", api_key=made["api_key"])}
    port, pages = evil
    base = hub.open_url if is_open else hub.url
    with chromium.new_context() as context:
        if not is_open:
            context.add_cookies([{**owner["cookie"], "url": base, "sameSite": "Strict", "httpOnly": True}])
        page = context.new_page()
        page.goto(base + "/sign-in/")  # it has the cookie of the hub's forms, too
        before = hub.arrange("everything")
        for name, (path, fields) in TARGETS.items():
            for number, way in enumerate(WAYS):
                filled = {key: value.format(**values) for key, value in fields.items()}
                pages[f"/{number}"] = forged(way, base + path.format(**values), filled)
                page.goto(f"http://{origin}:{port}/{number}")
                answer = answer_to(page, base, is_navigation="form" in way)
                if answer is not None:
                    refused = answer.status == 403 or answer.headers["location"].startswith("/sign-in/?next=")
                    assert refused, (name, way, answer.status)
        assert hub.arrange("everything") == before
        page.goto(base + f"/sites/{made['site']}/")
        assert page.title() == "Shop – Content types"


def test_a_page_cannot_be_put_into_a_frame(
    hub: Hub, owner: dict[str, Any], chromium: Any, evil: tuple[int, dict[str, str]]
) -> None:
    port, pages = evil
    pages["/"] = f'<title>frame</title><iframe src="{hub.open_url}/sign-in/"></iframe>'
    with chromium.new_context() as context:
        page = context.new_page()
        with page.expect_console_message(lambda said: "frame-ancestors" in said.text):
            page.goto(f"http://127.0.0.1:{port}/")
