"""`wpsa hub`: the hub alone, for many agents and people."""

import asyncio
import os
import signal
from pathlib import Path
from types import ModuleType

import structlog

from agent.errors import ConfigError
from agent.premises import told_of_hub
from agent.settings import Settings
from agent.telemetry import events
from agent.web import serve

log = structlog.stdlib.get_logger("agent")


async def serve_hub(settings: Settings) -> None:
    """Serve the hub until SIGTERM or SIGINT; the first start makes an account and prints its password once."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    hub = _installed()
    with told_of_hub():
        application, first_account = hub.prepare(_folder(settings), listen=settings.hub.listen)
    async with serve(application, listen=settings.hub.listen, option="WPSA_HUB_LISTEN") as url:
        if first_account:
            email, password = first_account
            print(f"Sign in at {url} as {email} with the password {password} (shown this once).", flush=True)
        log.info(events.HUB_STARTED, message="hub started", page=url)
        await stop.wait()


def back_up(settings: Settings, file: Path | None) -> Path:
    """Where the copy is; raises ConfigError when there is nothing to copy, or something is there already."""
    hub = _installed()
    with told_of_hub():
        copied: Path = hub.back_up(_folder(settings), file)
    return copied


def make_administrator(settings: Settings, email: str) -> str:
    """The new administrator's random password; raises ConfigError for an address that is taken or none."""
    hub = _installed()
    with told_of_hub():
        password: str = hub.make_administrator(_folder(settings), email)
    return password


def _folder(settings: Settings) -> Path:
    return Path(os.environ.get("WPSA_HUB_DIR") or Path(settings.state.dir) / "hub")


def _installed() -> ModuleType:
    try:
        from agent.hub import standalone
    except ImportError:
        raise ConfigError(
            "the hub is not installed", reason="config", hint="Install: pip install 'wp-structure-agent[hub]'"
        ) from None
    return standalone
