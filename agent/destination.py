"""Where structures go, as the settings say: somebody's backend and our place there, or the embedded hub."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.backend.contract import Paths
from agent.backend.integrations import Target
from agent.backend.logins import Refusals
from agent.backend.session import ApiKey, Session
from agent.backend.session import Login as BackendLogin
from agent.clock import Clock
from agent.errors import ConfigError
from agent.premises import EmbeddedHub
from agent.redact import Redactor
from agent.roster import Derived, Roster
from agent.settings import BackendSettings, Settings, SiteSettings


@dataclass(frozen=True, slots=True)
class Backend:
    """Where structures go: somebody's backend, or the embedded hub."""

    url: str
    session: Session
    paths: Paths
    targets: Mapping[str, Target]


def configured_backend(
    settings: Settings, roster: Roster, redactor: Redactor, *, clock: Clock, refusals: Refusals | None = None
) -> Backend:
    """The backend that the settings name; raises ConfigError for a site whose place there is not known.

    refusals   of logins, to other processes too
    """
    backend = settings.backend
    assert backend.url is not None, "asked for only where one is configured"
    paths = Paths(login=backend.login_path, refresh=backend.refresh_path, integrations=backend.integrations_path)
    # A single site that was named in place of any configured one stands for it.
    configured = {site.url for site in settings.all_sites or (roster.values() if len(roster) == 1 else ())}
    targets = Derived(roster, lambda site: _target(site, backend, is_configured=site.url in configured))
    for name, target in targets.items():
        if not (target.site_id or target.integration_id):
            raise ConfigError(
                f"site {name}: its id at the backend is not known",
                reason="config",
                hint="Set WPSA_BACKEND_SITE_ID, or site_id of the site.",
            )
    return Backend(backend.url, _session(settings, paths, redactor, clock, refusals), paths, targets)


def _target(site: SiteSettings, backend: BackendSettings, *, is_configured: bool) -> Target:
    """The site's own ids. The backend's general ones are of the one configured site, never of a stranger."""
    if is_configured:
        return Target(site.site_id or backend.site_id, site.integration_id or backend.integration_id)
    return Target(site.site_id, site.integration_id)


def _session(
    settings: Settings, paths: Paths, redactor: Redactor, clock: Clock, refusals: Refusals | None
) -> Session:
    backend = settings.backend

    def kept(option: str) -> str | None:
        """The secret as the settings' sources have it now; hidden from then on."""
        again = settings.reread()
        found = getattr(again.backend, option) if again else None
        secret = found.get_secret_value() if found else None
        if secret:
            redactor.add(secret, username=backend.email)
        return secret

    if backend.api_key:
        return ApiKey(backend.api_key.get_secret_value(), reread=lambda: kept("api_key"))
    assert backend.url is not None, "asked for only where one is configured"
    assert backend.email is not None, "settings without credentials are refused"
    assert backend.password is not None, "settings without credentials are refused"
    return BackendLogin(
        backend.url,
        email=backend.email,
        password=backend.password.get_secret_value(),
        paths=paths,
        learned=redactor.learn,
        clock=clock,
        reread=lambda: kept("password"),
        refusals=refusals,
    )


def hub_as_backend(hub: EmbeddedHub, sites: Sequence[SiteSettings]) -> Backend:
    targets = {name: Target(str(site_id), None) for name, site_id in hub.connect(sites).items()}
    return Backend(hub.url, ApiKey(hub.api_key), Paths(), targets)
