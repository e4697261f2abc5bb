"""The daemon: looks often, acts when due, and leaves within two seconds when asked."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from agent import __version__
from agent.bootstrap import move_in
from agent.clock import SYSTEM
from agent.config import Loaded
from agent.errands import doing_errands
from agent.kept import place_of
from agent.memory import give_back_memory
from agent.naming import chosen_sites
from agent.ops.metrics import Metrics
from agent.ops.service import offer_operations
from agent.ops.systemd import tell_systemd
from agent.ops.watchdog import watched
from agent.premises import open_premises
from agent.redact import Redactor
from agent.reload import Moves, Reload
from agent.rounds import Rounds
from agent.telemetry import events
from agent.telemetry.observers import log_exchange

TICK_SECONDS = 15
TIDY_SECONDS = 3_600
HEARTBEAT = "heartbeat"
# What is in hand may end by itself; what takes longer is cancelled, and nothing is lost by it.
DRAIN_SECONDS = 1.0

log = structlog.stdlib.get_logger("agent")


async def run(loaded: Loaded, reread: Callable[[], Loaded], *, redactor: Redactor) -> None:
    """Keep the backend up to date with the configured sites until SIGTERM or SIGINT. Raises AgentError.

    reread   gives the settings anew, on SIGHUP and when one of their files has changed; raises ConfigError
    """
    stop = asyncio.Event()
    stop_on_signals(stop)
    # Until there is anything to reload, a hangup is nothing to die of.
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, lambda: None)
    settings, sites = loaded.settings, chosen_sites(loaded.settings, ())
    metrics = Metrics(now=SYSTEM.now)
    async with (
        watched(SYSTEM),
        open_premises(settings, sites, redactor=redactor, hub_listen=settings.hub.listen) as premises,
        Moves(partial(move_in, premises, observers=(log_exchange, metrics.exchange))) as moves,
    ):
        agent = await moves.to(settings, sites)
        agent.ledger.forget_held(at=SYSTEM.now())
        rounds = Rounds(agent, told=(metrics.outcome,))
        async with metrics.fed_by(rounds), offer_operations(loaded, rounds, metrics, redactor=redactor):
            log.info(
                events.AGENT_STARTED,
                message="agent started",
                version=__version__,
                sites=len(agent.sites),
                state=place_of(settings),
                page=agent.hub_url,
            )
            reload = Reload(loaded, reread, rounds=rounds, moves=moves, metrics=metrics, redactor=redactor)
            async with doing_errands(rounds, wanted=premises.hub.sync_asked if premises.hub else None):
                await keep_up(rounds, stop, reload=reload)
    log.info(events.AGENT_STOPPED, message="agent stopped")


async def keep_up(rounds: Rounds, stop: asyncio.Event, *, reload: Reload | None = None) -> None:
    """Do what is due, look after look, until asked to stop. Raises StateError."""
    tick = asyncio.Event()
    scheduler = _ticking(tick, heartbeat=rounds.agent.state_folder / HEARTBEAT, now=rounds.agent.ports.clock.now())
    if reload:
        reload.on_hangup(tick.set)
    working = asyncio.create_task(_work(rounds, tick, reload.if_wanted if reload else _nothing), name="work")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    tell_systemd("READY=1")
    ends: set[asyncio.Future[Any]] = {working, stopping, rounds.broken}
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        tell_systemd("STOPPING=1")
        scheduler.shutdown(wait=False)
        for task in (working, stopping):
            task.cancel()
        await asyncio.wait({working, stopping})
        await rounds.end(within_seconds=DRAIN_SECONDS if stop.is_set() else 0)
    for ended in ends - {stopping}:
        if ended.done() and not ended.cancelled():
            ended.result()


async def _work(rounds: Rounds, tick: asyncio.Event, before_each: Callable[[], Awaitable[None]]) -> None:
    """One look after another: what is due now decides, never how often it ticked."""
    while True:
        await tick.wait()
        tick.clear()
        await before_each()
        rounds.look()


async def _nothing() -> None: ...


def _ticking(tick: asyncio.Event, *, heartbeat: Path, now: datetime) -> AsyncIOScheduler:
    """APScheduler only ticks: its own daily triggers lose and double days when clocks change.

    heartbeat   touched at each tick; its age tells a health check that the event loop is alive
    """

    async def wake() -> None:
        # A full disk is the state's matter to report, not the heartbeat's.
        with suppress(OSError):
            heartbeat.touch(mode=0o600)  # noqa: ASYNC240 - a microsecond
        tell_systemd("WATCHDOG=1")
        tick.set()

    async def tidy() -> None:
        give_back_memory()

    scheduler = AsyncIOScheduler(timezone=UTC)
    scheduler.add_job(tidy, "interval", seconds=TIDY_SECONDS)
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
            _die_by(number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked, number)


def _die_by(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    # The first process of a container is not ended by a signal that it does not handle.
    os._exit(128 + number)
