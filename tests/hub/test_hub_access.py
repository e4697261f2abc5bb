"""Who may do what: bearers, tokens, tenants, attempts."""

from typing import Any

import pytest
from hub_browser import Browser, sign_in
from hub_builders import Tenant, a_document, a_tenant

from agent.backend.contract import INTEGRATIONS_PATH, LOGIN_PATH, REFRESH_PATH


def login(browser: Browser, tenant: Tenant, **changes: Any) -> Any:
    address = changes.pop("address", f"10.0.0.{tenant.user.pk % 250}")
    credentials = {"email": tenant.email, "password": tenant.password, **changes}
    return browser.post(LOGIN_PATH, json=credentials, address=address)


def protected(tenant: Tenant) -> list[tuple[str, str]]:
    return [("GET", INTEGRATIONS_PATH), ("POST", tenant.push_path), ("GET", tenant.read_path)]


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize(
    "authorization",
    [None, "Bearer", "Bearer ", "Bearer wpsa_unknown", "Bearer x.y.z", "Basic YTpi", "Token x", "Bearer ü"],
)
def test_a_missing_or_wrong_bearer_is_401_with_a_challenge(
    browser: Browser, tenant: Tenant, number: int, authorization: str | None
) -> None:
    method, path = protected(tenant)[number]
    headers = {} if authorization is None else {b"Authorization": authorization.encode()}

    answer = browser.request(method, path, headers=headers)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_scheme_is_read_in_any_case(browser: Browser, tenant: Tenant) -> None:
    headers = {"Authorization": f"bearer {tenant.api_key}"}
    assert browser.get(INTEGRATIONS_PATH, headers=headers).status_code == 200


def test_a_session_cookie_opens_no_api(browser: Browser, tenant: Tenant) -> None:
    sign_in(browser, tenant)
    assert browser.get("/").status_code == 200

    assert browser.get(INTEGRATIONS_PATH).status_code == 401


def test_revoked_keys_and_inactive_owners_are_refused(browser: Browser, tenant: Tenant) -> None:
    from django.utils import timezone

    from agent.hub.integrations.models import ApiKey

    spare = ApiKey.issue(tenant.user)
    ApiKey.objects.filter(prefix=spare[:13]).update(revoked_at=timezone.now())
    assert browser.get(INTEGRATIONS_PATH, bearer=spare).status_code == 401
    assert browser.get(INTEGRATIONS_PATH, bearer=tenant.api_key).status_code == 200

    tenant.user.is_active = False
    tenant.user.save()
    assert browser.get(INTEGRATIONS_PATH, bearer=tenant.api_key).status_code == 401


def test_a_key_is_kept_only_as_a_digest(tenant: Tenant, hub_directory: Any) -> None:
    assert len(tenant.api_key) >= 43 + len("wpsa_")
    for file in hub_directory.glob("hub.sqlite3*"):
        assert tenant.api_key.encode() not in file.read_bytes()


def test_a_key_with_the_right_prefix_alone_is_refused(browser: Browser, tenant: Tenant) -> None:
    forged = tenant.api_key[:13] + "A" * (len(tenant.api_key) - 13)
    assert browser.get(INTEGRATIONS_PATH, bearer=forged).status_code == 401


def test_login_gives_tokens_that_work(browser: Browser, tenant: Tenant) -> None:
    tokens = login(browser, tenant, email=tenant.email.upper()).json()

    assert set(tokens) == {"access", "refresh"}
    assert browser.get(INTEGRATIONS_PATH, bearer=tokens["access"]).status_code == 200
    assert browser.get(INTEGRATIONS_PATH, bearer=tokens["refresh"]).status_code == 401


def test_unknown_users_and_wrong_passwords_look_alike(browser: Browser, tenant: Tenant) -> None:
    wrong = login(browser, tenant, password="no")
    unknown = login(browser, tenant, email="nobody@example.com")

    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()
    assert "www-authenticate" in wrong.headers


@pytest.mark.parametrize(
    "body", [{}, {"email": 1, "password": "x"}, {"email": "a@b.c", "password": "x", "admin": True}]
)
def test_a_wrong_login_body_is_400(browser: Browser, body: Any) -> None:
    assert browser.post(LOGIN_PATH, json=body).status_code == 400


def test_a_refresh_token_works_once(browser: Browser, tenant: Tenant) -> None:
    first = login(browser, tenant).json()

    second = browser.post(REFRESH_PATH, json={"refresh": first["refresh"]})
    again = browser.post(REFRESH_PATH, json={"refresh": first["refresh"]})

    assert second.status_code == 200
    assert set(second.json()) == {"access", "refresh"}
    assert browser.get(INTEGRATIONS_PATH, bearer=second.json()["access"]).status_code == 200
    assert again.status_code == 401
    assert again.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("token", ["x", "a.b.c", ""])
def test_nonsense_is_no_refresh_token(browser: Browser, token: str) -> None:
    assert browser.post(REFRESH_PATH, json={"refresh": token}).status_code in (400, 401)


def test_an_access_token_is_no_refresh_token(browser: Browser, tenant: Tenant) -> None:
    access = login(browser, tenant).json()["access"]
    assert browser.post(REFRESH_PATH, json={"refresh": access}).status_code == 401


def test_a_new_password_ends_the_old_tokens(browser: Browser, tenant: Tenant) -> None:
    tokens = login(browser, tenant).json()

    tenant.user.set_password("another one entirely")
    tenant.user.save()

    assert browser.get(INTEGRATIONS_PATH, bearer=tokens["access"]).status_code == 401
    assert browser.post(REFRESH_PATH, json={"refresh": tokens["refresh"]}).status_code == 401


def test_a_refresh_token_of_a_deleted_user_is_401(browser: Browser) -> None:
    gone = a_tenant()
    tokens = login(browser, gone).json()
    gone.user.delete()

    assert browser.post(REFRESH_PATH, json={"refresh": tokens["refresh"]}).status_code == 401


def test_a_strangers_integration_is_404_everywhere(browser: Browser, tenant: Tenant) -> None:
    stranger = a_tenant()

    for bearer in (stranger.api_key, login(browser, stranger).json()["access"]):
        assert browser.get(tenant.read_path, bearer=bearer).status_code == 404
        assert browser.post(tenant.push_path, bearer=bearer, json=a_document()).status_code == 404
        listed = browser.get(f"{INTEGRATIONS_PATH}?site={tenant.site.pk}", bearer=bearer).json()
        assert listed["results"] == []
    assert browser.get(tenant.read_path, bearer=tenant.api_key).json()["last_structure_fetch"] is None


@pytest.mark.parametrize("wrong_id", ["0", "999999999999999999", "9" * 30, "x", "1.0", "-1"])
def test_an_unknown_integration_is_404(browser: Browser, tenant: Tenant, wrong_id: str) -> None:
    answer = browser.get(f"{INTEGRATIONS_PATH}{wrong_id}/content-types/", bearer=tenant.api_key)

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_listing_filters_by_site_and_platform(browser: Browser, tenant: Tenant) -> None:
    def listed(query: str) -> Any:
        return browser.get(f"{INTEGRATIONS_PATH}?{query}", bearer=tenant.api_key).json()

    page = listed(f"site={tenant.site.pk}&platform=wordpress")
    assert page["count"] == 1
    assert page["next"] is None
    row = page["results"][0]
    assert row["id"] == tenant.integration.pk
    assert row["site"] == tenant.site.pk
    assert (row["platform"], row["site_name"], row["site_url"]) == ("wordpress", "Shop", "https://shop.example")
    assert listed("site=999999999999999999")["results"] == []
    assert listed("platform=drupal")["results"] == []
    assert listed("site=x")["status"] == 400


def test_pages_of_the_listing_follow_each_other(
    browser: Browser, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.test.utils import override_settings

    from agent.hub.integrations.listing import PagePagination
    from agent.hub.integrations.models import Site

    Site.connect(tenant.user, name="Second", url="https://second.example")
    monkeypatch.setattr(PagePagination, "page_size", 1)
    first = browser.get(INTEGRATIONS_PATH, bearer=tenant.api_key).json()
    assert first["next"] == f"http://localhost{INTEGRATIONS_PATH}?page=2"
    with override_settings(WPSA_HUB_PUBLIC_URL="https://hub.example"):
        moved = browser.get(INTEGRATIONS_PATH, bearer=tenant.api_key).json()
    assert moved["next"] == f"https://hub.example{INTEGRATIONS_PATH}?page=2"
    second = browser.get(first["next"], bearer=tenant.api_key).json()

    assert [row["site_name"] for row in first["results"] + second["results"]] == ["Shop", "Second"]
    assert second["next"] is None
    assert browser.get(f"{INTEGRATIONS_PATH}?page=3", bearer=tenant.api_key).status_code == 404
