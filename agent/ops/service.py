"""The operations endpoint while the daemon runs: served, and found by commands on this machine."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import structlog

from agent.config import Loaded
from agent.errors import ConfigError
from agent.ops.access import announce, token_of, withdraw
from agent.ops.endpoint import Endpoint
from agent.ops.metrics import Metrics
from agent.redact import Redactor
from agent.rounds import Rounds
from agent.telemetry import events
from agent.web import serve

STOP_SECONDS = 0.1
"""Whoever follows a run hears of its end from the state: nobody is waited for."""

log = structlog.stdlib.get_logger("agent")


@asynccontextmanager
async def offer_operations(
    loaded: Loaded, rounds: Rounds, metrics: Metrics, *, redactor: Redactor
) -> AsyncIterator[None]:
    """Serve the endpoint within the block, unless it is switched off.

    An address that is taken ends the daemon when somebody chose it. The default one does not: a
    second agent on the machine is to work too. Raises ConfigError, and StateError.
    """
    settings, folder = loaded.settings, Path(loaded.settings.state.dir)
    withdraw(folder)
    if settings.ops.listen == "off":
        yield
        return
    token = token_of(settings, folder)
    redactor.add(token)
    endpoint = Endpoint(rounds, metrics, token=token, clock=rounds.agent.ports.clock, redactor=redactor)
    async with AsyncExitStack() as stack:
        served = serve(
            endpoint.application(), listen=settings.ops.listen, option="WPSA_OPS_LISTEN", stop_seconds=STOP_SECONDS
        )
        try:
            url = await stack.enter_async_context(served)
        except ConfigError as taken:
            if "ops.listen" in loaded.sources:
                raise
            log.warning(events.OPERATIONS_MISSING, message="no operations endpoint", error=taken.message, hint=taken.hint)
        else:
            stack.callback(withdraw, folder)
            announce(folder, url)
            log.info(events.OPERATIONS_STARTED, message="operations endpoint started", listen=url)
        yield
