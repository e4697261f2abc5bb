"""Pushing one owed document: nothing counts as delivered that the backend did not say or show."""

from dataclasses import replace
from typing import Any

import httpx
import pytest
import respx
from backend_builders import LIST, OURS, a_client, backend_transport, push_url, shown_url
from builders import a_delivery
from fakes import ManualClock, Said, answer, raw_server, silence, then_close

from agent.backend.breaker import Breaker
from agent.backend.integrations import Target
from agent.errors import (
    BackendError,
    BackendPaused,
    BackendUnreachable,
    ContractBroken,
    CredentialsRefused,
    DeliveryRejected,
    IntegrationNotFound,
)
from agent.transport import Limits, Transport

pytestmark = pytest.mark.anyio

BODY = (
    b'{"post_types":{"post":{"count":3}},"taxonomies":{"category":{"count":2}},"timestamp":"2026-11-21T10:00:00Z"}'
)
SHOWN = {
    "post_types": {"post": {"count": 3, "synced_count": 1}},
    "taxonomies": {"category": {"count": 2, "synced_count": 0}},
    "last_structure_fetch": "2026-11-21T10:00:01Z",
}
DELIVERY = a_delivery(body=BODY)
DATE = {"Date": "Sat, 21 Nov 2026 10:00:03 GMT"}


@pytest.fixture
def listed(routes: respx.MockRouter) -> respx.Route:
    return routes.get(url__startswith=f"{LIST}?").respond(200, json=[OURS])


async def pushed(http: Transport, routes: respx.MockRouter, said: httpx.Response, **options: Any) -> Any:
    routes.post(push_url()).mock(return_value=said)
    return await a_client(http, **options).push(DELIVERY)


async def test_the_document_arrives_with_its_key_generation_and_exact_bytes(
    http: Transport, routes: respx.MockRouter, listed: respx.Route
) -> None:
    receipt = await pushed(http, routes, httpx.Response(200, json={"success": True, "message": "ok"}))

    request = routes.calls.last.request
    assert request.content == BODY
    assert request.headers["content-type"] == "application/json"
    assert request.headers["idempotency-key"] == DELIVERY.idempotency_key
    assert request.headers["x-structure-generation"] == str(DELIVERY.generation)
    assert (receipt.integration_id, receipt.verified) == ("42", False)


@pytest.mark.parametrize(
    "said",
    [
        httpx.Response(200, json={"success": True}),
        httpx.Response(200, json={"message": "Structure updated"}),
        httpx.Response(201, json={}),
        httpx.Response(204),
    ],
)
async def test_a_success_needs_no_proof(
    http: Transport, routes: respx.MockRouter, listed: respx.Route, said: httpx.Response
) -> None:
    assert (await pushed(http, routes, said)).integration_id == "42"


NO_SUCCESS = {
    "a web page": httpx.Response(200, html="<!doctype html><title>App</title>"),
    "nothing": httpx.Response(200),
    "half of it": httpx.Response(200, content=b'{"success": tr'),
    "a denial": httpx.Response(200, json={"success": False, "message": "no"}),
    "a list": httpx.Response(200, json=[]),
    "only accepted": httpx.Response(202, json={"success": True}),
    "another 2xx": httpx.Response(207, json={"success": True}),
}


@pytest.mark.parametrize("said", NO_SUCCESS.values(), ids=NO_SUCCESS.keys())
async def test_a_success_that_says_nothing_counts_when_the_backend_shows_the_structure(
    http: Transport, routes: respx.MockRouter, listed: respx.Route, said: httpx.Response
) -> None:
    routes.get(shown_url()).respond(200, json=SHOWN)

    assert (await pushed(http, routes, said)).verified


@pytest.mark.parametrize("said", NO_SUCCESS.values(), ids=NO_SUCCESS.keys())
async def test_a_success_that_says_nothing_stays_owed_when_the_backend_shows_another(
    http: Transport, routes: respx.MockRouter, listed: respx.Route, said: httpx.Response
) -> None:
    routes.get(shown_url()).respond(200, json={**SHOWN, "post_types": {}})

    with pytest.raises(BackendUnreachable) as failed:
        await pushed(http, routes, said)

    expected = ("be_async", 75) if said.status_code == 202 else ("be_bad_success", 76)
    assert (failed.value.reason, failed.value.exit_code) == expected


async def test_a_success_that_denies_itself_is_told_in_the_backends_own_words(
    http: Transport, routes: respx.MockRouter, listed: respx.Route
) -> None:
    routes.get(shown_url()).respond(200, json={**SHOWN, "post_types": {}})
    denied = httpx.Response(200, json={"success": False, "message": "Your plan has 3 content types."})

    with pytest.raises(BackendUnreachable, match=r"HTTP 200: Your plan has 3 content types\."):
        await pushed(http, routes, denied)


async def test_an_equal_structure_of_yesterday_does_not_show_that_todays_arrived(
    http: Transport, routes: respx.MockRouter, listed: respx.Route, clock: ManualClock
) -> None:
    """The backend answers with a web page and stores nothing; the site did not change."""
    clock.advance(seconds=3)
    shown = routes.get(shown_url())
    shown.respond(200, json={**SHOWN, "last_structure_fetch": "2026-11-20T10:00:00Z"}, headers=DATE)

    with pytest.raises(BackendUnreachable):
        await pushed(http, routes, NO_SUCCESS["a web page"], clock=clock)

    shown.respond(200, json={**SHOWN, "last_structure_fetch": "2026-11-21T10:00:01+00:00"}, headers=DATE)
    assert (await pushed(http, routes, NO_SUCCESS["a web page"], clock=clock)).verified


async def test_what_is_accepted_to_be_stored_later_is_looked_for_until_it_shows(
    http: Transport, routes: respx.MockRouter, listed: respx.Route, clock: ManualClock
) -> None:
    old = httpx.Response(200, json={**SHOWN, "post_types": {}})
    routes.get(shown_url()).mock(side_effect=[old, old, httpx.Response(200, json=SHOWN)])

    receipt = await pushed(http, routes, httpx.Response(202), clock=clock)

    assert receipt.verified
    assert clock.slept == [1, 2]


async def test_what_is_accepted_and_never_shown_is_no_success_after_five_minutes(
    http: Transport, routes: respx.MockRouter, listed: respx.Route, clock: ManualClock
) -> None:
    routes.get(shown_url()).respond(404)

    with pytest.raises(BackendUnreachable) as failed:
        await pushed(http, routes, httpx.Response(202), clock=clock)

    assert (failed.value.reason, failed.value.may_arrive_late) == ("be_async", True)
    assert sum(clock.slept) == 300


async def test_an_echo_of_another_structure_is_looked_into(
    http: Transport, routes: respx.MockRouter, listed: respx.Route
) -> None:
    echo = httpx.Response(200, json={"success": True, "data": {"post_types": {}, "taxonomies": {}}})
    shown = routes.get(shown_url()).respond(200, json={**SHOWN, "post_types": {}})

    with pytest.raises(BackendUnreachable) as first:
        await pushed(http, routes, echo)
    routes.post(push_url()).mock(return_value=echo)
    with pytest.raises(ContractBroken) as second:
        await a_client(http).push(replace(DELIVERY, failures=1))

    assert {(one.value.reason, one.value.exit_code) for one in (first, second)} == {("be_mismatch", 76)}
    shown.respond(200, json=SHOWN)
    assert (await pushed(http, routes, echo)).verified


@pytest.mark.parametrize(
    "body", [{"data": {"post_types": 14, "taxonomies": 3}}, {"post_types": {"post": {"count": 3}}, "taxonomies": {"category": {"count": 2}}}]
)
async def test_numbers_and_an_equal_echo_contradict_nothing(
    http: Transport, routes: respx.MockRouter, listed: respx.Route, body: Any
) -> None:
    assert not (await pushed(http, routes, httpx.Response(200, json=body))).verified


async def test_a_newer_structure_at_the_backend_holds_ours_unless_it_is_equal(
    http: Transport, routes: respx.MockRouter, listed: respx.Route
) -> None:
    newer = httpx.Response(409, json={"detail": "A newer structure of this integration is already here."})
    shown = routes.get(shown_url()).respond(200, json={**SHOWN, "post_types": {}})

    with pytest.raises(ContractBroken) as failed:
        await pushed(http, routes, newer)

    assert (failed.value.reason, failed.value.exit_code) == ("be_conflict_newer", 76)
    shown.respond(200, json=SHOWN)
    assert (await pushed(http, routes, newer)).verified


async def test_a_refusal_for_the_size_says_how_much_was_sent(
    http: Transport, routes: respx.MockRouter, listed: respx.Route
) -> None:
    """Django answers 400 and a web page, not 413, to a body over its limit."""
    large = a_delivery(body=b'{"post_types":{},"taxonomies":{},"x":"' + b"x" * 1_100_000 + b'"}')
    routes.post(push_url()).mock(side_effect=[httpx.Response(400, html="<h1>Bad Request (400)</h1>"), httpx.Response(413)])

    for _ in range(2):
        with pytest.raises(DeliveryRejected) as failed:
            await a_client(http).push(large)

        assert failed.value.reason == "be_too_large"
        assert f"{len(large.body):,} bytes" in failed.value.message


@pytest.mark.parametrize(
    ("said", "late"),
    [(httpx.ReadTimeout("x"), True), (httpx.ConnectTimeout("x"), False), (httpx.Response(504), True), (httpx.Response(500), False)],
)
async def test_only_what_may_still_be_on_its_way_may_arrive_late(
    http: Transport, routes: respx.MockRouter, listed: respx.Route, said: Any, late: bool
) -> None:
    routes.post(push_url()).mock(side_effect=lambda _: said) if isinstance(said, httpx.Response) else routes.post(
        push_url()
    ).mock(side_effect=said)

    with pytest.raises(BackendUnreachable) as failed:
        await a_client(http).push(DELIVERY)

    assert failed.value.may_arrive_late is late
    listed.respond(504)
    with pytest.raises(BackendUnreachable) as failed:
        await a_client(http).push(DELIVERY)
    assert not failed.value.may_arrive_late, "the document was not sent yet"


async def test_with_verify_every_push_is_read_back(
    http: Transport, routes: respx.MockRouter, listed: respx.Route
) -> None:
    shown = routes.get(shown_url()).respond(200, json={"success": True, "data": SHOWN})

    receipt = await pushed(http, routes, httpx.Response(200, json={"success": True}), verify=True)

    assert receipt.verified
    assert shown.called


async def test_with_verify_an_old_structure_is_no_delivery(
    http: Transport, routes: respx.MockRouter, listed: respx.Route
) -> None:
    routes.get(shown_url()).respond(200, json={**SHOWN, "taxonomies": {"category": {"count": 1}}})

    with pytest.raises(BackendUnreachable):
        await pushed(http, routes, httpx.Response(204), verify=True)


async def test_while_the_backend_is_down_one_request_looks_and_the_rest_are_refused_at_once(
    http: Transport, routes: respx.MockRouter, clock: ManualClock
) -> None:
    pushes = routes.post(url__startswith=LIST).respond(503)
    client = a_client(http, target=Target(None, "42"), clock=clock, breaker=Breaker(clock.clock))
    for site in ("shop", "blog", "shop", "blog", "shop"):
        with pytest.raises(BackendUnreachable):
            await client.push(replace(DELIVERY, site=site))
    before = pushes.call_count

    with pytest.raises(BackendPaused):
        await client.push(DELIVERY)
    assert (pushes.call_count, client.wait_seconds("blog")) == (before, 2.5)
    clock.advance(seconds=3)
    with pytest.raises(BackendUnreachable):
        await client.push(DELIVERY)
    assert pushes.call_count == before + 1


async def test_an_integration_that_moved_is_found_again(
    http: Transport, routes: respx.MockRouter, listed: respx.Route
) -> None:
    client = a_client(http)
    routes.post(push_url(42)).mock(side_effect=[httpx.Response(200, json={}), httpx.Response(404)])
    await client.push(DELIVERY)
    listed.respond(200, json=[{**OURS, "id": 43}])
    routes.post(push_url(43)).respond(200, json={})

    assert (await client.push(DELIVERY)).integration_id == "43"


@pytest.mark.parametrize("target", [Target("7", None), Target(None, "42")])
async def test_an_integration_that_is_gone_is_looked_for_once(
    http: Transport, routes: respx.MockRouter, listed: respx.Route, target: Target
) -> None:
    with pytest.raises(IntegrationNotFound) as failed:
        await pushed(http, routes, httpx.Response(404), target=target)

    assert failed.value.reason == "be_integration_gone"
    assert len(routes.calls) <= 4


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, DeliveryRejected), (401, CredentialsRefused), (403, CredentialsRefused), (409, BackendUnreachable),
        (413, DeliveryRejected), (422, DeliveryRejected), (500, BackendUnreachable), (302, ContractBroken),
    ],
)  # fmt: skip
async def test_a_refused_push_is_the_statuss_error(
    http: Transport, routes: respx.MockRouter, listed: respx.Route, status: int, kind: type[BackendError]
) -> None:
    with pytest.raises(kind):
        await pushed(http, routes, httpx.Response(status))


# --- on a wire ----------------------------------------------------------------------------------


async def push_over_wire(http: Transport, *script: Said) -> Any:
    async with raw_server(*script) as server:
        try:
            receipt = await a_client(http, base_url=server.url, target=Target(None, "42")).push(DELIVERY)
        except BackendError as error:
            return error, server.asked
        return receipt, server.asked


async def test_a_commit_whose_answer_was_lost_is_repeated_unchanged(http: Transport) -> None:
    receipt, asked = await push_over_wire(http, then_close(b""), answer(200, {"success": True}))

    first, second = asked
    assert receipt.integration_id == "42"
    assert (first.body, first.headers["idempotency-key"]) == (second.body, second.headers["idempotency-key"])


async def test_an_endless_answer_to_a_push_is_no_refusal(clock: ManualClock) -> None:
    async with backend_transport(clock, limits=Limits(body_bytes=1_000)) as http:
        error, _ = await push_over_wire(http, answer(200, {"x": "y" * 2_000}))

    assert isinstance(error, BackendUnreachable)
    assert error.reason == "be_bad_answer"


async def test_a_commit_whose_answer_never_comes_stays_owed_and_is_not_doubled(clock: ManualClock) -> None:
    async with backend_transport(clock, limits=Limits(deadline_seconds=0.02)) as http:
        error, asked = await push_over_wire(http, silence)

    assert isinstance(error, BackendUnreachable)
    assert [one.body for one in asked] == [BODY]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_push_never_follows_a_redirect(http: Transport, status: int) -> None:
    async with raw_server(answer(200, {})) as other:
        error, asked = await push_over_wire(http, answer(status, Location=other.url))

        assert isinstance(error, ContractBroken)
        assert error.exit_code == 78
        assert len(asked) == 1
        assert other.connections == 0
