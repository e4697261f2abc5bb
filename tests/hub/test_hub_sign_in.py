"""Who may read the pages, and how they sign in."""

import pytest
from hub_browser import Browser, sign_in
from hub_builders import Tenant, a_tenant


def test_closed_pages_ask_to_sign_in(browser: Browser, tenant: Tenant, closed_pages: None) -> None:
    for path in ("/", f"/sites/{tenant.site.pk}/"):
        answer = browser.get(path)
        assert answer.status_code == 302
        assert answer.headers["location"] == f"/sign-in/?next={path}"


def test_open_pages_stay_closed_to_a_name_that_is_not_loopback(browser: Browser, tenant: Tenant) -> None:
    from django.test.utils import override_settings

    with override_settings(ALLOWED_HOSTS=["hub.example", "localhost"]):
        assert browser.get("/sites/1/", headers={"Host": "hub.example"}).status_code == 302
        assert browser.get("/sites/1/", headers={"Host": "localhost:8765"}).status_code == 200


def test_a_strangers_site_is_404(browser: Browser, tenant: Tenant, closed_pages: None) -> None:
    sign_in(browser, a_tenant())

    assert browser.get(f"/sites/{tenant.site.pk}/").status_code == 404


def test_signing_in_and_out(browser: Browser, tenant: Tenant, closed_pages: None) -> None:
    answer = sign_in(browser, tenant, username=tenant.email.upper())
    assert (answer.status_code, answer.headers["location"]) == (302, "/")
    cookies = " ".join(answer.headers.get_list("set-cookie"))
    assert "HttpOnly" in cookies
    assert "SameSite=Strict" in cookies

    page = browser.get(f"/sites/{tenant.site.pk}/")
    assert tenant.email in page.text
    assert "no-store" in page.headers["cache-control"]

    assert browser.get("/sign-out/").status_code == 405
    assert browser.post("/sign-out/").status_code == 403
    token = {"csrfmiddlewaretoken": browser.cookies["wpsa_csrf"]}
    assert browser.post("/sign-out/", data=token).status_code == 302
    assert browser.get(f"/sites/{tenant.site.pk}/").status_code == 302


def test_a_wrong_password_is_told_without_detail(browser: Browser, tenant: Tenant) -> None:
    answer = sign_in(browser, tenant, password="wrong")

    assert answer.status_code == 200
    assert "The e-mail address or the password is wrong." in answer.text
    assert "wpsa_session" not in browser.cookies


@pytest.mark.parametrize("headers", [{}, {"Origin": "https://evil.example"}, {"Origin": "null"}])
def test_a_form_from_elsewhere_is_refused(browser: Browser, tenant: Tenant, headers: dict[str, str]) -> None:
    browser.get("/sign-in/")
    form = {"username": tenant.email, "password": tenant.password}
    if headers:
        form["csrfmiddlewaretoken"] = browser.cookies["wpsa_csrf"]

    answer = browser.post("/sign-in/", data=form, headers=headers)

    assert answer.status_code == 403
    assert "wpsa_session" not in browser.cookies


def test_signing_in_goes_to_no_other_site(browser: Browser, tenant: Tenant) -> None:
    answer = sign_in(browser, tenant, next="https://evil.example/")

    assert answer.headers["location"] == "/"
