"""Settings, sites, backend and integrations: each ok, or with a cause and its remedy."""

from typing import Any

import pytest
import respx
from builders import ONE_SITE, answers
from fakes import FakeReader

from agent.check import check_all
from agent.config import load
from agent.errors import BackendUnreachable, SiteUnreachable
from agent.redact import Redactor

pytestmark = pytest.mark.anyio

LIST = "https://backend.example/api/v1/integration/integrations/"


async def found(
    monkeypatch: pytest.MonkeyPatch, says: Any, environ: dict[str, str] = ONE_SITE
) -> list[dict[str, Any]]:
    monkeypatch.setattr("agent.check.site_reader", lambda *_, **__: FakeReader({"shop.example": says}))
    loaded = load({}, environ=environ)
    return [one.as_json() for one in await check_all(loaded, loaded.settings.all_sites, redactor=Redactor())]


@respx.mock
async def test_when_all_is_well_every_line_is_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    respx.get(LIST).respond(200, json=[{"id": 42, "site": 7}])

    lines = await found(monkeypatch, answers())

    assert all(line["ok"] for line in lines)
    assert (lines[0]["subject"], lines[-1]["check"]) == ("settings", "integration")
    assert "42" in lines[-1]["said"]
    assert any("6.9" in line["said"] for line in lines)


@respx.mock
async def test_each_failure_has_its_own_line_and_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    respx.get(LIST).respond(401)

    lines = await found(monkeypatch, SiteUnreachable("shop: down", reason="refused", hint="Start it."))

    assert [(line["reason"], line["exit_code"]) for line in lines if not line["ok"]] == [
        ("refused", 69), ("be_credentials", 77)
    ]  # fmt: skip
    assert all(line["hint"] for line in lines if not line["ok"])


@respx.mock
@pytest.mark.parametrize(
    ("status", "body", "reason", "exit_code"),
    [
        (200, '{"post_types": {}, "taxonomies": {}}', None, 0),
        (401, "", "be_credentials", 77),
        (404, "", "be_integration_gone", 69),
        (200, "<!doctype html><title>Our web app</title>", "be_not_api", 78),
    ],
)
async def test_an_integration_that_is_configured_is_asked_for_too(
    monkeypatch: pytest.MonkeyPatch, status: int, body: str, reason: str | None, exit_code: int
) -> None:
    """Nothing looks it up, so a wrong key or address would show only at the first push."""
    respx.get(f"{LIST}99/content-types/").respond(status, text=body)
    environ = {key: value for key, value in ONE_SITE.items() if key != "WPSA_BACKEND_SITE_ID"}

    lines = await found(monkeypatch, answers(), environ | {"WPSA_BACKEND_INTEGRATION_ID": "99"})

    assert (lines[-1]["check"], lines[-1]["reason"], lines[-1]["exit_code"]) == ("integration", reason, exit_code)


@respx.mock
async def test_a_backend_that_is_down_owes_nothing_here(monkeypatch: pytest.MonkeyPatch) -> None:
    respx.get(LIST).respond(503)

    lines = await found(monkeypatch, answers())

    assert lines[-1]["exit_code"] == 69
    assert BackendUnreachable.exit_code == 75


async def test_without_a_backend_the_embedded_hub_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = await found(monkeypatch, answers(), {"WPSA_SITE_URL": "https://shop.example"})

    assert (lines[-1]["subject"], lines[-1]["ok"]) == ("backend", True)


@respx.mock
async def test_what_is_allowed_and_unwise_is_noted_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    respx.get(LIST.replace("https", "http")).respond(200, json=[{"id": 42, "site": 7}])
    in_clear = {"WPSA_BACKEND_URL": "http://backend.example", "WPSA_BACKEND_ALLOW_INSECURE_HTTP": "true"}

    lines = await found(monkeypatch, answers(), ONE_SITE | in_clear)

    [note] = [line for line in lines if line["reason"] == "unwise"]
    assert (note["subject"], note["level"], note["exit_code"]) == ("settings", "note", 0)
    assert note["said"] == "what opens the backend passes the network in clear"
    assert "https" in note["hint"]
