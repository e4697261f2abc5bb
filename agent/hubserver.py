"""`wpsa hub`: the hub alone, for many agents and people."""

import asyncio
import os
import signal
from pathlib import Path

import structlog

from agent.errors import ConfigError
from agent.settings import Settings
from agent.telemetry import events
from agent.web import serve

log = structlog.stdlib.get_logger("agent")


async def serve_hub(settings: Settings) -> None:
    """Serve the hub until SIGTERM or SIGINT; the first start makes an account and prints its password once."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        from agent.hub.options import HubOptionError
        from agent.hub.standalone import prepare
    except ImportError:
        raise ConfigError(
            "the hub is not installed", reason="config", hint="Install: pip install 'wp-structure-agent[hub]'"
        ) from None
    folder = Path(os.environ.get("WPSA_HUB_DIR") or Path(settings.state.dir) / "hub")
    try:
        application, first_account = prepare(folder, listen=settings.hub.listen)
    except HubOptionError as error:
        raise ConfigError(str(error), reason="config", hint="Correct the hub's option.") from None
    async with serve(application, listen=settings.hub.listen, option="WPSA_HUB_LISTEN") as url:
        if first_account:
            email, password = first_account
            print(f"Sign in at {url} as {email} with the password {password} (shown this once).", flush=True)
        log.info(events.HUB_STARTED, message="hub started", page=url)
        await stop.wait()
