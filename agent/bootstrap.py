"""The composition root: settings become a working agent here and nowhere else."""

import ssl
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path

from pydantic import SecretStr

from agent import faults
from agent.backend.client import BackendClient, unheard
from agent.backend.contract import RUNS, SYNC_REQUESTS, TYPE_SETTINGS
from agent.backend.offers import LIMITS as BESIDES
from agent.backend.offers import Offers
from agent.backend.reports import open_reports
from agent.clock import SYSTEM, Clock
from agent.crowds import Locate, nowhere
from agent.descriptors import most_in_hand
from agent.destination import Backend, configured_backend, hub_as_backend
from agent.detour import Detour
from agent.errors import StateError
from agent.exchange import Observer
from agent.fleet import Told
from agent.net.resolver import Resolver
from agent.notify import Notifier, open_notifier
from agent.outages import Outages
from agent.premises import Premises, open_premises
from agent.redact import Redactor
from agent.roster import Roster, TableRoster, choices_for, listed, moments_of, receivers_of
from agent.schedule import DailyMoment
from agent.servers import locator
from agent.settings import Settings, SiteSettings
from agent.state.ledger import Ledger
from agent.structure.model import Site
from agent.sync import Ports
from agent.telemetry.observers import log_exchange, log_outcome
from agent.transport import Limits, Transport, open_transport
from agent.wordpress.login import FrontGate
from agent.wordpress.reader import SiteReader
from agent.wordpress.xmlrpc import Login

ANY_FREE_PORT = "127.0.0.1:0"
OFFERED_BY_HUB = frozenset({SYNC_REQUESTS, RUNS, TYPE_SETTINGS})
NOTIFIED_WITHIN_SECONDS = 10.0
"""How long the end of one pass waits for those who are to be told of it; a daemon has no such time."""


@dataclass(frozen=True, slots=True)
class Agent:
    """Everything the doors (command line, daemon, demo) need, ready to work."""

    sites: tuple[Site, ...]
    ports: Ports
    ledger: Ledger
    moments: Mapping[str, DailyMoment]
    sites_at_once: int
    state_folder: Path
    told: Told = field(default=log_outcome, kw_only=True)
    """Hears of each outcome: the log, and whoever is to be notified."""
    hub_url: str | None
    """The address of the embedded hub's page, when it is ours that takes the structures."""
    offers: Offers | None = field(default=None, kw_only=True)
    """What the backend offers besides."""
    poll_seconds: float = field(default=0, kw_only=True)
    """Between two looks for what somebody asks for there; 0 for none."""
    most_in_hand: int = field(default=sys.maxsize, kw_only=True)
    """Sites, with those that wait for an answer beside the others."""
    locate: Locate = field(default=nowhere, kw_only=True)
    """The server behind a site's host."""


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
    async with (
        open_premises(settings, sites, redactor=redactor, hub_listen=hub_listen) as premises,
        move_in(
            premises, settings, sites, clock=clock, observers=observers, patience_seconds=NOTIFIED_WITHIN_SECONDS
        ) as agent,
    ):
        yield agent


@asynccontextmanager
async def move_in(
    premises: Premises,
    settings: Settings,
    sites: Sequence[SiteSettings],
    *,
    clock: Clock = SYSTEM,
    observers: tuple[Observer, ...] = (log_exchange,),
    patience_seconds: float = 0.2,
    roster: Roster | None = None,
) -> AsyncIterator[Agent]:
    """An agent by these settings; another one may still end its work in the same premises. Raises ConfigError.

    roster             of the sites of a large fleet, in place of a list
    patience_seconds   for notifications that are not sent yet at the end of the block
    """
    redactor, hub = premises.redactor, premises.hub
    roster = listed(sites) if roster is None else roster
    ledger, failing = premises.ledger, _failing(premises.ledger, roster)
    if hub:
        backend = hub_as_backend(hub, sites)
    else:
        backend = configured_backend(settings, roster, redactor, clock=clock, refusals=ledger)
    async with (
        _backend_transport(clock, observers) as http,
        _backend_transport(clock, observers, limits=BESIDES) as besides,
        _open_notifier(settings, roster, redactor, clock, failing, patience_seconds) as notifier,
    ):
        client = _remembering_client(backend, http, ledger, settings, clock=clock, is_hub=hub is not None)
        ledger.heed(client)
        offers, moments = _offers(backend, client, besides, redactor, roster), moments_of(settings, roster)
        async with open_reports(offers, moments, clock=clock, patience_seconds=patience_seconds) as reports:
            yield Agent(
                sites=tuple(site.as_site() for site in sites),
                ports=Ports(
                    reader=site_reader(settings, roster, clock=clock, observers=observers, begun=notifier.begun),
                    backend=client,
                    state=ledger,
                    clock=clock,
                    choices_for=choices_for(settings, roster),
                    chosen=offers.chosen,
                ),
                ledger=ledger,
                moments=moments,
                sites_at_once=settings.reading.sites_at_once,
                state_folder=premises.folder,
                told=Outages(failing, now=clock.now, kinds=premises.failures_told).tell(log_outcome, notifier.hear, reports.hear),
                hub_url=hub.url if hub else None,
                offers=offers,
                poll_seconds=settings.backend.poll_seconds,
                most_in_hand=most_in_hand(len(sites) or sys.maxsize, settings.reading),
                locate=locator(_resolver()),
            )


def _failing(ledger: Ledger, roster: Roster) -> dict[str, datetime]:
    """Since when each site at hand fails; of a large fleet none is, and nobody asks for all of them."""
    names = set(roster)
    return {site: since for site, since in ledger.failing_since().items() if site in names} if names else {}


def _open_notifier(
    settings: Settings,
    roster: Roster,
    redactor: Redactor,
    clock: Clock,
    failing: Mapping[str, datetime],
    patience_seconds: float,
) -> AbstractAsyncContextManager[Notifier]:
    return open_notifier(
        receivers_of(settings, roster),
        ssl_context=_ssl_context(),
        resolver=_resolver(),
        redactor=redactor,
        clock=clock,
        failing=failing,
        observers=(log_exchange,),
        patience_seconds=patience_seconds,
    )


def _remembering_client(
    backend: Backend, http: Transport, ledger: Ledger, settings: Settings, *, clock: Clock, is_hub: bool
) -> BackendClient:
    """Knows what the backend said before that it offers besides: a look-up may not come for a day."""

    def learned(offers: frozenset[str]) -> None:
        with suppress(StateError):  # it is learned again at the next look-up
            ledger.record_offers(backend.url, offers)

    return backend_client(
        backend,
        http,
        verify=settings.backend.verify,
        clock=clock,
        offers=OFFERED_BY_HUB if is_hub else ledger.offers(backend.url),
        learned=unheard if is_hub else learned,
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
    backend = configured_backend(settings, listed(sites), redactor, clock=clock)
    async with _backend_transport(clock, observers) as http:
        yield backend_client(backend, http, verify=False, clock=clock)


def site_reader(
    settings: Settings,
    sites: Sequence[SiteSettings] | Roster,
    *,
    clock: Clock = SYSTEM,
    observers: tuple[Observer, ...] = (log_exchange,),
    begun: Callable[[str], None] = lambda _: None,
) -> SiteReader:
    """Reads these sites, with the configured manners and logins.

    begun   hears the name of each site that is about to be read
    """
    roster = sites if isinstance(sites, Mapping) else listed(sites)
    limits = Limits(
        deadline_seconds=settings.reading.deadline_seconds, connections=settings.reading.connections
    )

    def open_site(site: Site) -> AbstractAsyncContextManager[Transport]:
        begun(site.name)
        known = roster[site.name]
        gate = _login(known.http_username, known.http_password)
        return open_transport(
            faults=faults.SITE,
            ssl_context=_ssl_context(),
            resolver=_resolver(),
            limits=limits,
            clock=clock,
            observers=observers,
            detour=Detour(site.url, site.internal_url) if site.internal_url else None,
            auth=FrontGate(site, gate) if gate else None,
        )

    def login_for(site: Site) -> Login | None:
        known = roster[site.name]
        return _login(known.username, known.application_password)

    return SiteReader(open_site, clock, login_for=login_for)


def _login(username: str | None, password: SecretStr | None) -> Login | None:
    return Login(username, password.get_secret_value()) if username and password else None


def _offers(backend: Backend, client: BackendClient, http: Transport, redactor: Redactor, roster: Roster) -> Offers:
    return Offers(
        client,
        http,
        base_url=backend.url,
        session=backend.session,
        paths=backend.paths,
        targets=backend.targets,
        hide=redactor.hide,
        known_by=roster.known_by if isinstance(roster, TableRoster) else None,
    )


def backend_client(
    backend: Backend,
    http: Transport,
    *,
    verify: bool,
    clock: Clock,
    offers: frozenset[str] = frozenset(),
    learned: Callable[[frozenset[str]], None] = unheard,
) -> BackendClient:
    return BackendClient(
        http,
        base_url=backend.url,
        session=backend.session,
        paths=backend.paths,
        targets=backend.targets,
        verify=verify,
        clock=clock,
        offers=offers,
        learned=learned,
    )


def _backend_transport(
    clock: Clock, observers: tuple[Observer, ...], *, limits: Limits | None = None
) -> AbstractAsyncContextManager[Transport]:
    # The token stays with the address that it is for, so nothing is to be had behind a redirect.
    limits = limits or Limits(connections=16, redirects=0)
    return open_transport(
        faults=faults.BACKEND,
        ssl_context=_ssl_context(),
        resolver=_resolver(),
        limits=limits,
        clock=clock,
        observers=observers,
    )


@cache
def _ssl_context() -> ssl.SSLContext:
    """One for the process: loading the certificates takes 20 ms, and every client may share them."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


@cache
def _resolver() -> Resolver:
    """One for the process, so that a name is asked for once, whoever wants it."""
    return Resolver()
