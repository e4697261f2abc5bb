"""`wpsa sync`: one pass over the named sites, and what they are still owed, then out."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, Unpack

from agent.asjson import outcome_json
from agent.bootstrap import ANY_FREE_PORT, Agent, open_agent
from agent.bulkhead import Work
from agent.crowds import Locate
from agent.errors import SiteInHand, StateError, StateUnwritable
from agent.fleet import Fleet, Told
from agent.ops.access import find_access
from agent.ops.following import Heard, follow
from agent.outcome import Outcome
from agent.redact import Redactor
from agent.schedule import slot_at
from agent.settings import Settings, SiteSettings
from agent.state.records import Delivery, Result, Trigger
from agent.state.removed import Removed
from agent.sync import Ports, Task


class Within(TypedDict, total=False):
    """What bounds a pass besides its places; see `Fleet`."""

    most: int
    locate: Locate


async def sync_now(
    settings: Settings, sites: Sequence[SiteSettings], *, redactor: Redactor, heard: Heard = lambda _: None
) -> list[dict[str, Any]]:
    """Read and push these sites now, whatever the schedule says; the outcomes as `asjson.outcome_json` gives them.

    A newer document supersedes a waiting one. Where a daemon owns the state, it is asked to do it.
    Without a backend the embedded hub runs for as long as this takes, on any free port: nobody
    could open its page in that moment, and a daemon's port stays free.
    """
    try:
        async with open_agent(settings, sites, redactor=redactor, hub_listen=ANY_FREE_PORT) as agent:
            if settings.state.url is None:  # the workers of a fleet see to that themselves
                named = [site.called for site in (*settings.all_sites, *sites)]
                Removed(agent.ledger.store).forget(lambda: named, at=agent.ports.clock.now())
            return [outcome_json(outcome) for outcome in await sync_on_demand(agent, heard=heard)]
    except StateUnwritable as taken:
        access = find_access(settings, Path(settings.state.dir)) if taken.reason == "locked" else None
        outcomes = await follow(access, [site.called for site in sites], heard=heard) if access else None
        if outcomes is None:
            raise
        return outcomes


async def sync_on_demand(agent: Agent, *, heard: Heard = lambda _: None) -> list[Outcome]:
    """All sites of the agent, now. What an unreadable site is still owed from before is sent all the same."""
    ports, at_once = agent.ports, agent.sites_at_once
    now = ports.clock.now()

    def told(outcome: Outcome) -> None:
        agent.told(outcome)
        heard(outcome_json(outcome))

    tasks = [Task(site, slot_at(agent.moments[site.name], now).day, Trigger.DEMAND) for site in agent.sites]
    within: Within = {"most": agent.most_in_hand, "locate": agent.locate}
    outcomes = await sync_all(tasks, ports, at_once=at_once, told=told, **within)
    unread = [outcome.site for outcome in outcomes if outcome.result is Result.UNREADABLE]
    owed = [delivery for site in unread if (delivery := agent.ledger.waiting(site, now=now))]
    await redeliver_all(owed, ports, at_once=at_once, told=agent.told, **within)
    return outcomes


async def sync_all(
    tasks: Iterable[Task], ports: Ports, *, at_once: int, told: Told, **within: Unpack[Within]
) -> list[Outcome]:
    """Sync these sites, `at_once` of ordinary speed at a time; one outcome each, in their order."""
    return await _each({task.site.name: task for task in tasks}, ports, places=at_once, told=told, **within)


async def redeliver_all(
    deliveries: Iterable[Delivery], ports: Ports, *, at_once: int, told: Told, **within: Unpack[Within]
) -> list[Outcome]:
    """Send these owed documents again."""
    return await _each({owed.site: owed for owed in deliveries}, ports, places=at_once, told=told, **within)


async def _each(
    works: Mapping[str, Work], ports: Ports, *, places: int, told: Told, **within: Unpack[Within]
) -> list[Outcome]:
    broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def failed(error: StateError) -> None:
        if not broken.done():
            broken.set_exception(error)

    elsewhere: set[str] = set()

    def find(site: str, _: bool) -> tuple[Work, Ports] | None:
        if ports.state.take(site):
            return works[site], ports
        elsewhere.add(site)
        return None

    fleet = Fleet(find, places=places, told=told, failed=failed, ended=ports.state.give_back, **within)
    outcomes = [fleet.add(site) for site in works]
    ends: list[asyncio.Future[Any]] = [broken, asyncio.gather(*outcomes, return_exceptions=True)]
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await fleet.drain(0)
    if broken.done():
        broken.result()
    for site in elsewhere:
        told(in_hand_elsewhere(site))
    ended = {site: outcome.result() for site, outcome in zip(works, outcomes, strict=True) if not outcome.cancelled()}
    return [ended.get(site) or in_hand_elsewhere(site) for site in works if site in ended or site in elsewhere]


def in_hand_elsewhere(site: str) -> Outcome:
    """Another worker of the fleet is at it: its structure is as new as ours would be."""
    error = SiteInHand(
        f"{site}: another worker is at it at this moment",
        reason="in_hand",
        hint=f"See what becomes of it: wpsa history {site}",
    )
    return Outcome(site, Result.PENDING, 0.0, error)
