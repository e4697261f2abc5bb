"""`wpsa fleet worker`: one of any number of processes, on any machine, that keep the sites of a fleet up to date."""

import asyncio
import signal
from functools import partial

import structlog

from agent import __version__
from agent.bootstrap import move_in
from agent.clock import SYSTEM
from agent.config import Loaded
from agent.daemon import keep_up, stop_on_signals
from agent.errands import doing_errands
from agent.errors import StateBusy, StateError
from agent.kept import address, place_of
from agent.naming import chosen_sites
from agent.ops.fleet_series import FleetSeries
from agent.ops.metrics import Metrics
from agent.ops.service import offer_operations
from agent.ops.watchdog import watched
from agent.premises import open_premises
from agent.redact import Redactor
from agent.retry import ENGINE
from agent.roster import Roster, TableRoster, listed
from agent.rounds import Rounds
from agent.settings import Settings
from agent.state.sites import Sites
from agent.telemetry import events
from agent.telemetry.observers import log_exchange
from agent.workers.agenda import SharedAgenda
from agent.workers.engine import STOP_SECONDS, EngineLost, open_engine
from agent.workers.importing import entries_of
from agent.workers.planning import Planner

JOBS_PER_PLACE = 4
"""A site that hangs goes on beside the places, and its job with it."""

log = structlog.stdlib.get_logger("agent")


async def work(loaded: Loaded, *, redactor: Redactor) -> None:
    """Take up sites of the fleet until SIGTERM or SIGINT. Raises AgentError."""
    settings = loaded.settings
    url = address(settings, alone="wpsa run")
    stop = asyncio.Event()
    stop_on_signals(stop)
    # Other settings are for the next start: the other workers go on meanwhile.
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, lambda: None)
    metrics = Metrics(now=SYSTEM.now, shared=True)
    async with (
        watched(SYSTEM),
        open_premises(settings, settings.all_sites, redactor=redactor, hub_listen=settings.hub.listen) as premises,
    ):
        sites = Sites(premises.ledger.store)
        roster = _roster(settings, sites, redactor)
        moving = move_in(premises, settings, settings.all_sites, observers=(log_exchange, metrics.exchange), roster=roster)
        async with moving as agent:
            agenda = SharedAgenda(sites, roster, agent.moments, agent.ledger)
            rounds = Rounds(agent, told=(metrics.outcome,), agenda=agenda)
            series = FleetSeries(sites, away=lambda: rounds.trouble is not None, clock=SYSTEM)
            async with metrics.fed_by(rounds, fleet=series), offer_operations(loaded, rounds, metrics, redactor=redactor):
                log.info(
                    events.AGENT_STARTED,
                    message="fleet worker started",
                    version=__version__,
                    state=place_of(settings),
                    sites_at_once=agent.sites_at_once,
                )
                working = asyncio.create_task(
                    _work(rounds, agenda, Planner(sites, SYSTEM), url, series), name="engine"
                )
                working.add_done_callback(partial(_ended, rounds))
                try:
                    async with doing_errands(rounds, wanted=None):
                        await keep_up(rounds, stop)
                finally:
                    working.cancel()
                    await asyncio.wait({working}, timeout=STOP_SECONDS)
    log.info(events.AGENT_STOPPED, message="fleet worker stopped")


def _roster(settings: Settings, sites: Sites, redactor: Redactor) -> Roster:
    """The sites of the settings, which the table then knows, too; else those that were imported into it."""
    if not settings.all_sites:
        return TableRoster(sites, redactor)
    configured = chosen_sites(settings, ())
    sites.put(entries_of(configured, with_settings=False), at=SYSTEM.now(), replace=True, among="settings")
    return listed(configured)


def _ended(rounds: Rounds, engine: asyncio.Task[None]) -> None:
    """The engine ends with the worker; if it ends before, by a bug, so does the worker."""
    if not engine.cancelled() and (error := engine.exception()) and not rounds.broken.done():
        rounds.broken.set_exception(error)


def _unreachable(error: EngineLost) -> StateError:
    return StateBusy(
        f"the engine of the fleet has lost its database: {error}",
        reason="state_unreachable",
        hint="Look at the PostgreSQL of WPSA_STATE_URL; nothing is lost, and work goes on when it is back.",
    )


async def _work(rounds: Rounds, agenda: SharedAgenda, planner: Planner, url: str, series: FleetSeries) -> None:
    """Take up what the engine brings; when the database is away, come back with it."""

    async def wake(site: str) -> None:
        series.count_job()
        # Whoever waits for it here may be cancelled; the site is brought to its end all the same.
        await asyncio.wait({rounds.take_turn(site)})

    failures = 0
    while True:
        try:
            async with open_engine(url, wake=wake, plan=planner.look) as engine:
                failures, planner.engine, agenda.lost = 0, engine, None
                rounds.begin_due()
                await engine.work(jobs_at_once=rounds.agent.sites_at_once * JOBS_PER_PLACE)
        except EngineLost as error:
            failures += 1
            pause = ENGINE.ceiling_seconds(failures)
            log.warning(
                events.ENGINE_LOST,
                message="the engine of the fleet has lost its database; it comes back by itself",
                error=str(error),
                retry_in_s=pause,
            )
            agenda.lost = _unreachable(error)
            rounds.begin_due()
            await planner.clock.sleep(pause)
