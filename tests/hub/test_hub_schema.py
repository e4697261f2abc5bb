"""The OpenAPI document says what the API does: schemathesis asks by it, sanely and insanely, as one of two tenants.

With `-m nightly` some 5,000 requests, else a few hundred.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from hub_browser import Browser
from hub_builders import Tenant, a_document, a_tenant, an_entry
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from agent.hub import embedded

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
FOREIGN = "foreign-9f3c"
"""In everything that the other tenant has."""
HTTP_METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


@pytest.fixture(autouse=True)
def host_of_the_client(hub: embedded.Embedded) -> Iterator[None]:
    from django.test.utils import override_settings

    with override_settings(ALLOWED_HOSTS=["testserver", "localhost"]):
        yield


@pytest.fixture
def foreigner(browser: Browser) -> Tenant:
    """The other tenant, with something of every kind."""
    foreign = a_tenant(name=f"{FOREIGN} site", url=f"https://{FOREIGN}.example")
    for count in (1, 2):
        document = a_document(post_types={FOREIGN: an_entry(FOREIGN, count)}, site_url=f"https://{FOREIGN}.example")
        browser.post(foreign.push_path, bearer=foreign.api_key, json=document)
    base = foreign.push_path.removesuffix("update-structure/")
    browser.post(f"{base}sync-request/", bearer=foreign.api_key)
    run = {"started_at": "2026-11-21T10:00:00Z", "finished_at": "2026-11-21T10:00:01Z", "result": "held"}
    browser.post(f"{base}runs/", bearer=foreign.api_key, json={**run, "message": FOREIGN, "hint": FOREIGN})
    browser.post(f"{base}contents/", bearer=foreign.api_key, json={"post_types": {FOREIGN: [1, 2]}})
    return foreign


@pytest.fixture
def aim(tenant: Tenant, foreigner: Tenant, browser: Browser) -> Callable[[Any], None]:
    """Points a made-up request at something that exists: of three, one at ours, one at the other tenant's."""
    browser.post(tenant.push_path, bearer=tenant.api_key, json=a_document())
    owners = (tenant, foreigner)
    numbers: Iterator[int] = iter(range(10**9))

    def point(case: Any) -> None:
        owner = (*owners, None)[next(numbers) % 3]
        if owner is None or "integration_id" not in (case.path_parameters or {}):
            return
        case.path_parameters["integration_id"] = str(owner.integration.pk)
        if "snapshot_id" in case.path_parameters:
            newest = owner.integration.snapshots.order_by("-pk").first()
            case.path_parameters["snapshot_id"] = str(newest.pk)

    return point


def everything_of(tenant: Tenant) -> Any:
    """All that the hub keeps of a tenant, as it is in the tables."""
    one = tenant.integration
    rows = (one.snapshots, one.sync_requests, one.runs, one.contents)
    return [type(one).objects.values().get(pk=one.pk), *(list(kept.order_by("pk").values()) for kept in rows)]


def ask(case: Any, tenant: Tenant, aim: Callable[[Any], None]) -> None:
    aim(case)

    answer = case.call(headers={"Authorization": f"Bearer {tenant.api_key}"})

    case.validate_response(answer, checks=CHECKS)
    assert FOREIGN not in answer.text


@pytest.mark.parametrize(
    "requests_per_operation", [8, pytest.param(160, marks=[pytest.mark.nightly, pytest.mark.timeout(3_600)])]
)
@pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: mode.value)
def test_the_api_does_what_its_document_says(
    hub: embedded.Embedded,
    tenant: Tenant,
    foreigner: Tenant,
    aim: Callable[[Any], None],
    mode: GenerationMode,
    requests_per_operation: int,
) -> None:
    api = schemathesis.openapi.from_asgi("/api/v1/schema/", hub.application)
    before = everything_of(foreigner)
    for found in api.get_all_operations():
        made_up = found.ok().as_strategy(generation_mode=mode)

        @settings(max_examples=requests_per_operation, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=made_up)
        def asked(case: Any) -> None:
            ask(case, tenant, aim)

        asked()
        assert everything_of(foreigner) == before


def test_the_document_names_every_path_and_status(browser: Browser) -> None:
    document = browser.get("/api/v1/schema/").json()

    assert document["openapi"].startswith("3.1")
    assert {path.rsplit("/", 2)[-2] for path in document["paths"]} == {
        "login", "refresh", "integrations", "{integration_id}", "update-structure", "content-types", "contents",
        "sync-request", "runs", "history", "{snapshot_id}", "diff", "health",
    }  # fmt: skip
    push = document["paths"]["/api/v1/integration/integrations/{integration_id}/update-structure/"]["post"]
    assert set(push["responses"]) == {"200", "400", "401", "404", "408", "409", "413", "415", "422", "500", "503"}


def test_other_methods_than_the_documents_are_405(browser: Browser, tenant: Tenant) -> None:
    document = browser.get("/api/v1/schema/").json()

    for path, operations in document["paths"].items():
        address = path.replace("{integration_id}", str(tenant.integration.pk)).replace("{snapshot_id}", "1")
        for method in HTTP_METHODS - operations.keys() - {"head"}:
            answer = browser.request(method.upper(), address, bearer=tenant.api_key)
            assert answer.status_code == 405, (method, path)


def test_the_command_prints_the_same_document(browser: Browser) -> None:
    from io import StringIO

    from django.core.management import call_command

    printed = StringIO()
    call_command("api_schema", stdout=printed)

    assert json.loads(printed.getvalue()) == browser.get("/api/v1/schema/").json()
