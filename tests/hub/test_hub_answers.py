"""What every answer carries, the errors most of all."""

import logging
import re
from typing import Any

import pytest
from hub_browser import Browser
from hub_builders import Tenant, a_document

from agent.backend.contract import BODY_LIMIT_BYTES, INTEGRATIONS_PATH, LOGIN_PATH


def assert_secured(answer: Any) -> None:
    headers = answer.headers
    for directive in ("default-src 'none'", "frame-ancestors 'none'", "object-src 'none'", "form-action 'self'"):
        assert directive in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    is_page = headers.get("content-type", "").startswith("text/html")
    assert headers["referrer-policy"] == ("same-origin" if is_page else "no-referrer")
    assert "no-store" in headers["cache-control"] or "public" in headers["cache-control"]
    assert "server" not in headers
    assert [name for name, _ in headers.multi_items()].count("x-frame-options") == 1


ROUTES: list[tuple[str, str, dict[str, Any], int]] = [
    ("GET", "/healthz", {}, 200),
    ("GET", "/healthz/", {}, 200),
    ("HEAD", "/healthz/", {}, 200),
    ("POST", "/healthz/", {}, 404),
    ("GET", "/readyz", {}, 200),
    ("HEAD", "/readyz", {}, 200),
    ("POST", "/readyz", {}, 403),
    ("GET", "/", {}, 200),
    ("GET", "/sites/1/", {}, 200),
    ("GET", "/sites/999999/", {}, 404),
    ("POST", "/", {}, 403),
    ("TRACE", "/", {}, 405),
    ("PUT", "/sites/1/", {}, 403),
    ("OPTIONS", "/sites/1/", {}, 405),
    ("GET", "/sign-in/", {}, 200),
    ("GET", "/sign-out/", {}, 405),
    ("GET", "/nothing", {}, 404),
    ("GET", "/", {"headers": {"Host": "evil.example"}}, 400),
    ("GET", INTEGRATIONS_PATH, {}, 401),
    ("GET", INTEGRATIONS_PATH, {"headers": {"Host": "evil.example"}}, 400),
    ("GET", "/api/v1/nothing/", {}, 404),
    ("GET", "/api/v1/schema/", {}, 200),
    ("GET", f"{INTEGRATIONS_PATH}1/history/", {}, 401),
    ("PUT", f"{INTEGRATIONS_PATH}1/sync-request/", {}, 401),
    ("GET", "/metrics", {}, 401),
    ("GET", "/admin/", {}, 302),
    ("GET", "/static/admin/css/base.css", {}, 200),
    ("GET", "/static/admin/../settings.py", {}, 404),
    ("GET", LOGIN_PATH, {}, 405),
    ("OPTIONS", LOGIN_PATH, {}, 405),
    ("POST", LOGIN_PATH, {"json": {}}, 400),
    ("POST", LOGIN_PATH, {"content": b"x" * (BODY_LIMIT_BYTES + 1)}, 413),
    ("POST", LOGIN_PATH, {"content": b"x"}, 415),
    ("GET", "/static/hub.css", {}, 404),
    ("GET", "/static/../settings.py", {}, 404),
]


@pytest.mark.parametrize(("method", "path", "options", "status"), ROUTES)
def test_every_answer_carries_the_security_headers(
    browser: Browser, tenant: Tenant, method: str, path: str, options: dict[str, Any], status: int
) -> None:
    answer = browser.request(method, path, **options)

    assert answer.status_code == status
    assert_secured(answer)
    if status >= 400 and path.startswith("/api/"):
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["status"] == status
        assert {"type", "title", "detail"} <= problem.keys()
    assert "evil.example" not in answer.text


def test_options_tells_nothing_about_the_api(browser: Browser, tenant: Tenant) -> None:
    answer = browser.request("OPTIONS", INTEGRATIONS_PATH, bearer=tenant.api_key)

    assert answer.status_code == 405
    assert "parses" not in answer.text


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "*/*", "nonsense"])
def test_json_is_answered_whatever_is_accepted(browser: Browser, tenant: Tenant, accept: str) -> None:
    answer = browser.get(INTEGRATIONS_PATH, bearer=tenant.api_key, headers={"Accept": accept})

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"


def test_the_static_files_are_cached_for_ever_under_their_content(browser: Browser) -> None:
    page = browser.get("/sign-in/").text
    paths = set(re.findall(r'"(/static/[^"]+)"', page))
    assert {path.rpartition(".")[2] for path in paths} == {"css", "js", "svg"}

    for path in paths:
        answer = browser.get(path)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert_secured(answer)


class Broken(Exception):
    pass


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch, tenant: Tenant) -> Any:
    from agent.hub.integrations import views
    from agent.hub.integrations.pages import site as pages

    def break_with(error: Exception) -> None:
        def fail(*args: object, **kwargs: object) -> None:
            raise error

        monkeypatch.setattr(pages, "count_synced", fail)
        monkeypatch.setattr(views, "take_in", fail)

    return break_with


def test_a_bug_is_500_with_an_id_and_nothing_else(
    browser: Browser, tenant: Tenant, broken: Any, caplog: pytest.LogCaptureFixture
) -> None:
    broken(Broken("secret-detail"))
    with caplog.at_level(logging.ERROR):
        api = browser.post(tenant.push_path, bearer=tenant.api_key, json=a_document())
        page = browser.get(f"/sites/{tenant.site.pk}/")

    for answer in (api, page):
        assert answer.status_code == 500
        assert "secret-detail" not in answer.text
        assert "Traceback" not in answer.text
        assert_secured(answer)
    assert api.headers["content-type"] == "application/problem+json"
    assert f"error_id={api.json()['id']}" in caplog.text
    assert tenant.api_key not in caplog.text


def test_a_busy_database_is_503_with_a_time_to_wait(browser: Browser, tenant: Tenant, broken: Any) -> None:
    from django.db import OperationalError

    broken(OperationalError("database is locked"))
    api = browser.post(tenant.push_path, bearer=tenant.api_key, json=a_document())
    page = browser.get(f"/sites/{tenant.site.pk}/")

    for answer in (api, page):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert_secured(answer)


def test_liveness_answers_any_host(browser: Browser) -> None:
    answer = browser.get("/healthz/", headers={"Host": "10.1.2.3:8765"})

    assert (answer.status_code, answer.text) == (200, "ok")
