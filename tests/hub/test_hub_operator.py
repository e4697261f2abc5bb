"""What the operator of a hub has besides the pages: backup, administrators, metrics, Django's admin, proxies."""

import re
import sqlite3
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hub_browser import Browser, sign_in
from hub_builders import Tenant, a_document, a_tenant
from test_hub_setup import clean_environment

from agent.backend.contract import INTEGRATIONS_PATH, LOGIN_PATH


def wpsa(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agent", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def own_hub(tmp_path_factory: pytest.TempPathFactory, only_sqlite: None) -> dict[str, str]:
    """The environment of a hub with one administrator."""
    folder = tmp_path_factory.mktemp("own")
    environment = {**clean_environment(folder), "WPSA_STATE_DIR": str(folder / "state")}
    made = wpsa(environment, "hub", "createsuperuser", "Ops@example.com")
    assert (made.returncode, made.stderr) == (0, "")
    assert len(made.stdout.strip()) >= 24
    return environment


def test_a_backup_is_a_whole_private_database_and_overwrites_nothing(own_hub: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "copy.sqlite3"

    done = wpsa(own_hub, "hub", "backup", str(file))

    assert (done.returncode, done.stdout) == (0, f"{file}\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    connection = sqlite3.connect(file)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert connection.execute("SELECT email FROM integrations_user").fetchall() == [("ops@example.com",)]
    connection.close()
    again = wpsa(own_hub, "hub", "backup", str(file))
    assert (again.returncode, "is there already" in again.stderr) == (78, True)
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_postgresql_is_backed_up_by_its_own_means(own_hub: dict[str, str]) -> None:
    url = {"WPSA_HUB_DATABASE_URL": "postgresql://wpsa:sesame@127.0.0.1:1/hub"}

    refused = wpsa({**own_hub, **url}, "hub", "backup")

    assert (refused.returncode, "pg_dump" in refused.stderr, "sesame" in refused.stderr) == (78, True, False)


def test_a_database_that_does_not_answer_is_named_without_its_password(own_hub: dict[str, str]) -> None:
    url = {"WPSA_HUB_DATABASE_URL": "postgresql://wpsa:sesame@127.0.0.1:1/hub"}

    refused = wpsa({**own_hub, **url}, "hub", "createsuperuser", "ops@example.com")

    assert (refused.returncode, "WPSA_HUB_DATABASE_URL" in refused.stderr) == (78, True)
    assert "sesame" not in refused.stderr


def test_an_administrator_is_made_once(own_hub: dict[str, str]) -> None:
    for email, told in (("ops@EXAMPLE.com", "already"), ("nobody", "no e-mail address")):
        refused = wpsa(own_hub, "hub", "createsuperuser", email)
        assert (refused.returncode, refused.stdout, told in refused.stderr) == (78, "", True)


@pytest.fixture
def administrator(tenant: Tenant) -> Tenant:
    tenant.user.is_superuser = True
    tenant.user.save()
    return tenant


def test_metrics_are_for_an_administrators_key(browser: Browser, administrator: Tenant) -> None:
    from agent.hub.integrations.models import ApiKey

    stranger = a_tenant()
    browser.post(stranger.push_path, bearer=stranger.api_key, json=a_document())
    assert browser.get("/metrics").status_code == 401
    assert browser.get("/metrics", bearer=stranger.api_key).status_code == 403
    assert browser.get("/metrics", bearer=ApiKey.issue(administrator.user, site=administrator.site)).status_code == 403

    answer = browser.get("/metrics", bearer=administrator.api_key)

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    numbers = dict(re.findall(r"^(\w+(?:\{[^}]*\})?) ([0-9.e+]+)$", answer.text, flags=re.MULTILINE))
    assert float(numbers['wpsa_hub_sites{state="fresh"}']) >= 1
    assert float(numbers['wpsa_hub_sites{state="never"}']) >= 1
    assert float(numbers['wpsa_hub_request_duration_seconds_count{door="api",status_class="2xx"}']) >= 1
    assert "shop.example" not in answer.text
    assert stranger.email not in answer.text


def test_the_admin_is_for_administrators_and_signs_in_by_the_hubs_own_form(browser: Browser, tenant: Tenant) -> None:
    assert browser.get("/admin/").headers["location"] == "/admin/login/?next=/admin/"
    assert browser.get("/admin/login/?next=/admin/").headers["location"] == "/sign-in/?next=/admin/"

    sign_in(browser, tenant)

    assert browser.get("/admin/login/").status_code == 403


def inline_in(page: str) -> list[str]:
    """The scripts and styles that stand in a page itself, which its policy would not run."""
    found: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            given = dict(attrs)
            found.extend(f"{tag} {name}" for name in given if name == "style" or name.startswith("on"))
            if tag == "style" or (tag == "script" and "src" not in given and given.get("type") != "application/json"):
                found.append(tag)

    Tags().feed(page)
    return found


def test_the_admin_works_under_the_pages_policy(browser: Browser, administrator: Tenant) -> None:
    browser.post(administrator.push_path, bearer=administrator.api_key, json=a_document())
    sign_in(browser, administrator)
    site = administrator.site.pk

    for path in ("", "integrations/user/", "integrations/user/add/", f"integrations/site/{site}/change/",
                 "integrations/apikey/", "integrations/siteintegration/", "integrations/structuresnapshot/",
                 "integrations/syncrequest/", "integrations/run/"):  # fmt: skip
        page = browser.get(f"/admin/{path}")
        assert page.status_code == 200, path
        assert inline_in(page.text) == [], path
        for file in re.findall(r'"(/static/[^"]+)"', page.text):
            assert browser.get(file).status_code == 200, file
    assert administrator.api_key not in browser.get("/admin/integrations/apikey/").text


def test_a_person_made_in_the_admin_can_sign_in(browser: Browser, administrator: Tenant) -> None:
    sign_in(browser, administrator)
    email = f"new{administrator.user.pk}@example.com"
    form = {"csrfmiddlewaretoken": browser.cookies["wpsa_csrf"], "email": email, "usable_password": "true",
            "password1": "a long enough one", "password2": "a long enough one"}  # fmt: skip

    assert browser.post("/admin/integrations/user/add/", data=form).status_code == 302

    credentials = {"email": email, "password": "a long enough one"}
    assert browser.post(LOGIN_PATH, json=credentials, address="10.9.9.9").status_code == 200


def test_a_site_of_the_admin_has_a_web_address(browser: Browser, administrator: Tenant) -> None:
    sign_in(browser, administrator)
    form = {"csrfmiddlewaretoken": browser.cookies["wpsa_csrf"], "name": "x", "owner": administrator.user.pk}

    answer = browser.post("/admin/integrations/site/add/", data={**form, "url": "javascript:alert(1)"})

    assert (answer.status_code, "Enter a valid URL" in answer.text) == (200, True)


def test_keys_are_revoked_in_the_admin_and_stay_as_a_record(browser: Browser, administrator: Tenant) -> None:
    other = a_tenant()
    sign_in(browser, administrator)
    key = other.user.api_keys.get()
    form = {"csrfmiddlewaretoken": browser.cookies["wpsa_csrf"], "action": "revoke", "_selected_action": key.pk}

    assert browser.post("/admin/integrations/apikey/", data=form).status_code == 302

    assert browser.get(INTEGRATIONS_PATH, bearer=other.api_key).status_code == 401
    assert other.user.api_keys.get().revoked_at is not None


# --- proxies and TLS ----------------------------------------------------------------------------


def behind(**changes: Any) -> Browser:
    """A browser of the application as it is built with these settings."""
    from django.test.utils import override_settings

    from agent.hub.middleware import build_application

    with override_settings(**changes):
        return Browser(build_application())


def wrong_login(browser: Browser, email: str, address: str, forwarded: str) -> int:
    body, headers = {"email": email, "password": "no"}, {"X-Forwarded-For": forwarded}
    return int(browser.post(LOGIN_PATH, json=body, address=address, headers=headers).status_code)


def test_a_listed_proxy_says_who_asks_and_nobody_else_does(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    from agent.hub.integrations import attempts

    monkeypatch.setattr(attempts, "ATTEMPTS_PER_ADDRESS", 1)
    browser = behind(WPSA_HUB_TRUSTED_PROXIES=("10.1.0.0/16",))

    assert wrong_login(browser, "a@example.com", "10.1.0.9", "203.0.113.1") == 401
    assert wrong_login(browser, "b@example.com", "10.1.0.9", "203.0.113.2") == 401, "another person behind the proxy"
    assert wrong_login(browser, "c@example.com", "10.1.0.9", "203.0.113.2") == 429
    assert wrong_login(browser, "d@example.com", "10.1.0.9", "198.51.100.7, 203.0.113.2") == 429, "a header made up"
    assert wrong_login(browser, "e@example.com", "203.0.113.9", "203.0.113.10") == 401
    assert wrong_login(browser, "f@example.com", "203.0.113.9", "203.0.113.11") == 429, "not a proxy of ours"


def test_behind_tls_forms_are_taken_and_hsts_is_said(hub: Any, tenant: Tenant) -> None:
    from django.test.utils import override_settings

    with override_settings(SECURE_HSTS_SECONDS=1_000):
        browser = behind(WPSA_HUB_HTTPS=True)
        page = browser.get("/sign-in/")
        form = {
            "username": tenant.email,
            "password": tenant.password,
            "csrfmiddlewaretoken": browser.cookies["wpsa_csrf"],
        }
        taken = browser.post("/sign-in/", data=form, headers={"Origin": "https://localhost"}, address="10.2.0.1")

        assert page.headers["strict-transport-security"] == "max-age=1000"
        assert taken.status_code == 302
        assert behind().post("/sign-in/", data=form, headers={"Origin": "https://localhost"}).status_code == 403


# --- keys and sessions that end -----------------------------------------------------------------


def test_a_key_ends_when_it_expires(browser: Browser, tenant: Tenant) -> None:
    from agent.hub.integrations.models import ApiKey

    now = datetime.now(UTC)
    for expires_at, status in ((now + timedelta(minutes=1), 200), (now - timedelta(seconds=1), 401)):
        key = ApiKey.issue(tenant.user, expires_at=expires_at)
        assert browser.get(INTEGRATIONS_PATH, bearer=key).status_code == status


def test_the_last_use_of_a_key_is_known_to_the_hour(browser: Browser, tenant: Tenant) -> None:
    key = tenant.user.api_keys.get()
    assert key.last_used_at is None
    browser.get(INTEGRATIONS_PATH, bearer=tenant.api_key)
    key.refresh_from_db()
    first = key.last_used_at
    assert first is not None

    browser.get(INTEGRATIONS_PATH, bearer=tenant.api_key)
    key.refresh_from_db()
    assert key.last_used_at == first

    type(key).objects.filter(pk=key.pk).update(last_used_at=first - timedelta(hours=1))
    browser.get(INTEGRATIONS_PATH, bearer=tenant.api_key)
    key.refresh_from_db()
    assert key.last_used_at > first


@pytest.mark.parametrize(
    ("began", "seen", "stays"),
    [
        (timedelta(minutes=20), timedelta(minutes=20), True),
        (timedelta(hours=11), timedelta(minutes=29), True),
        (timedelta(hours=2), timedelta(minutes=31), False),
        (timedelta(hours=12, minutes=1), timedelta(minutes=2), False),
    ],
)
def test_a_person_is_signed_out_after_half_an_hour_away_and_twelve_hours_in_all(
    browser: Browser, tenant: Tenant, closed_pages: None, began: timedelta, seen: timedelta, stays: bool
) -> None:
    from django.contrib.sessions.backends.db import SessionStore

    sign_in(browser, tenant)
    browser.get("/")
    session = SessionStore(browser.cookies["wpsa_session"])
    now = datetime.now(UTC)
    session.update({"signed_in_at": (now - began).isoformat(), "seen_at": (now - seen).isoformat()})
    session.save()

    assert (browser.get("/").status_code == 200) is stays
    if stays:
        noted = SessionStore(browser.cookies["wpsa_session"])["seen_at"]
        assert datetime.fromisoformat(noted) >= now, "whoever is there is not idle"
    else:
        assert not SessionStore().exists(session.session_key), "the server itself has forgotten"


def test_signing_in_begins_a_new_session(browser: Browser, tenant: Tenant) -> None:
    browser.get("/sign-in/")
    browser.cookies.set("wpsa_session", "fixed-by-somebody-else")

    given = sign_in(browser, tenant).cookies["wpsa_session"]

    assert given != "fixed-by-somebody-else"
    assert len(given) >= 32
