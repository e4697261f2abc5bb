"""Sync now: for bearers of the token, once a site at a time, and followed to its end."""

import asyncio
import json
from typing import Any

import pytest
from builders import a_structure
from fakes import FakeBackend, FakeReader
from ops_visitor import SECRET, TOKEN, Visitor

from agent.asjson import outcome_json
from agent.errors import BackendUnreachable
from agent.ops import asks
from agent.ops.asks import OPEN_MOST, Orders, TooManyAsks
from agent.outcome import Outcome
from agent.rounds import Rounds
from agent.state.records import Result

pytestmark = pytest.mark.anyio


async def test_one_site_is_asked_for_by_its_path(visitor: Visitor, backend: FakeBackend) -> None:
    accepted = await visitor.ask("POST", "/sync/example.com/blog")
    followed = await visitor.ask("GET", accepted.json()["url"] + "?wait=20")

    assert (accepted.status_code, accepted.headers["location"]) == (202, accepted.json()["url"])
    said = followed.json()
    assert (said["done"], said["sites"], said["gone"]) == (True, 1, 0)
    [outcome] = said["finished"]
    assert (outcome["site"], outcome["result"], outcome["exit_code"]) == ("example.com/blog", "delivered", 0)
    assert outcome["structure"]["post_types"]["post"]["count"] == 123
    assert [one.site for one in backend.asked] == ["example.com/blog"]


async def test_without_a_name_all_sites_are_meant(visitor: Visitor, backend: FakeBackend) -> None:
    order = (await visitor.ask("POST", "/sync")).json()

    assert order["sites"] == 2
    assert {one["site"] for one in await finished(visitor, order)} == {"shop", "example.com/blog"}


async def test_several_are_named_in_the_body(visitor: Visitor) -> None:
    order = (await visitor.ask("POST", "/sync", json={"sites": ["shop", "shop"]})).json()

    assert [one["site"] for one in await finished(visitor, order)] == ["shop"]


@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN[:-1], TOKEN + "x", "tökén"])
@pytest.mark.parametrize(("method", "path"), [("POST", "/sync"), ("POST", "/sync/shop"), ("GET", "/sync/x")])
async def test_without_the_token_nothing_is_done(
    visitor: Visitor, backend: FakeBackend, method: str, path: str, token: str | None
) -> None:
    headers = {"Authorization": f"Bearer {token}".encode()} if token else {}
    said = await visitor.ask(method, path, token=None, headers=headers)

    assert (said.status_code, said.headers["www-authenticate"]) == (401, "Bearer")
    assert backend.asked == []


@pytest.mark.parametrize(
    "body", [b"[", b"[]", b"{}", b'{"sites": "shop"}', b'{"sites": []}', b'{"sites": [1]}', b"[" * 100_000, b"\xff",
             b'{"sites": ["' + b"x" * 1_100_000 + b'"]}'],
    ids=len,
)  # fmt: skip
async def test_a_body_that_makes_no_sense_is_refused(visitor: Visitor, backend: FakeBackend, body: bytes) -> None:
    said = await visitor.ask("POST", "/sync", content=body)

    assert said.status_code == 400
    assert backend.asked == []


async def test_an_unknown_site_is_named_and_none_is_begun(visitor: Visitor, backend: FakeBackend) -> None:
    said = await visitor.ask("POST", "/sync", json={"sites": ["shop", "nobody"]})

    assert (said.status_code, said.json()["exit_code"]) == (404, 2)
    assert "nobody" in said.json()["message"]
    assert backend.asked == []


async def test_what_was_never_asked_for_cannot_be_followed(visitor: Visitor) -> None:
    assert (await visitor.ask("GET", "/sync/nothing")).status_code == 404
    assert (await visitor.ask("PUT", "/sync/shop")).status_code == 405


async def test_many_clicks_read_a_site_once_at_a_time(
    visitor: Visitor, rounds: Rounds, reader: FakeReader, backend: FakeBackend
) -> None:
    said = await asyncio.gather(*(visitor.ask("POST", "/sync/shop") for _ in range(50)))

    assert {one.status_code for one in said} <= {202, 429}
    *_, last = (one.json() for one in said if one.status_code == 202)
    await finished(visitor, last)
    assert len(backend.asked) < 50
    assert reader.most_at_once == 1


async def test_too_many_open_orders_are_turned_away() -> None:
    pending: list[asyncio.Future[Outcome]] = []

    def ask(_: str) -> asyncio.Future[Outcome]:
        pending.append(asyncio.get_running_loop().create_future())
        return pending[-1]

    orders = Orders(ask, lambda _: b"{}")
    for _ in range(OPEN_MOST):
        orders.place(["shop"])

    with pytest.raises(TooManyAsks):
        orders.place(["shop"])
    pending[0].cancel()
    await asyncio.sleep(0)
    orders.place(["shop"])


async def test_who_waits_is_told_as_soon_as_there_is_something(
    visitor: Visitor, rounds: Rounds, reader: FakeReader
) -> None:
    """And who asks again from there hears of the rest only."""
    order = (await visitor.ask("POST", "/sync")).json()
    heard: list[str] = []
    while True:
        page = (await visitor.ask("GET", f"{order['url']}?from={len(heard)}&wait=20")).json()
        heard += [one["site"] for one in page["finished"]]
        if page["done"]:
            break

    assert sorted(heard) == ["example.com/blog", "shop"]


async def test_a_secret_that_the_backend_echoes_is_masked(visitor: Visitor, backend: FakeBackend) -> None:
    backend.failures = [BackendUnreachable(f"it said {SECRET}", reason="be_5xx", hint="h")]

    order = (await visitor.ask("POST", "/sync/shop")).json()
    said = await visitor.ask("GET", order["url"] + "?wait=20")

    assert SECRET not in said.text
    assert "it said ***" in said.json()["finished"][0]["error"]["message"]


async def test_what_nobody_fetches_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asks, "UNFETCHED_BYTES", 4_000)
    outcomes = {f"s{number}": an_outcome(f"s{number}") for number in range(50)}

    def ask(site: str) -> asyncio.Future[Outcome]:
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        future.set_result(outcomes[site])
        return future

    orders = Orders(ask, lambda outcome: json.dumps(outcome_json(outcome), default=str).encode())
    order = orders.place(outcomes)
    await asyncio.sleep(0)
    said = [json.loads(one) for one in order.page(0)]

    assert (order.done, len(said)) == (True, 50)
    assert sum(one["structure"] is not None for one in said) < 10


async def test_old_answers_are_let_go_of() -> None:
    def ask(site: str) -> asyncio.Future[Outcome]:
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        future.set_result(an_outcome(site))
        return future

    orders = Orders(ask, lambda _: b"{}")
    placed = []
    for _ in range(40):
        placed.append(orders.place(["shop"]))
        await asyncio.sleep(0)

    assert orders.get(placed[0].id) is None
    assert orders.get(placed[-1].id) is placed[-1]


def an_outcome(site: str) -> Outcome:
    return Outcome(site, Result.DELIVERED, 1.0, structure=a_structure())


async def finished(visitor: Visitor, order: dict[str, Any]) -> list[dict[str, Any]]:
    heard: list[dict[str, Any]] = []
    while True:
        page = (await visitor.ask("GET", f"{order['url']}?from={len(heard)}&wait=20")).json()
        heard += page["finished"]
        if page["done"]:
            return heard
