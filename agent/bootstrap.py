"""The composition root: settings become a working agent here and nowhere else."""

import ssl
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from agent import faults
from agent.backend.client import BackendClient
from agent.backend.contract import Paths
from agent.backend.integrations import Target
from agent.backend.session import ApiKey, Session
from agent.backend.session import Login as BackendLogin
from agent.clock import SYSTEM, Clock
from agent.detour import Detour
from agent.errors import ConfigError
from agent.exchange import Observer
from agent.redact import Redactor
from agent.schedule import DailyMoment, moment_for
from agent.settings import BackendSettings, Settings, SiteSettings
from agent.state.ledger import Ledger
from agent.state.store import open_store
from agent.structure.model import Choices, Site
from agent.sync import Ports
from agent.telemetry.observers import log_exchange
from agent.transport import Limits, Transport, open_transport
from agent.web import serve
from agent.wordpress.login import FrontGate
from agent.wordpress.reader import SiteReader
from agent.wordpress.xmlrpc import Login

ANY_FREE_PORT = "127.0.0.1:0"


@dataclass(frozen=True, slots=True)
class Agent:
    """Everything the doors (command line, daemon, demo) need, ready to work."""

    sites: tuple[Site, ...]
    ports: Ports
    ledger: Ledger
    moments: Mapping[str, DailyMoment]
    sites_at_once: int
    state_folder: Path
    hub_url: str | None
    """The address of the embedded hub's page, when it is ours that takes the structures."""


@dataclass(frozen=True, slots=True)
class Backend:
    """Where structures go: somebody's backend, or the embedded hub."""

    url: str
    session: Session
    paths: Paths
    targets: Mapping[str, Target]
    embedded: bool


@asynccontextmanager
async def open_agent(
    settings: Settings,
    sites: Sequence[SiteSettings],
    *,
    redactor: Redactor,
    hub_listen: str,
    clock: Clock = SYSTEM,
    observers: tuple[Observer, ...] = (log_exchange,),
) -> AsyncIterator[Agent]:
    """An agent for these sites, closed in reverse order at the end of the block. Raises AgentError."""
    async with AsyncExitStack() as stack:
        folder = Path(settings.state.dir)
        ledger = Ledger(open_store(folder), redactor)
        stack.callback(ledger.close)
        ledger.recover()
        backend = (
            configured_backend(settings, sites, redactor)
            if settings.backend.url
            else await stack.enter_async_context(_embedded_hub(folder / "hub", sites, redactor, hub_listen))
        )
        http = await stack.enter_async_context(_backend_transport(clock, observers))
        client = backend_client(backend, http, verify=settings.backend.verify)
        yield Agent(
            sites=tuple(site.as_site() for site in sites),
            ports=Ports(
                reader=site_reader(settings, sites, clock=clock, observers=observers),
                backend=client,
                state=ledger,
                clock=clock,
                choices_for=choices_for(settings, sites),
            ),
            ledger=ledger,
            moments=moments_of(settings, sites),
            sites_at_once=settings.reading.sites_at_once,
            state_folder=folder,
            hub_url=backend.url if backend.embedded else None,
        )


@asynccontextmanager
async def open_backend(
    settings: Settings,
    sites: Sequence[SiteSettings],
    *,
    redactor: Redactor,
    clock: Clock = SYSTEM,
    observers: tuple[Observer, ...] = (log_exchange,),
) -> AsyncIterator[BackendClient]:
    """The configured backend alone, for looking: no state, no hub."""
    backend = configured_backend(settings, sites, redactor)
    async with _backend_transport(clock, observers) as http:
        yield backend_client(backend, http, verify=False)


def site_reader(
    settings: Settings,
    sites: Sequence[SiteSettings],
    *,
    clock: Clock = SYSTEM,
    observers: tuple[Observer, ...] = (log_exchange,),
) -> SiteReader:
    """Reads these sites, with the configured manners and logins."""
    logins = {
        site.called: Login(site.username, site.application_password.get_secret_value())
        for site in sites
        if site.username and site.application_password
    }
    gates = {
        site.called: Login(site.http_username, site.http_password.get_secret_value())
        for site in sites
        if site.http_username and site.http_password
    }
    limits = Limits(
        deadline_seconds=settings.reading.deadline_seconds, connections=settings.reading.connections
    )

    def open_site(site: Site) -> AbstractAsyncContextManager[Transport]:
        return open_transport(
            faults=faults.SITE,
            ssl_context=_ssl_context(),
            limits=limits,
            clock=clock,
            observers=observers,
            detour=Detour(site.url, site.internal_url) if site.internal_url else None,
            auth=FrontGate(site, gates[site.name]) if site.name in gates else None,
        )

    return SiteReader(open_site, clock, login_for=lambda site: logins.get(site.name))


def moments_of(settings: Settings, sites: Sequence[SiteSettings]) -> dict[str, DailyMoment]:
    """Each site's daily moment, by its name."""
    schedule = settings.schedule
    return {site.called: moment_for(site.called, at=schedule.at, zone=schedule.zone) for site in sites}


def choices_for(settings: Settings, sites: Sequence[SiteSettings]) -> Callable[[str], Choices]:
    """The operator's choices by a site's name."""
    chosen = {site.called: settings.choices_for(site) for site in sites}
    return chosen.__getitem__


def configured_backend(settings: Settings, sites: Sequence[SiteSettings], redactor: Redactor) -> Backend:
    """The backend that the settings name; raises ConfigError for a site whose place there is not known."""
    backend = settings.backend
    assert backend.url is not None, "asked for only where one is configured"
    paths = Paths(login=backend.login_path, refresh=backend.refresh_path, integrations=backend.integrations_path)
    targets = {site.called: _target(site, settings, alone=len(sites) == 1) for site in sites}
    for name, target in targets.items():
        if not (target.site_id or target.integration_id):
            raise ConfigError(
                f"site {name}: its id at the backend is not known",
                reason="config",
                hint="Set WPSA_BACKEND_SITE_ID, or site_id of the site.",
            )
    return Backend(backend.url, _session(backend, paths, redactor), paths, targets, embedded=False)


def _target(site: SiteSettings, settings: Settings, *, alone: bool) -> Target:
    """The site's own ids. The backend's general ones are of the one configured site, never of a stranger."""
    backend = settings.backend
    if site in settings.all_sites or (alone and not settings.all_sites):
        return Target(site.site_id or backend.site_id, site.integration_id or backend.integration_id)
    return Target(site.site_id, site.integration_id)


def _session(backend: BackendSettings, paths: Paths, redactor: Redactor) -> Session:
    if backend.api_key:
        return ApiKey(backend.api_key.get_secret_value())
    assert backend.url is not None, "asked for only where one is configured"
    assert backend.email is not None, "settings without credentials are refused"
    assert backend.password is not None, "settings without credentials are refused"
    password = backend.password.get_secret_value()
    return BackendLogin(backend.url, email=backend.email, password=password, paths=paths, learned=redactor.add)


def backend_client(backend: Backend, http: Transport, *, verify: bool) -> BackendClient:
    return BackendClient(
        http,
        base_url=backend.url,
        session=backend.session,
        paths=backend.paths,
        targets=backend.targets,
        verify=verify,
    )


@asynccontextmanager
async def _embedded_hub(
    folder: Path, sites: Sequence[SiteSettings], redactor: Redactor, listen: str
) -> AsyncIterator[Backend]:
    """Our own backend on loopback, with its own database: spoken to over HTTP like any other."""
    try:
        # Django is heavy, and an extra: it is imported where it is needed.
        from agent.hub.embedded import prepare
        from agent.hub.options import HubOptionError
    except ImportError:
        raise ConfigError(
            "no backend is configured, and the embedded hub is not installed",
            reason="config",
            hint="Set WPSA_BACKEND_URL, or install: pip install 'wp-structure-agent[hub]'",
        ) from None
    try:
        hub = prepare(folder, sites={site.called: site.url for site in sites}, listen=listen)
    except HubOptionError as error:
        raise ConfigError(str(error), reason="config", hint="Correct the hub's option.") from None
    redactor.add(hub.api_key)
    if hub.sign_in:
        _show_sign_in(*hub.sign_in)
    async with serve(hub.application, listen=listen, option="WPSA_HUB_LISTEN") as url:
        targets = {name: Target(str(site_id), None) for name, site_id in hub.site_ids.items()}
        yield Backend(url, ApiKey(hub.api_key), Paths(), targets, embedded=True)


def _show_sign_in(email: str, password: str) -> None:
    """Once, where the page is not on loopback and nobody could sign in yet; never logged."""
    print(f"Sign in to the hub as {email} with the password {password} (shown this once).", file=sys.stderr, flush=True)


def _backend_transport(clock: Clock, observers: tuple[Observer, ...]) -> AbstractAsyncContextManager[Transport]:
    limits = Limits(connections=16)
    return open_transport(
        faults=faults.BACKEND, ssl_context=_ssl_context(), limits=limits, clock=clock, observers=observers
    )


@cache
def _ssl_context() -> ssl.SSLContext:
    """One for the process: loading the certificates takes 20 ms, and every client may share them."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
