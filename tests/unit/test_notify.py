"""Pings and webhooks on a real wire; whatever becomes of them, no run hears of it."""

import asyncio
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from fakes import Logs, ManualClock, RawServer, Said, answer, raw_server, silence

from agent.errors import LoginRefused, SiteUnreachable
from agent.fleet import Told
from agent.net.resolver import Resolver
from agent.notify import QUEUED, ROUND_SECONDS, Notifier, Receivers, open_notifier
from agent.outages import Outages
from agent.outcome import Outcome
from agent.redact import Redactor
from agent.state.records import Result
from agent.structure.diff import diff

pytestmark = pytest.mark.anyio

TAKEN = answer(200, b"OK")
PING, HOOK = "/ping-of-the-canary", "/hooks/key-of-the-canary"

Open = Callable[..., AbstractAsyncContextManager[tuple[RawServer, Notifier, Told]]]


@pytest.fixture
def notifying(clock: ManualClock, redactor: Redactor, logs: Logs) -> Open:
    """A function: somebody who tells a receiver, which answers by its script."""

    @asynccontextmanager
    async def opened(
        *script: Said, failing: tuple[str, ...] = (), patience_seconds: float = 5, **who: Any
    ) -> AsyncIterator[tuple[RawServer, Notifier, Told]]:
        async with raw_server(*(script or (TAKEN,))) as server:
            named = {name: f"{server.url}{value}" if isinstance(value, str) and value[0] == "/" else value
                     for name, value in who.items()}  # fmt: skip
            named["site_pings"] = {site: f"{server.url}{path}" for site, path in who.get("site_pings", {}).items()}
            receivers = Receivers(**named)
            async with open_notifier(
                receivers, ssl_context=ssl.create_default_context(), resolver=Resolver(), redactor=redactor, clock=clock.clock,
                failing=failing, patience_seconds=patience_seconds,
            ) as notifier:  # fmt: skip
                since = dict.fromkeys(failing, clock.at)
                yield server, notifier, Outages(since, now=clock.clock.now).tell(notifier.hear)

    return opened


def well(site: str = "shop", **fields: Any) -> Outcome:
    return Outcome(site, Result.DELIVERED, 1.0, **fields)


def down(site: str = "shop") -> Outcome:
    return Outcome(site, Result.UNREADABLE, 1.0, SiteUnreachable("it is down", reason="refused", hint="look"))


def targets(server: RawServer) -> list[str]:
    return [asked.target for asked in server.asked]


def told_by_webhook(server: RawServer) -> list[dict[str, Any]]:
    return [json.loads(asked.body) for asked in server.asked]


# --- a dead-man's switch ------------------------------------------------------------------------


async def test_nobody_is_told_by_default(notifying: Open) -> None:
    async with notifying() as (server, notifier, told):
        notifier.begun("shop")
        told(down())
        told(well())

    assert server.asked == []


async def test_a_switch_hears_of_the_beginning_and_the_end_of_each_run(notifying: Open) -> None:
    async with notifying(site_pings={"shop": PING}) as (server, notifier, told):
        for site in ("shop", "blog"):
            notifier.begun(site)
            told(well(site))

    assert targets(server) == [f"{PING}/start", PING]
    assert {asked.method for asked in server.asked} == {"GET"}


async def test_a_switch_hears_of_a_failure_once_however_often_it_is_tried(notifying: Open) -> None:
    async with notifying(site_pings={"shop": PING}) as (server, notifier, told):
        for outcome in (down(), down(), down(), well()):
            notifier.begun("shop")
            told(outcome)

    assert targets(server) == [f"{PING}/start", f"{PING}/fail", PING]


async def test_a_switch_with_a_query_keeps_it(notifying: Open) -> None:
    async with notifying(site_pings={"shop": f"{PING}/?key=1"}) as (server, notifier, _told):
        notifier.begun("shop")

    assert targets(server) == [f"{PING}/start?key=1"]


async def test_the_fleets_switch_hears_of_a_round_of_sites(notifying: Open) -> None:
    async with notifying(fleet_ping=PING) as (server, notifier, told):
        for site in ("a", "b"):
            notifier.begun(site)
        told(well("a"))
        told(well("b"))

    assert targets(server) == [f"{PING}/start", PING]


async def test_the_fleet_is_well_only_when_all_of_it_is(notifying: Open) -> None:
    async with notifying(fleet_ping=PING) as (server, notifier, told):
        for outcome in (down("a"), well("b"), down("a"), well("b"), well("a")):
            notifier.begun(outcome.site)
            told(outcome)

    assert targets(server) == [f"{PING}/start", f"{PING}/fail", PING]


async def test_a_site_that_failed_before_the_start_keeps_the_fleet_from_being_well(notifying: Open) -> None:
    async with notifying(fleet_ping=PING, failing=("a",)) as (server, notifier, told):
        notifier.begun("b")
        told(well("b"))
        first = list(server.asked)
        told(well("a"))

    assert first == []
    assert targets(server) == [PING]


async def test_many_sites_a_day_are_few_pings(notifying: Open, clock: ManualClock) -> None:
    async with notifying(fleet_ping=PING) as (server, notifier, told):
        for number in range(100):
            notifier.begun(f"site {number}")
            told(well(f"site {number}"))
            clock.advance(seconds=ROUND_SECONDS / 50)

    assert targets(server) == [f"{PING}/start", PING] * 2


# --- a webhook ----------------------------------------------------------------------------------


def changed(before: dict[str, Any], after: dict[str, Any]) -> Outcome:
    whole = {"site_url": "https://shop.example", "wordpress_version": "7.1", "post_types": {}, "taxonomies": {}}
    return well(changes=diff({**whole, **before}, {**whole, "wordpress_version": "7.2", **after}))


def a_type(label: str = "Books", count: int = 10) -> dict[str, Any]:
    return {"label": label, "count": count, "enabled": True, "fetch_limit": 100}


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ({}, {"post_types": {"book": a_type()}}, ["post type book is new: “Books”, 10 items"]),
        ({"taxonomies": {"genre": a_type("Genres")}}, {}, ["taxonomy genre is no longer visible (was “Genres”)"]),
        ({"post_types": {"book": a_type()}}, {"post_types": {"book": a_type("Novels")}},
         ["post type book is now called “Novels” (was “Books”)"]),
    ],
)  # fmt: skip
async def test_a_webhook_hears_of_types_that_come_go_or_are_renamed(
    notifying: Open, before: dict[str, Any], after: dict[str, Any], changes: list[str]
) -> None:
    async with notifying(webhook=HOOK) as (server, _, told):
        told(changed(before, after))

    [said] = told_by_webhook(server)
    assert (said["event"], said["site"], said["changes"]) == ("structure.changed", "shop", changes)
    assert said["text"] == f"shop: {changes[0]}"
    assert said["at"] == "2026-11-21T10:00:00Z"
    assert (server.asked[0].method, server.asked[0].headers["content-type"]) == ("POST", "application/json")
    assert "x-wpsa-signature" not in server.asked[0].headers


@pytest.mark.parametrize(
    ("percent", "count", "heard"),
    [(None, 1000, False), (20, 11, False), (20, 13, True), (20, 8, True), (100, 0, True), (50, 19, False)],
)
async def test_a_webhook_hears_of_counts_beyond_a_threshold_only(
    notifying: Open, percent: int | None, count: int, heard: bool
) -> None:
    async with notifying(webhook=HOOK, count_change_percent=percent) as (server, _, told):
        told(changed({"post_types": {"book": a_type()}}, {"post_types": {"book": a_type(count=count)}}))

    assert bool(server.asked) == heard


async def test_a_webhook_hears_of_a_failure_when_it_begins_and_when_it_ends(notifying: Open, clock: ManualClock) -> None:
    async with notifying(webhook=HOOK) as (server, _, told):
        for outcome in (down(), down(), well(), well()):
            told(outcome)
            clock.advance(hours=1)

    degraded, recovered = told_by_webhook(server)
    assert (degraded["event"], degraded["reason"], degraded["hint"]) == ("site.degraded", "refused", "look")
    assert (recovered["event"], recovered["degraded_for_seconds"]) == ("site.recovered", 7200)
    assert degraded["id"] != recovered["id"]


async def test_a_webhook_hears_of_a_failure_that_turns_into_another(notifying: Open) -> None:
    refused = Outcome("shop", Result.UNREADABLE, 1.0, LoginRefused("revoked", reason="login", hint="renew it"))
    async with notifying(webhook=HOOK) as (server, _, told):
        told(down())
        told(refused)

    assert [said["reason"] for said in told_by_webhook(server)] == ["refused", "login"]


async def test_a_restart_does_not_tell_the_same_failure_again(notifying: Open) -> None:
    async with notifying(webhook=HOOK, failing=("shop",)) as (server, _, told):
        told(down())
        told(well())

    assert [said["event"] for said in told_by_webhook(server)] == ["site.recovered"]


async def test_a_signature_proves_who_it_was(notifying: Open) -> None:
    async with notifying(webhook=HOOK, webhook_secret="pä$$word") as (server, _, told):
        told(down())

    [asked] = server.asked
    expected = hmac.new("pä$$word".encode(), asked.body, hashlib.sha256).hexdigest()
    assert asked.headers["x-wpsa-signature"] == f"sha256={expected}"


async def test_what_a_site_echoed_is_not_passed_on(notifying: Open, redactor: Redactor) -> None:
    redactor.add("s3cret-key")
    echoed = Outcome("shop", Result.UNREADABLE, 1.0, LoginRefused("no: s3cret-key", reason="login", hint="h"))
    async with notifying(webhook=HOOK) as (server, _, told):
        told(echoed)

    assert b"s3cret-key" not in server.asked[0].body
    assert told_by_webhook(server)[0]["error"] == "no: ***"


# --- receivers that are not well ----------------------------------------------------------------


@pytest.mark.parametrize(("status", "asked"), [(503, 2), (429, 2), (404, 1), (302, 1)])
async def test_a_refusal_is_said_in_the_log_and_tried_twice_at_most(
    notifying: Open, logs: Logs, status: int, asked: int
) -> None:
    async with notifying(answer(status, b"", Location="/elsewhere"), webhook=HOOK) as (server, _, told):
        told(down())

    assert len(server.asked) == asked
    [line] = [line for line in logs.lines if line["event"] == "notification.failed"]
    assert (line["level"], line["reason"], line["hint"] != "") == ("warning", "not_notified", True)
    assert "canary" not in logs.text


async def test_a_second_try_that_is_taken_is_no_failure(notifying: Open, logs: Logs) -> None:
    async with notifying(answer(502), TAKEN, site_pings={"shop": PING}) as (server, _, told):
        told(well())

    assert targets(server) == [PING, PING]
    assert logs.text == ""


async def test_a_receiver_that_hangs_delays_nobody_and_is_given_up_at_the_end(notifying: Open, logs: Logs) -> None:
    async with notifying(silence, webhook=HOOK, patience_seconds=0.05) as (server, _, told):
        for number in range(3 * QUEUED):
            told(down(f"site {number}"))
        while not server.asked:
            await asyncio.sleep(0)

    assert len(server.asked) == 1
    assert [line["event"] for line in logs.lines] == ["notification.failed"]


async def test_what_does_not_fit_is_counted(notifying: Open, logs: Logs) -> None:
    async with notifying(site_pings={"shop": PING}) as (server, _, told):
        for _ in range(QUEUED + 10):
            told(well())

    assert len(server.asked) == QUEUED
    [line] = logs.lines
    assert line["error"] == "10 notifications were dropped, because too many waited"
