"""Which integration belongs to a site: checked on our side, never guessed."""

from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
import respx
from backend_builders import KEY, LIST, OURS, a_client

from agent.backend.contract import PAGES_LIMIT
from agent.backend.integrations import Target, Whose
from agent.errors import BackendError, ContractBroken, IntegrationAmbiguous, IntegrationNotFound
from agent.transport import Transport

pytestmark = pytest.mark.anyio


async def found(http: Transport, routes: respx.MockRouter, *pages: Any, **options: Any) -> str:
    routes.get(url__startswith=LIST).mock(side_effect=[httpx.Response(200, json=page) for page in pages])
    return await a_client(http, **options).integration_of("shop")


@pytest.mark.parametrize(
    "listing",
    [
        [OURS],
        {"count": 1, "next": None, "previous": None, "results": [OURS]},
        {"success": True, "data": [OURS]},
        {"success": True, "data": {"count": 1, "next": None, "results": [OURS]}},
        {"data": [OURS], "message": "ok", "unknown": 1},
        {"results": [OURS]},
    ],
)
async def test_the_three_shapes_of_a_listing_mean_the_same(
    http: Transport, routes: respx.MockRouter, listing: Any
) -> None:
    assert await found(http, routes, listing) == "42"


@pytest.mark.parametrize(
    "row",
    [
        OURS,
        {**OURS, "id": "b7c9c1de-0000-4000-8000-000000000000"},
        {**OURS, "platform": "WordPress"},
        {**OURS, "site": "7"},
        {**OURS, "site": {"id": 7, "name": "Shop"}},
        {**OURS, "site": {"uuid": "7"}},
        {"id": 42, "site_id": 7},
        {"id": 42},
    ],
)
async def test_a_row_of_ours_is_known_however_it_names_the_site(
    http: Transport, routes: respx.MockRouter, row: dict[str, Any]
) -> None:
    assert await found(http, routes, [row]) == str(row["id"])


async def test_the_question_names_site_and_platform_and_carries_the_key(
    http: Transport, routes: respx.MockRouter
) -> None:
    await found(http, routes, [OURS])

    request = routes.calls.last.request
    assert parse_qs(request.url.query.decode()) == {"site": ["7"], "platform": ["wordpress"]}
    assert request.headers["authorization"] == f"Bearer {KEY}"


async def test_a_backend_that_ignores_the_filter_is_filtered_here(http: Transport, routes: respx.MockRouter) -> None:
    others = [{"id": 1, "site": 8, "platform": "wordpress"}, {"id": 2, "site": 7, "platform": "shopify"},
              {"id": 3, "site": {"id": 77}, "platform": "wordpress"}]  # fmt: skip

    assert await found(http, routes, [*others, OURS]) == "42"


async def test_all_pages_are_read_at_the_configured_address(http: Transport, routes: respx.MockRouter) -> None:
    """`next` is built from whatever Host the last proxy saw: only its query counts."""
    first = {"next": "http://internal:8000/elsewhere/?page=2&site=7", "results": []}
    second = {"next": None, "results": [OURS]}

    assert await found(http, routes, first, second) == "42"
    assert [str(call.request.url) for call in routes.calls][1] == f"{LIST}?page=2&site=7"


async def test_the_same_integration_on_two_pages_is_one(http: Transport, routes: respx.MockRouter) -> None:
    assert await found(http, routes, {"next": "?page=2", "results": [OURS]}, [OURS]) == "42"


async def test_pages_that_lead_back_to_themselves_end(http: Transport, routes: respx.MockRouter) -> None:
    with pytest.raises(ContractBroken) as failed:
        await found(http, routes, *[{"next": "?page=2", "results": []}] * 3)

    assert failed.value.reason == "be_page_cap"
    assert len(routes.calls) == 2


async def test_pages_without_end_end(http: Transport, routes: respx.MockRouter) -> None:
    pages = [{"next": f"?page={number}", "results": []} for number in range(PAGES_LIMIT + 5)]

    with pytest.raises(ContractBroken) as failed:
        await found(http, routes, *pages)

    assert failed.value.reason == "be_page_cap"
    assert len(routes.calls) == PAGES_LIMIT


async def test_several_are_named_and_none_is_taken(http: Transport, routes: respx.MockRouter) -> None:
    with pytest.raises(IntegrationAmbiguous, match="42, 43") as failed:
        await found(http, routes, [{**OURS, "id": 43}, OURS])

    assert failed.value.exit_code == 78
    assert "WPSA_BACKEND_INTEGRATION_ID" in failed.value.hint


@pytest.mark.parametrize("listing", [[], {"results": []}, {"data": []}, [{"id": 1, "site": 8}]])
async def test_none_is_said_plainly(http: Transport, routes: respx.MockRouter, listing: Any) -> None:
    with pytest.raises(IntegrationNotFound, match="site 7") as failed:
        await found(http, routes, listing)

    assert failed.value.exit_code == 69


async def test_a_backend_that_refuses_a_strangers_site_has_none_for_it(http: Transport, routes: respx.MockRouter) -> None:
    """Recorded of django-filter 26.2, which checks what it filters by."""
    refused = {"site": ["Select a valid choice. That choice is not one of the available choices."]}
    routes.get(url__startswith=LIST).respond(400, json=refused)

    with pytest.raises(IntegrationNotFound, match="Select a valid choice") as failed:
        await a_client(http).integration_of("shop")

    assert "WPSA_BACKEND_SITE_ID" in failed.value.hint


@pytest.mark.parametrize(
    "integration_id", ["../users", "", None, "a/b", "x" * 65, 4.2, True, ["42"], "42\n", "é", "42?x"]
)
async def test_an_id_that_could_leave_its_place_in_a_path_is_refused(
    http: Transport, routes: respx.MockRouter, integration_id: Any
) -> None:
    with pytest.raises(ContractBroken):
        await found(http, routes, [{**OURS, "id": integration_id}])


@pytest.mark.parametrize(
    "listing", ["text", 5, None, True, {}, {"data": 5}, {"data": {"rows": []}}, {"results": {}}, [5], ["x"], [None]]
)
async def test_a_shape_that_nobody_agreed_on_is_not_guessed_at(
    http: Transport, routes: respx.MockRouter, listing: Any
) -> None:
    with pytest.raises(ContractBroken):
        await found(http, routes, listing)


async def test_a_web_page_is_a_wrong_address(http: Transport, routes: respx.MockRouter) -> None:
    routes.get(url__startswith=LIST).respond(200, html="<!doctype html>")

    with pytest.raises(ContractBroken) as failed:
        await a_client(http).integration_of("shop")

    assert (failed.value.reason, failed.value.exit_code) == ("be_not_api", 78)


@pytest.mark.parametrize("status", [400, 404, 418, 301])
async def test_an_api_that_is_elsewhere_is_said(http: Transport, routes: respx.MockRouter, status: int) -> None:
    routes.get(url__startswith=LIST).respond(status)

    with pytest.raises(BackendError) as failed:
        await a_client(http).integration_of("shop")

    assert not failed.value.transient


async def test_a_configured_integration_is_not_looked_for(http: Transport, routes: respx.MockRouter) -> None:
    assert await a_client(http, target=Target(None, "99")).integration_of("shop") == "99"
    assert not routes.calls


async def test_what_was_found_is_remembered(http: Transport, routes: respx.MockRouter) -> None:
    routes.get(url__startswith=LIST).respond(200, json=[OURS])
    client = a_client(http)

    assert [await client.integration_of("shop") for _ in range(3)] == ["42"] * 3
    assert len(routes.calls) == 1


@pytest.mark.parametrize(
    ("row", "whose"),
    [
        ({"id": 42, "site": 7}, "shop"),
        ({"id": 42, "site": {"id": 7}}, "shop"),
        ({"id": 43, "site": 9}, "blog"),
        ({"id": 44, "site": 8}, None),  # the blog's site, and not the integration that its operator named
        ({"id": 45, "site": 10}, None),
        ({"id": 46}, None),
    ],
)
async def test_a_row_of_a_listing_is_of_one_of_our_sites_or_of_nobody_here(row: dict[str, Any], whose: str | None) -> None:
    ours = Whose({"shop": Target("7", None), "blog": Target("8", "43")})

    assert ours.site_of(row) == whose
