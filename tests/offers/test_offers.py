"""“Sync now” at the backend, reported runs and settings per type, against a real hub; and a backend without any of it."""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from backend import StandIn
from builders import answers
from fakes import answer, raw_server, silence, then_close
from offers_working import SECRET, At, Hub

from agent.backend.breaker import Breaker
from agent.backend.contract import MESSAGE_LIMIT_CHARACTERS, Paths
from agent.errands import doing_errands
from agent.errors import BackendError, BackendThrottled, SiteUnreachable
from agent.state.records import Result
from agent.sync import nothing_chosen

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("fresh_logging")]


def down(message: str = "the site does not answer", hint: str = "Look whether it runs.") -> SiteUnreachable:
    return SiteUnreachable(message, reason="connect_refused", hint=hint)


@pytest.fixture
def plain() -> Iterator[StandIn]:
    """A backend that offers nothing besides."""
    with StandIn(api_key="k") as standing:
        yield standing


async def until(what: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not what():
            await asyncio.sleep(0.01)


# --- a backend that does not offer it -----------------------------------------------------------


async def test_a_backend_that_offers_nothing_is_asked_what_it_always_was(plain: StandIn, working: At) -> None:
    for _ in range(2):  # and after a restart
        async with working(plain.url, "k", "42") as agent:
            await agent.look()
            assert (await agent.sync()).result is Result.DELIVERED
            agent.reader.says["shop"] = down()
            assert (await agent.sync()).result is Result.UNREADABLE
            agent.reader.says["shop"] = answers()
            plain.fault = "422"
            assert (await agent.sync()).result is Result.HELD
            plain.heal()
            await agent.look()

        assert agent.asked == ["GET list", "POST update-structure", "POST update-structure"]


# --- sync now -----------------------------------------------------------------------------------


async def test_what_somebody_asked_for_is_done_and_said_to_be_done(hub: Hub, working: At) -> None:
    async with working(*hub.place) as agent:
        await agent.sync()
        before = len(agent.asked)
        hub.press_sync_now()
        waiting = hub.request
        await agent.look()
        await agent.look()

    assert waiting["state"] == "asked"
    assert hub.request is None
    patches = [one for one in agent.exchanges if one.method == "PATCH"]
    assert [json.loads(one.request_body)["state"] for one in patches] == ["running", "done"]
    assert agent.asked[before:].count("POST update-structure") == 1


async def test_an_agent_that_was_told_its_integration_hears_of_the_offers_with_its_first_push(
    hub: Hub, working: At
) -> None:
    async with working(*hub.place, WPSA_BACKEND_INTEGRATION_ID=hub.integration_id, WPSA_BACKEND_SITE_ID="") as agent:
        await agent.sync()
        hub.press_sync_now()
        await agent.look()

    assert hub.request is None
    assert "GET list" not in agent.asked


async def test_a_site_that_fails_is_a_named_failure_with_its_remedy(hub: Hub, working: At) -> None:
    async with working(*hub.place) as agent:
        await agent.sync()
        agent.reader.says["shop"] = down(f"it said {SECRET}" + "x" * 3_000, "Renew the password in WordPress.")
        hub.press_sync_now()
        await agent.look()

    assert hub.request is None
    page = hub.page()
    assert "Renew the password in WordPress." in page
    assert SECRET not in page
    last = json.loads([one for one in agent.exchanges if one.method == "PATCH"][-1].request_body)
    assert last["state"] == "failed"
    assert len(last["message"]) == MESSAGE_LIMIT_CHARACTERS


async def test_one_that_was_asked_for_before_a_restart_is_found_after_it(hub: Hub, working: At) -> None:
    async with working(*hub.place) as agent:
        await agent.sync()
    hub.press_sync_now()

    async with working(*hub.place) as agent:
        await agent.look()

    assert hub.request is None
    assert agent.asked[0] == "GET poll"


async def test_a_verdict_that_was_not_heard_is_said_again_and_nothing_is_done_twice(
    hub: Hub, working: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with working(*hub.place) as agent:
        await agent.sync()
        offers = agent.rounds.agent.offers
        assert offers
        say = offers.say

        async def unheard(request: Any, state: str, error: Any = None) -> bool:
            if state == "done":
                raise BackendThrottled("m", reason="r", hint="h")
            return await say(request, state, error)

        hub.press_sync_now()
        monkeypatch.setattr(offers, "say", unheard)
        await agent.look()
        still = hub.request
        monkeypatch.setattr(offers, "say", say)
        await agent.look()

    assert still["state"] == "running"
    assert hub.request is None
    assert agent.asked.count("POST update-structure") == 2


async def test_nobody_looks_while_the_backend_is_known_to_be_away(hub: Hub, working: At) -> None:
    async with working(*hub.place) as agent:
        await agent.sync()
        breaker: Breaker = agent.rounds.agent.ports.backend._breaker  # type: ignore[attr-defined]  # noqa: SLF001
        with pytest.raises(BackendError), breaker.asking("shop"):
            raise BackendThrottled("m", reason="r", hint="h", retry_after_seconds=60)
        await agent.look()

    assert "GET poll" not in agent.asked


async def test_the_daemon_looks_at_once_when_its_own_hub_says_so(hub: Hub, working: At) -> None:
    async with working(*hub.place, WPSA_BACKEND_POLL_SECONDS="0") as agent:
        await agent.sync()
        wanted = asyncio.Event()
        async with doing_errands(agent.rounds, wanted=wanted):
            await until(lambda: "GET poll" in agent.asked)
            hub.press_sync_now()
            wanted.set()
            await until(lambda: hub.request is None)


async def test_a_verdict_that_our_own_hub_did_not_hear_is_said_again_without_another_press(
    hub: Hub, working: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.errands.IDLE_SECONDS", 0.01)
    async with working(*hub.place, WPSA_BACKEND_POLL_SECONDS="0") as agent:
        await agent.sync()
        offers = agent.rounds.agent.offers
        assert offers
        say, unheard = offers.say, [BackendThrottled("m", reason="r", hint="h")]

        async def unheard_once(request: Any, state: str, error: Any = None) -> bool:
            if state == "done" and unheard:
                raise unheard.pop()
            return await say(request, state, error)

        hub.press_sync_now()
        monkeypatch.setattr(offers, "say", unheard_once)
        async with doing_errands(agent.rounds, wanted=asyncio.Event()):
            await until(lambda: hub.request is None)

    assert not unheard


async def test_a_look_that_fails_is_no_sites_failure_and_is_made_again(
    hub: Hub, working: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with working(*hub.place, WPSA_BACKEND_POLL_SECONDS="1") as agent:
        await agent.sync()
        offers = agent.rounds.agent.offers
        assert offers
        monkeypatch.setattr(offers, "_paths", replace(Paths(), integrations="/nowhere/"))
        async with doing_errands(agent.rounds, wanted=None):
            await until(lambda: any("/nowhere/" in one.url for one in agent.exchanges))
            assert (await agent.sync()).result is Result.DELIVERED
            monkeypatch.setattr(offers, "_paths", Paths())
            hub.press_sync_now()
            await until(lambda: hub.request is None)


async def test_a_look_that_hangs_holds_up_neither_a_delivery_nor_the_stop(
    hub: Hub, working: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with working(*hub.place) as agent, raw_server(silence) as deaf:
        await agent.sync()
        at_work = agent.rounds.agent
        agent.rounds.renew(replace(at_work, ports=replace(at_work.ports, chosen=nothing_chosen)))
        monkeypatch.setattr(at_work.offers, "_base", deaf.url)
        async with asyncio.timeout(5), doing_errands(agent.rounds, wanted=None):
            await until(lambda: deaf.asked)
            assert (await agent.sync()).result is Result.DELIVERED


# --- runs ---------------------------------------------------------------------------------------


async def test_runs_and_their_remedies_reach_the_hub_and_a_repeated_failure_once(hub: Hub, working: At) -> None:
    async with working(*hub.place) as agent:
        await agent.sync()
        agent.reader.says["shop"] = down(f"it said {SECRET}", "Renew it.")
        for _ in range(3):
            await agent.sync()
            await until(lambda: len(hub.runs) == 2)
        agent.reader.says["shop"] = KeyError("bug")
        await agent.sync()
        agent.reader.says["shop"] = answers()
        await agent.sync()

    runs = hub.runs
    assert [run["result"] for run in runs] == ["delivered", "crashed", "unreadable", "delivered"]
    assert (runs[2]["reason"], runs[2]["hint"]) == ("connect_refused", "Renew it.")
    assert SECRET not in json.dumps(runs)


# --- settings per type --------------------------------------------------------------------------


def pushed(agent: Any) -> dict[str, Any]:
    body = [one.request_body for one in agent.exchanges if one.url.endswith("update-structure/")][-1]
    document: dict[str, Any] = json.loads(body)
    return document


async def test_what_is_chosen_on_the_page_is_in_the_next_push_above_the_agents_own_settings(
    hub: Hub, working: At
) -> None:
    own = {"WPSA_STRUCTURE_FETCH_LIMIT": "77"}
    async with working(*hub.place, **own) as agent:
        await agent.sync()
        first = pushed(agent)
        hub.choose("page", enabled=False, fetch_limit=5)
        await agent.sync()
        second = pushed(agent)
    async with working(*hub.place, **own) as agent:  # and after a restart
        await agent.sync()
        third = pushed(agent)

    def said(document: dict[str, Any], slug: str) -> tuple[bool, int]:
        return document["post_types"][slug]["enabled"], document["post_types"][slug]["fetch_limit"]

    assert said(first, "page") == (True, 77)
    assert said(second, "page") == said(third, "page") == (False, 5)
    assert said(second, "post") == (True, 77)
    assert agent.asked[:3] == ["GET list", "GET one", "POST update-structure"]


@pytest.mark.parametrize("fault", ["hang-up", "503", "web page"])
async def test_what_was_chosen_stands_after_a_restart_when_the_hub_cannot_say_it_for_a_moment(
    one_hub: Hub, working: At, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    said = {"hang-up": then_close(b""), "503": answer(503), "web page": answer(200, "<html>back soon</html>")}[fault]
    async with working(*one_hub.place) as agent:
        await agent.sync()
        one_hub.choose("page", enabled=False, fetch_limit=5)
        await agent.sync()
    async with working(*one_hub.place) as agent, raw_server(said) as away:
        await agent.rounds.agent.ports.backend.integration_of("shop")  # type: ignore[attr-defined]
        monkeypatch.setattr(agent.rounds.agent.offers, "_base", away.url)
        outcome = await agent.sync()

    assert away.asked
    assert outcome.result is Result.DELIVERED
    entry = pushed(agent)["post_types"]["page"]
    assert (entry["enabled"], entry["fetch_limit"]) == (False, 5)
