"""Controls that no other file proves: reading changes nothing, races, hosts, and the settings that are law.

Which test proves which control (faults.md, section 4.2):

C13 hostile labels                    tests/browser/test_browser_hostile.py, test_hub_pages.py
C14 forged requests                   test_hub_sign_in.py, test_hub_pages_forms.py; here: reading changes nothing
C15 headers on every answer           test_hub_answers.py
C16 passwords and keys                test_hub_access.py, test_hub_operator.py; here: the hashers
C17 guessing                          test_hub_attempts.py; here: many guesses at once
C18 sign-in state                     test_hub_sign_in.py, test_hub_operator.py; here: one token used twice at once
C19 foreign tenants                   test_hub_schema.py, test_hub_syncing.py, test_hub_access.py
C20 host and forwarded headers        test_hub_operator.py; here: hosts
C21 metrics                           test_hub_operator.py
C22 bodies and slow clients           test_hub_json.py, tests/contract/test_contract_access.py, tests/unit/test_web.py
C23 over-posting                      test_hub_push.py, test_hub_schema.py
C24 errors that talk                  test_hub_answers.py
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hub_browser import Browser, sign_in
from hub_builders import Tenant, a_document

from agent.backend.contract import INTEGRATIONS_PATH, LOGIN_PATH, REFRESH_PATH


def kept() -> dict[str, Any]:
    """Every row of ours; a session may note when somebody was seen."""
    from django.apps import apps

    return {
        model.__name__: list(model.objects.order_by("pk").values())
        for model in apps.get_app_config("integrations").get_models()
    }


def test_reading_changes_nothing(browser: Browser, tenant: Tenant) -> None:
    browser.post(tenant.push_path, bearer=tenant.api_key, json=a_document())
    sign_in(browser, tenant)
    one, site = f"{INTEGRATIONS_PATH}{tenant.integration.pk}/", f"/sites/{tenant.site.pk}/"
    before = kept()

    for path in (INTEGRATIONS_PATH, one, *(f"{one}{end}/" for end in (
        "content-types", "runs", "history", "diff", "health", "sync-request", "contents", "update-structure",
    ))):  # fmt: skip
        assert browser.get(path, bearer=tenant.api_key).status_code in (200, 405)
    for path in ("/", site, f"{site}history/", f"{site}sync/", "/connect/", "/api-keys/", "/sign-out/", "/admin/"):
        assert browser.get(path).status_code in (200, 302, 404, 405)

    assert kept() == before


def at_once(times: int, work: Any) -> list[Any]:
    """The results of so many calls at the same time, each with a connection of its own."""
    from django.db import connection

    def call(_: int) -> Any:
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(call, range(times)))


def test_of_many_guesses_at_once_not_one_too_many_gets_through(hub: object) -> None:
    from agent.hub.integrations.attempts import ATTEMPTS_PER_ACCOUNT, take_attempt

    waits = at_once(16, lambda: take_attempt("192.0.2.77", "somebody@example.com"))

    assert waits.count(None) == ATTEMPTS_PER_ACCOUNT


def test_a_refresh_token_used_twice_at_once_works_once(browser: Browser, tenant: Tenant) -> None:
    credentials = {"email": tenant.email, "password": tenant.password}
    refresh = browser.post(LOGIN_PATH, json=credentials, address="10.3.0.1").json()["refresh"]

    answers = at_once(4, lambda: Browser(browser.application).post(REFRESH_PATH, json={"refresh": refresh}).status_code)

    assert sorted(answers) == [200, 401, 401, 401]


def test_pushes_of_one_site_at_once_leave_the_newest(browser: Browser, tenant: Tenant) -> None:
    from itertools import count

    from agent.backend.contract import GENERATION_HEADER

    numbers = count(1)

    def push() -> int:
        generation = next(numbers)
        document = a_document(wordpress_version=str(generation))
        headers = {GENERATION_HEADER: str(generation)}
        own = Browser(browser.application)
        return own.post(tenant.push_path, bearer=tenant.api_key, json=document, headers=headers).status_code

    answers = at_once(8, push)

    assert set(answers) <= {200, 409}
    tenant.integration.refresh_from_db()
    assert (tenant.integration.structure_generation, tenant.integration.wordpress_version) == (8, "8")


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "localhost@evil.example", "evil.example#localhost", "[::1", "localhost:x",
     "127.0.0.1.nip.example", "localhost,evil.example", "", "<script>", "evil.example:80"],
)  # fmt: skip
def test_a_host_that_is_not_ours_is_refused_and_never_repeated(browser: Browser, tenant: Tenant, host: str) -> None:
    for path in ("/sign-in/", INTEGRATIONS_PATH, "/api/v1/schema/", "/metrics", "/admin/"):
        answer = browser.get(path, headers={"Host": host}, bearer=tenant.api_key)
        assert answer.status_code == 400
        assert "evil" not in answer.text
        assert "<script>" not in answer.text


@pytest.mark.parametrize("header", ["X-Forwarded-Host", "X-Forwarded-Server", "X-Original-Host", "Forwarded"])
def test_no_header_but_the_host_names_the_hub(browser: Browser, tenant: Tenant, header: str) -> None:
    for number in range(22):
        browser.post(tenant.push_path, bearer=tenant.api_key, json=a_document(wordpress_version=str(number)))

    page = browser.get(
        f"{INTEGRATIONS_PATH}{tenant.integration.pk}/history/", headers={header: "evil.example"}, bearer=tenant.api_key
    )

    assert page.json()["next"].startswith("http://localhost/")


def test_the_settings_that_are_law(hub: object) -> None:
    from django.conf import settings
    from rest_framework.settings import api_settings

    assert settings.DEBUG is False
    assert [name for name in settings.INSTALLED_APPS if "debug" in name or "cors" in name] == []
    assert [one.__name__ for one in api_settings.DEFAULT_RENDERER_CLASSES] == ["JSONRenderer"]
    assert api_settings.DEFAULT_METADATA_CLASS is None
    assert [one.__name__ for one in api_settings.DEFAULT_AUTHENTICATION_CLASSES] == ["BearerAuthentication"]
    assert settings.SESSION_COOKIE_SAMESITE == settings.CSRF_COOKIE_SAMESITE == "Strict"
    assert settings.SESSION_COOKIE_HTTPONLY
    assert settings.SIMPLE_JWT["SIGNING_KEY"] != settings.SECRET_KEY


def test_passwords_are_hashed_with_argon2id(tmp_path: Any) -> None:
    from agent.hub.options import HubOptions
    from agent.hub.settings import django_settings

    given = django_settings(HubOptions.from_environment({"WPSA_HUB_DIR": str(tmp_path)}))

    assert given["PASSWORD_HASHERS"][0] == "django.contrib.auth.hashers.Argon2PasswordHasher"
