"""What people change on the pages, and who may."""

import hashlib
import html
import re
import shlex
from typing import Any

import pytest
from hub_browser import Browser, sign_in
from hub_builders import Tenant, a_document, a_tenant, an_entry


def send(browser: Browser, path: str, **fields: str) -> Any:
    """The form as a browser sends it, with the token of the page it is on."""
    if "wpsa_csrf" not in browser.cookies:
        browser.get("/sign-in/")
    return browser.post(path, data={"csrfmiddlewaretoken": browser.cookies["wpsa_csrf"], **fields})


def once_in(page: str) -> str:
    found = re.search(r'name="once" value="([^"]+)"', page)
    assert found
    return found[1]


@pytest.fixture
def owner(browser: Browser, tenant: Tenant, closed_pages: None) -> Browser:
    """The tenant's browser, signed in."""
    sign_in(browser, tenant)
    return browser


# --- whose it is ---------------------------------------------------------------------------------

PATHS = ("", "history/", "settings/", "arrival/", "connect/")


def test_every_page_of_a_strangers_site_is_404_and_no_form_of_it_works(owner: Browser) -> None:
    from agent.hub.integrations.models import ApiKey, SyncRequest

    stranger = a_tenant()
    owner_site = f"/sites/{stranger.site.pk}/"

    assert {path: owner.get(owner_site + path).status_code for path in PATHS} == dict.fromkeys(PATHS, 404)
    for path in ("sync/", "settings/", "connect/"):
        assert send(owner, owner_site + path, once="x").status_code == 404
    key = ApiKey.objects.get(owner=stranger.user)
    assert send(owner, f"/keys/{key.pk}/revoke/").status_code == 404
    assert key.prefix not in owner.get("/keys/").text
    assert ApiKey.find(stranger.api_key)
    assert not SyncRequest.objects.filter(integration=stranger.integration).exists()


def test_closed_pages_ask_to_sign_in_before_anything(browser: Browser, tenant: Tenant, closed_pages: None) -> None:
    site = f"/sites/{tenant.site.pk}/"
    for path in ("/", "/connect/", "/keys/", *(site + path for path in PATHS)):
        assert browser.get(path).headers["location"] == f"/sign-in/?next={path}"
    for path in ("/connect/", "/keys/", f"{site}sync/", f"{site}settings/", f"{site}connect/", "/keys/1/revoke/"):
        assert send(browser, path).headers["location"] == "/sign-in/?next=/"


def test_nothing_is_changed_by_opening_an_address(owner: Browser, tenant: Tenant) -> None:
    for path in (f"/sites/{tenant.site.pk}/sync/", "/keys/1/revoke/", "/sign-out/"):
        assert owner.get(path).status_code == 405


def test_open_pages_hand_out_no_key(browser: Browser, tenant: Tenant) -> None:
    for path in ("/keys/", f"/sites/{tenant.site.pk}/connect/", f"/sites/{tenant.site.pk}/arrival/"):
        assert browser.get(path).status_code == 302
    for path in ("/keys/", "/connect/", f"/sites/{tenant.site.pk}/connect/"):
        answer = send(browser, path, url="https://new.example", label="mine", once="x")
        assert answer.headers["location"].startswith("/sign-in/")
    assert "Name the site in the agent’s settings" in browser.get("/connect/").text


# --- connecting a site ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "url", "name"),
    [
        ("https://Example.COM/", "https://example.com", "example.com"),
        ("www.example.com/blog/", "https://www.example.com/blog", "example.com/blog"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("http://[::1]:8080/a", "http://[::1]:8080/a", "[::1]:8080/a"),
        ("https://müller.example", "https://müller.example", "müller.example"),
    ],
)
def test_a_site_is_connected_by_its_address_alone(
    owner: Browser, tenant: Tenant, given: str, url: str, name: str
) -> None:
    from agent.hub.integrations.models import ApiKey, Site

    page = html.unescape(send(owner, "/connect/", url=given).text)

    site = Site.objects.get(owner=tenant.user, url=url)
    assert site.name == name
    found = re.search(r'<pre id="key"[^>]*>(wpsa_[\w-]+)</pre>', page)
    assert found
    key = ApiKey.find(found[1])
    assert key is not None and key.site == site and key.owner == tenant.user
    assert f"WPSA_SITE_URL={url}\nWPSA_BACKEND_URL=http://localhost\nWPSA_BACKEND_SITE_ID={site.pk}\n" in page


@pytest.mark.parametrize(
    "given",
    [
        "",
        "ftp://example.com",
        "https://user:secret@example.com",
        "https://example.com/?a=b",
        "https://example.com/#x",
        "https://example.com/$(reboot)",
        "https://example.com/`id`",
        "https://example.com/a b",
        "https://example.com/'",
        "https://exa\nmple.com",
        "https://[::1",
        "javascript:alert(1)",
        "https://" + "a" * 3_000,
    ],
)
def test_what_is_no_plain_address_connects_nothing(owner: Browser, tenant: Tenant, given: str) -> None:
    from agent.hub.integrations.models import Site

    answer = send(owner, "/connect/", url=given)

    assert answer.status_code == 200
    assert 'role="alert"' in answer.text
    assert Site.objects.filter(owner=tenant.user).count() == 1


def test_a_site_that_is_there_already_is_named_and_left_alone(owner: Browser, tenant: Tenant) -> None:
    page = send(owner, "/connect/", url="shop.example/").text
    assert "This site is connected already." in page
    assert f'href="/sites/{tenant.site.pk}/"' in page

    page = send(owner, "/connect/", url="https://other.example", name="Shop").text
    assert "Another site has this name." in page
    tenant.site.refresh_from_db()
    assert tenant.site.url == "https://shop.example"


def test_two_owners_may_have_the_same_site(owner: Browser, tenant: Tenant) -> None:
    a_tenant(name="Theirs", url="https://theirs.example")

    assert "Start the agent of" in send(owner, "/connect/", url="https://theirs.example", name="Theirs").text


def test_the_files_name_the_hub_as_its_people_do(owner: Browser) -> None:
    from django.test.utils import override_settings

    with override_settings(WPSA_HUB_PUBLIC_URL="https://hub.example.com"):
        page = html.unescape(send(owner, "/connect/", url="https://one.example").text)
    assert "WPSA_BACKEND_URL=https://hub.example.com\n" in page
    assert "network_mode" not in page and "ALLOW_INSECURE" not in page

    with override_settings(WPSA_HUB_PUBLIC_URL="http://hub.example.com"):
        page = html.unescape(send(owner, "/connect/", url="https://two.example").text)
    assert "The key would travel in the clear." in page
    assert "WPSA_BACKEND_ALLOW_INSECURE_HTTP=true\n" in page


def test_a_form_that_makes_a_key_makes_one(owner: Browser, tenant: Tenant) -> None:
    from agent.hub.integrations.models import ApiKey

    for path, fields in ((f"/sites/{tenant.site.pk}/connect/", {}), ("/keys/", {"label": "second"})):
        before = ApiKey.objects.count()
        once = once_in(owner.get(path).text)
        assert re.search(r'<pre id="key"[^>]*>wpsa_', send(owner, path, once=once, **fields).text)
        for again in (once, ""):
            assert send(owner, path, once=again, **fields).status_code == 302
        assert ApiKey.objects.count() == before + 1


# --- keys ----------------------------------------------------------------------------------------


def test_a_key_is_of_ones_own_sites_only(owner: Browser) -> None:
    stranger = a_tenant()
    form = {"once": once_in(owner.get("/keys/").text), "label": "thief", "site": str(stranger.site.pk)}

    page = send(owner, "/keys/", **form).text

    assert "This site is not yours" in page
    assert 'id="key"' not in page


def test_a_revoked_key_is_told_apart_and_cannot_be_revoked_again(owner: Browser, tenant: Tenant) -> None:
    from agent.hub.integrations.models import ApiKey

    row = ApiKey.objects.get(owner=tenant.user)
    assert f'action="/keys/{row.pk}/revoke/"' in owner.get("/keys/").text
    assert send(owner, f"/keys/{row.pk}/revoke/").status_code == 302
    page = owner.get("/keys/").text

    assert ApiKey.find(tenant.api_key) is None
    assert 'class="ended"' in page
    assert f'action="/keys/{row.pk}/revoke/"' not in page
    assert tenant.api_key not in page and row.sha256 not in page


# --- sync now ------------------------------------------------------------------------------------


def test_a_sync_is_asked_for_once_however_often_the_button_is_pressed(owner: Browser, tenant: Tenant) -> None:
    from agent.hub.integrations.models import SyncRequest

    for _ in range(3):
        assert send(owner, f"/sites/{tenant.site.pk}/sync/").headers["location"] == f"/sites/{tenant.site.pk}/"

    [asked] = SyncRequest.objects.filter(integration=tenant.integration)
    assert asked.requested_by == tenant.user
    page = owner.get(f"/sites/{tenant.site.pk}/").text
    assert "Asked for a sync" in page
    assert f'data-poll="/sites/{tenant.site.pk}/"' in page
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in page


def test_a_page_at_rest_does_not_reload_itself(browser: Browser, tenant: Tenant) -> None:
    browser.post(tenant.push_path, bearer=tenant.api_key, json=a_document())
    page = browser.get(f"/sites/{tenant.site.pk}/").text

    assert "data-poll" not in page
    assert "http-equiv" not in page


def test_a_failing_site_says_why_and_what_to_do(browser: Browser, tenant: Tenant) -> None:
    from django.utils import timezone

    from agent.hub.integrations.syncing import record_run

    now = timezone.now()
    said = {"message": "the password was refused", "hint": "Create a new application password."}
    record_run(tenant.integration, {"started_at": now, "finished_at": now, "result": "held", **said})
    page = browser.get(f"/sites/{tenant.site.pk}/").text

    assert '<span class="badge failing">Failing</span>' in page
    assert "<bdi>the password was refused</bdi>" in page
    assert "<strong>What to do:</strong> <bdi>Create a new application password.</bdi>" in page


# --- settings per type ---------------------------------------------------------------------------


def limit_of(slug: str, family: str = "post_types") -> str:
    return f"limit:{key_of(slug, family)}"


def key_of(slug: str, family: str = "post_types") -> str:
    return hashlib.sha256(f"{family}:{slug}".encode()).hexdigest()[:16]


def chosen(tenant: Tenant) -> dict[str, tuple[bool, int]]:
    from agent.hub.integrations.type_settings import choices_of

    tenant.integration.refresh_from_db()
    return {
        slug: (choice["enabled"], choice["fetch_limit"])
        for choices in choices_of(tenant.integration).values()
        for slug, choice in choices.items()
    }


def test_only_what_was_changed_is_chosen(browser: Browser, tenant: Tenant) -> None:
    browser.post(tenant.push_path, bearer=tenant.api_key, json=a_document())
    path = f"/sites/{tenant.site.pk}/settings/"
    shown = {limit_of("post"): "100", limit_of("page"): "250", limit_of("category", "taxonomies"): "100"}

    answer = send(browser, path, enabled=key_of("page"), **shown)

    assert answer.headers["location"] == f"{path}?page=1&saved=1"
    # Nobody enabled the other two in this form: that is what a box without a tick says.
    assert chosen(tenant) == {
        "post": (False, 100),
        "page": (True, 250),
        "category": (False, 100),
    }


def test_what_was_chosen_can_be_left_to_the_agent_again(browser: Browser, tenant: Tenant) -> None:
    browser.post(tenant.push_path, bearer=tenant.api_key, json=a_document())
    path = f"/sites/{tenant.site.pk}/settings/"
    assert 'name="back"' not in browser.get(path).text
    send(browser, path, **{limit_of("post"): "7", limit_of("page"): "8"})
    assert browser.get(path).text.count('name="back"') == 2

    # What stands in its own field no longer matters; the other type is chosen anew in the same form.
    send(browser, path, back=key_of("post"), **{limit_of("post"): "nonsense", limit_of("page"): "9"})

    assert chosen(tenant) == {"page": (False, 9)}
    read = browser.get(tenant.read_path, bearer=tenant.api_key).json()
    assert read["post_types"]["post"] == {**a_document()["post_types"]["post"], "synced_count": 0}


def test_a_type_that_the_form_does_not_hold_stays_as_it_is(browser: Browser, tenant: Tenant) -> None:
    browser.post(tenant.push_path, bearer=tenant.api_key, json=a_document())

    send(browser, f"/sites/{tenant.site.pk}/settings/", enabled=key_of("post"), **{limit_of("post"): "100"})

    assert chosen(tenant) == {}


@pytest.mark.parametrize("limit", ["", "0", "-5", "1e3", "٣", "1000001", "9" * 30, "x"])
def test_a_wrong_fetch_limit_stores_nothing(browser: Browser, tenant: Tenant, limit: str) -> None:
    browser.post(tenant.push_path, bearer=tenant.api_key, json=a_document())
    fields = {limit_of("page"): "7", limit_of("post"): limit}

    answer = send(browser, f"/sites/{tenant.site.pk}/settings/", **fields)

    assert answer.status_code == 200
    assert "Nothing was saved." in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert chosen(tenant) == {}


def test_the_largest_form_fits_its_limit(browser: Browser, tenant: Tenant) -> None:
    types = {f"{number:03}{'😀' * 61}": an_entry("L" * 300) for number in range(300)}
    browser.post(tenant.push_path, bearer=tenant.api_key, json=a_document(post_types=types))
    path = f"/sites/{tenant.site.pk}/settings/?page=2"
    keys = [html.unescape(key) for key in re.findall(r'name="limit:([^"]+)"', browser.get(path).text)]
    fields: dict[str, Any] = {f"limit:{key}": "999999" for key in keys}

    answer = send(browser, path, **fields, enabled=keys)  # type: ignore[arg-type]

    assert len(keys) == 100
    assert answer.status_code == 302
    assert len(chosen(tenant)) == 100


# --- what is pasted ------------------------------------------------------------------------------


def test_no_site_breaks_out_of_what_is_pasted() -> None:
    from agent.hub.integrations.pages.connect import SITE_URL
    from agent.hub.integrations.pages.handover import Handover

    for sign in "\n\r\t '\"$`;&|<>(){}*?#!\\,":
        assert not SITE_URL.fullmatch(f"https://example.com/{sign}"), sign
    handover = Handover(7, "https://müller.example/über/~a%20b", "https://hub.example.com", "wpsa_k-_")
    assert shlex.split(handover.command)[0] == "WPSA_SITE_URL=https://müller.example/über/~a%20b"
    assert handover.container == "wpsa-m-ller-example-7"
    assert "wpsa_k-_" not in repr(handover)
    assert "wpsa_k-_" not in handover.docker_command + handover.compose_file


@pytest.mark.parametrize(
    ("hub_url", "is_local", "is_in_clear"),
    [
        ("http://127.0.0.1:8765", True, False),
        ("http://[::1]:8765", True, False),
        ("http://localhost", True, False),
        ("http://hub.localhost:1", True, False),
        ("http://10.0.0.7:8765", False, True),
        ("https://hub.example", False, False),
    ],
)
def test_an_agent_is_told_how_the_hub_is_reached(hub_url: str, is_local: bool, is_in_clear: bool) -> None:
    from agent.hub.integrations.pages.handover import Handover

    handover = Handover(1, "https://example.com", hub_url, "k")
    assert (handover.is_local, handover.is_in_clear) == (is_local, is_in_clear)
