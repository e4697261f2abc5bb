"""What lasts as long as the process, whatever becomes of the settings: the state, and the embedded hub."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from agent.clock import SYSTEM
from agent.errors import ConfigError, StateError, StateFailed
from agent.redact import Redactor
from agent.settings import Settings, SiteSettings
from agent.shared import share_state, tell_quarantined
from agent.state.files import own_folder
from agent.state.ledger import Ledger
from agent.state.store import open_store
from agent.telemetry import events
from agent.web import serve

log = structlog.stdlib.get_logger("agent")


@dataclass(frozen=True, slots=True)
class EmbeddedHub:
    """Our own backend on loopback, with its own database: spoken to over HTTP like any other."""

    url: str
    api_key: str = field(repr=False)
    connect: Callable[[Sequence[SiteSettings]], Mapping[str, int]]
    """Makes it know these sites; their ids there, by name. Raises ConfigError."""
    sync_asked: asyncio.Event
    """Set when somebody asks it for a site."""


@dataclass(frozen=True, slots=True)
class Premises:
    folder: Path
    ledger: Ledger
    redactor: Redactor
    hub: EmbeddedHub | None
    failures_told: dict[str, str] = field(default_factory=dict)
    """How each site fails that the log has told of: other settings are no reason to tell it again."""


@asynccontextmanager
async def open_premises(
    settings: Settings, sites: Sequence[SiteSettings], *, redactor: Redactor, hub_listen: str
) -> AsyncIterator[Premises]:
    """The state, ours alone or in part, and the embedded hub where no other backend is set. Raises AgentError."""
    async with AsyncExitStack() as stack:
        folder = Path(settings.state.dir)
        ledger = await stack.enter_async_context(_open_state(settings, redactor))
        hub = None
        if not settings.backend.url:
            hub = await stack.enter_async_context(_embedded_hub(folder / "hub", sites, redactor, hub_listen))
        yield Premises(folder, ledger, redactor, hub)


@asynccontextmanager
async def _open_state(settings: Settings, redactor: Redactor) -> AsyncIterator[Ledger]:
    folder = Path(settings.state.dir)
    if settings.state.url is not None:
        own_folder(folder)  # for what is this machine's own: the heartbeat, the token
        async with share_state(settings) as store:
            yield Ledger(store, redactor)
        return
    ledger = Ledger(open_store(folder, network_disk=settings.state.allow_network_disk), redactor)
    try:
        if ledger.set_aside:
            # Loud even where a person reads the result alone: a disk that damages files does not mend itself.
            log.critical(
                events.STATE_REBUILT,
                message="the state was damaged and has been begun anew; every site is read again",
                set_aside=str(ledger.set_aside),
                hint="Look at the health of the disk; history begins anew, nothing that the backend has is lost.",
            )
        tell_quarantined(ledger.recover(at=SYSTEM.now()))
        yield ledger
    finally:
        with suppress(StateError):  # who leaves without a word is taken for killed
            ledger.leave()
        ledger.close()


@asynccontextmanager
async def _embedded_hub(
    folder: Path, sites: Sequence[SiteSettings], redactor: Redactor, listen: str
) -> AsyncIterator[EmbeddedHub]:
    try:
        # Django is heavy, and an extra: it is imported where it is needed.
        from agent.hub.embedded import Embedded, prepare
    except ImportError:
        raise ConfigError(
            "no backend is configured, and the embedded hub is not installed",
            reason="config",
            hint="Set WPSA_BACKEND_URL, or install: pip install 'wp-structure-agent[hub]'",
        ) from None

    loop, sync_asked = asyncio.get_running_loop(), asyncio.Event()

    def hear(_: int) -> None:
        """In a thread of the hub, which may outlive our loop."""
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(sync_asked.set)

    def prepared(sites: Sequence[SiteSettings]) -> Embedded:
        with told_of_hub():
            return prepare(folder, sites={site.called: site.url for site in sites}, listen=listen, on_sync_asked=hear)

    hub = prepared(sites)
    redactor.add(hub.api_key)
    if hub.sign_in:
        _show_sign_in(*hub.sign_in)

    def connect(asked: Sequence[SiteSettings]) -> Mapping[str, int]:
        return (hub if asked is sites else prepared(asked)).site_ids

    async with serve(hub.application, listen=listen, option="WPSA_HUB_LISTEN") as url:
        yield EmbeddedHub(url, hub.api_key, connect, sync_asked)


@contextmanager
def told_of_hub() -> Iterator[None]:
    """What the hub does not start with is a matter of its options, or of the disk that its database is on."""
    from django.db import DatabaseError

    from agent.hub.options import HubOptionError

    try:
        yield
    except HubOptionError as error:
        raise ConfigError(str(error), reason="config", hint=error.hint) from None
    except DatabaseError as error:
        raise StateFailed(
            f"the hub's database cannot be read or written: {error}",
            reason="state_io",
            hint="Make room for it, and see that its folder is the agent's own.",
        ) from error


def _show_sign_in(email: str, password: str) -> None:
    """Once, where the page is not on loopback and nobody could sign in yet; never logged."""
    print(f"Sign in to the hub as {email} with the password {password} (shown this once).", file=sys.stderr, flush=True)
