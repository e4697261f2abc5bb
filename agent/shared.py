"""A state that several machines share: this process is known there for as long as it works."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from agent.errors import StateError
from agent.kept import address, on_postgresql
from agent.settings import Settings
from agent.state.interrupted import Quarantined
from agent.telemetry import events

if TYPE_CHECKING:
    from agent.state.fleet_store import FleetStore

log = structlog.stdlib.get_logger("agent")


@asynccontextmanager
async def share_state(settings: Settings) -> AsyncIterator["FleetStore"]:
    """The shared state, to work on. Raises StateError, and ConfigError without the extra."""
    fleet_store = on_postgresql()
    worker = f"{socket.gethostname()}:{os.getpid()}"
    store: FleetStore = fleet_store.open_fleet_store(address(settings), worker=worker)
    living = asyncio.create_task(_live(store, fleet_store.SAY_SO_SECONDS), name="living")
    try:
        yield store
    finally:
        living.cancel()
        await asyncio.wait({living})
        store.close()


async def _live(store: "FleetStore", pause_seconds: float) -> None:
    """Say time and again that this process lives, and see who does not; until cancelled."""
    while True:
        try:
            if not store.live_on():
                log.warning(
                    events.WORKER_REVIVED,
                    message="this worker counted as dead: what it had in hand is taken up by the others",
                    hint="It was cut off from the database, or stood still, for too long; nothing is lost.",
                )
            for dead in store.bury_dead():
                log.warning(
                    events.WORKER_DIED,
                    message="a worker died; what it had in hand is taken up by the others",
                    worker=dead.worker,
                    sites=dead.sites,
                )
                tell_quarantined(dead.held)
        except StateError as error:
            log.debug(events.STATE_DEGRADED, message=error.message, reason=error.reason)
        await asyncio.sleep(pause_seconds)  # real: the database measures a worker's life by its own clock


def tell_quarantined(held: Iterable[Quarantined]) -> None:
    for one in held:
        log.error(
            events.SITE_QUARANTINED,
            message="the agent ended each time it read this site, which waits now so that the others go on",
            site=one.site,
            times=one.times,
            until=one.until.isoformat(timespec="seconds"),
            hint="Look whether the agent runs out of memory; wpsa sync SITE reads it at once.",
        )
