"""The daemon: looks often, acts when due, and leaves within two seconds when asked."""

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from agent import __version__
from agent.bootstrap import Agent, open_agent
from agent.fleet import due_task, redeliver_all, sync_all
from agent.redact import Redactor
from agent.settings import Settings, SiteSettings
from agent.telemetry import events
from agent.telemetry.observers import log_outcome

TICK_SECONDS = 15
HEARTBEAT = "heartbeat"
# What is in hand may end by itself; what takes longer is cancelled, and nothing is lost by it.
DRAIN_SECONDS = 1.0

log = structlog.stdlib.get_logger("agent")


async def run(settings: Settings, sites: Sequence[SiteSettings], *, redactor: Redactor) -> None:
    """Keep the backend up to date with these sites until SIGTERM or SIGINT. Raises AgentError."""
    stop = asyncio.Event()
    stop_on_signals(stop)
    async with open_agent(settings, sites, redactor=redactor, hub_listen=settings.hub.listen) as agent:
        agent.ledger.forget_held(at=agent.ports.clock.now())
        log.info(
            events.AGENT_STARTED,
            message="agent started",
            version=__version__,
            sites=len(agent.sites),
            state=settings.state.dir,
            page=agent.hub_url,
        )
        await keep_up(agent, stop)
    log.info(events.AGENT_STOPPED, message="agent stopped")


async def keep_up(agent: Agent, stop: asyncio.Event) -> None:
    """Do what is due, look after look, until asked to stop. Raises StateError."""
    tick = asyncio.Event()
    scheduler = _ticking(tick, heartbeat=agent.state_folder / HEARTBEAT, now=agent.ports.clock.now())
    working = asyncio.create_task(_work(agent, tick, stop), name="work")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            tick.set()  # wakes an idle loop, which then sees that it should stop
            await asyncio.wait({working}, timeout=DRAIN_SECONDS)
    finally:
        scheduler.shutdown(wait=False)
        working.cancel()
        stopping.cancel()
        await asyncio.wait({working, stopping})
    if not working.cancelled() and (failure := working.exception()):
        raise failure


async def _work(agent: Agent, tick: asyncio.Event, stop: asyncio.Event) -> None:
    """One look after another: what is due now decides, never how often it ticked."""
    while not stop.is_set():
        tick.clear()
        await catch_up(agent)
        await tick.wait()


async def catch_up(agent: Agent) -> None:
    """Everything that is due at this moment: sites to read, and documents that still wait."""
    now = agent.ports.clock.now()
    tasks = [
        task
        for site in agent.sites
        if (task := due_task(site, agent.moments[site.name], agent.ledger.slot(site.name), now=now))
    ]
    fresh = {task.site.name for task in tasks}
    owed = agent.ledger.due(at=now, sites=[site.name for site in agent.sites if site.name not in fresh])
    at_once = agent.sites_at_once
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(sync_all(tasks, agent.ports, at_once=at_once, told=log_outcome))
            group.create_task(redeliver_all(owed, agent.ports, at_once=at_once, told=log_outcome))
    except BaseExceptionGroup as broken:
        # A state that cannot be written ends both, before it is closed.
        raise broken.exceptions[0] from None


def _ticking(tick: asyncio.Event, *, heartbeat: Path, now: datetime) -> AsyncIOScheduler:
    """APScheduler only ticks: its own daily triggers lose and double days when clocks change.

    heartbeat   touched at each tick; its age tells a health check that the event loop is alive
    """

    async def wake() -> None:
        # A full disk is the state's matter to report, not the heartbeat's.
        with suppress(OSError):
            heartbeat.touch(mode=0o600)  # noqa: ASYNC240 - a microsecond
        tick.set()

    scheduler = AsyncIOScheduler(timezone=UTC)
    scheduler.add_job(
        wake,
        "interval",
        seconds=TICK_SECONDS,
        next_run_time=now,
        misfire_grace_time=None,
        coalesce=True,
        max_instances=1,
    )
    scheduler.start()
    return scheduler


def stop_on_signals(stop: asyncio.Event) -> None:
    """The first signal asks to stop; a second one ends the process at once, by that signal."""
    loop = asyncio.get_running_loop()

    def asked(number: signal.Signals) -> None:
        if stop.is_set():
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked, number)
