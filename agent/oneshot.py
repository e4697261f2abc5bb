"""`wpsa sync`: one pass over the named sites, and what they are still owed, then out."""

from collections.abc import Sequence

from agent.bootstrap import ANY_FREE_PORT, Agent, open_agent
from agent.fleet import redeliver_all, sync_all
from agent.outcome import Outcome
from agent.redact import Redactor
from agent.schedule import slot_at
from agent.settings import Settings, SiteSettings
from agent.state.records import Result, Trigger
from agent.sync import Task
from agent.telemetry.observers import log_outcome


async def sync_now(settings: Settings, sites: Sequence[SiteSettings], *, redactor: Redactor) -> list[Outcome]:
    """Read and push these sites now, whatever the schedule says; a newer document supersedes a waiting one.

    Without a backend the embedded hub runs for as long as this takes, on any free port: nobody
    could open its page in that moment, and a daemon's port stays free.
    """
    async with open_agent(settings, sites, redactor=redactor, hub_listen=ANY_FREE_PORT) as agent:
        return await sync_on_demand(agent)


async def sync_on_demand(agent: Agent) -> list[Outcome]:
    """All sites of the agent, now. What an unreadable site is still owed from before is sent all the same."""
    ports, at_once = agent.ports, agent.sites_at_once
    now = ports.clock.now()
    tasks = [Task(site, slot_at(agent.moments[site.name], now).day, Trigger.DEMAND) for site in agent.sites]
    outcomes = await sync_all(tasks, ports, at_once=at_once, told=log_outcome)
    unread = [outcome.site for outcome in outcomes if outcome.result is Result.UNREADABLE]
    owed = [delivery for site in unread if (delivery := agent.ledger.owed_to(site))]
    await redeliver_all(owed, ports, at_once=at_once, told=log_outcome)
    return outcomes
