"""Every option, once: its type, bounds, default and reason. Read whole, or refused whole.

Precedence: arguments > environment > secret files > TOML > defaults. An option `key` of `[section]`
is WPSA_SECTION_KEY in the environment; a secret may come from a file named by its `…_FILE` twin.
"""

import ipaddress
import re
from collections.abc import Callable
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit
from zoneinfo import ZoneInfo

from platformdirs import user_state_path
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr
from pydantic_settings import BaseSettings, SettingsConfigDict

from agent.accepted import (
    ApiPath,
    DatabaseUrl,
    HttpUrl,
    Key,
    ListenAddress,
    ListenAddressOrOff,
    RestRootUrl,
    Secret,
    SecretUrl,
    Text,
    WallTime,
    ZoneName,
)
from agent.backend.contract import INTEGRATION_ID_PATTERN, INTEGRATIONS_PATH, LOGIN_PATH, REFRESH_PATH
from agent.errors import ConfigError
from agent.structure.model import Choice, Choices, Family, Site


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, coerce_numbers_to_str=True)


class ChoiceSettings(Section):
    """What the backend is told about one content type; a value left out falls back to the general one."""

    enabled: bool | None = None
    fetch_limit: int | None = Field(None, ge=1, le=1_000_000, description="items the backend fetches at most")


class StructureSettings(Section):
    """What the backend is told about the site and its content types."""

    enabled: bool = Field(True, description="whether the backend fetches the content types")
    fetch_limit: int = Field(100, ge=1, le=1_000_000, description="items of each type the backend fetches at most")
    plugin_connection_enabled: bool = Field(True, description="passed on to the backend as it is")
    two_way_sync_enabled: bool = Field(True, description="passed on to the backend as it is")
    post_types: dict[str, ChoiceSettings] = Field({}, description="exceptions by slug")
    taxonomies: dict[str, ChoiceSettings] = Field({}, description="exceptions by slug")


class SiteSettings(Section):
    """One WordPress site."""

    url: HttpUrl = Field(description="the site's public address")
    name: Text | None = Field(None, max_length=100, description="how the site is called here; its host by default")
    username: Text | None = Field(None, description="a WordPress login, for what strangers cannot see")
    application_password: Secret | None = Field(None, description="made in WordPress under Users → Profile")
    http_username: Text | None = Field(None, description="where the web server itself asks for a password, as staging does")
    http_password: Secret | None = Field(None, description="the web server's own, not WordPress's")
    site_id: Text | None = Field(None, max_length=64, description="the site's id at the backend")
    integration_id: str | None = Field(
        None, pattern=f"^{INTEGRATION_ID_PATTERN}$", description="the integration's id, when it is known"
    )
    allow_insecure_http: bool = Field(False, description="send the login over plain http to another machine")
    rest_root: RestRootUrl | None = Field(None, description="the REST root, where no search finds it")
    internal_url: HttpUrl | None = Field(
        None, description="where to connect instead, such as http://wordpress in the same container network"
    )
    ping_url: SecretUrl | None = Field(None, description="a dead-man's switch for this site, as Healthchecks has them")
    structure: StructureSettings | None = Field(None, description="in place of the general [structure]")

    @property
    def called(self) -> str:
        return self.name or name_of(self.url)

    def secrets(self) -> list[tuple[str | None, str]]:
        """(user name or None, secret) of everything that must reach no log."""
        given = [(self.username, self.application_password), (self.http_username, self.http_password)]
        pings = _secret_parts(self.ping_url.get_secret_value()) if self.ping_url else []
        return [(user, secret.get_secret_value()) for user, secret in given if secret] + [(None, part) for part in pings]

    def as_site(self) -> Site:
        return Site(
            name=self.called,
            url=self.url,
            rest_root=self.rest_root,
            internal_url=self.internal_url,
            has_front_gate=self.http_password is not None,
            login_over_http=self.allow_insecure_http or self.internal_url is not None,
        )


class BackendSettings(Section):
    """Where structures go. Without a url the embedded hub takes them."""

    url: HttpUrl | None = None
    api_key: Key | None = None
    email: Text | None = None
    password: Secret | None = None
    site_id: Text | None = Field(None, max_length=64, description="for the one site; many name their own")
    integration_id: str | None = Field(
        None, pattern=f"^{INTEGRATION_ID_PATTERN}$", description="the integration's id, when it is known"
    )
    verify: bool = Field(False, description="read the structure back after each push and compare")
    allow_insecure_http: bool = Field(False, description="send the key over plain http to another machine")
    login_path: ApiPath = Field(LOGIN_PATH, description="where the backend logs in")
    refresh_path: ApiPath = Field(REFRESH_PATH, description="where it renews a token")
    integrations_path: ApiPath = Field(INTEGRATIONS_PATH, description="where it lists integrations")
    poll_seconds: int = Field(
        60, ge=0, le=86_400, description="between two looks for “sync now” at a backend that offers it; 0 for none"
    )


class ScheduleSettings(Section):
    at: WallTime | None = Field(None, description="HH:MM of each day; a moment derived from the site by default")
    timezone: ZoneName = Field("UTC", description="of that time")

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


class StateSettings(Section):
    dir: Text = Field(default_factory=lambda: str(user_state_path("wpsa")), description="the folder of the state")
    allow_network_disk: bool = Field(False, description="let that folder lie on NFS and its like: for one machine alone")
    url: DatabaseUrl | None = Field(
        None, description="a PostgreSQL that several machines share, in place of a file in that folder (extra [fleet])"
    )


class LogSettings(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"


class OpsSettings(Section):
    """Health, metrics and "sync now" of the daemon."""

    listen: ListenAddressOrOff = Field("127.0.0.1:9464", description="where the operations endpoint listens; off for nowhere")
    token: Key | None = Field(None, description="for sync now, and for metrics from elsewhere; made by itself when not set")


class NotifySettings(Section):
    """Who is told beside the log; nobody by default. The addresses are secrets: whoever knows one may speak for us."""

    ping_url: SecretUrl | None = Field(None, description="a dead-man's switch for all sites together")
    webhook_url: SecretUrl | None = Field(
        None, description="told when content types come, go or are renamed, and when a site fails and works again"
    )
    webhook_secret: Secret | None = Field(None, description="signs what the webhook is told")
    count_change_percent: int | None = Field(
        None, ge=1, le=100, description="tell of a count, too, that changes by so many percent; never by default"
    )
    allow_insecure_http: bool = Field(False, description="send to these addresses over plain http to another machine")


class HubSettings(Section):
    listen: ListenAddress = Field("127.0.0.1:8765", description="where the embedded hub and its page listen")


class ReadingSettings(Section):
    """Manners towards WordPress."""

    connections: int = Field(4, ge=1, le=16, description="requests at once to one site")
    deadline_seconds: float = Field(30.0, ge=1, le=300, description="for one request, from first to last byte")
    sites_at_once: int = Field(32, ge=1, le=256, description="how many sites are read at the same time")


class Settings(BaseSettings):
    """All settings of one agent, frozen once read."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    _again: Callable[[], "Settings"] | None = PrivateAttr(None)

    site: SiteSettings | None = Field(None, description="the one site of the environment")
    sites: tuple[SiteSettings, ...] = Field((), description="any number of sites, in TOML")
    backend: BackendSettings = BackendSettings()
    structure: StructureSettings = StructureSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    reading: ReadingSettings = ReadingSettings()
    state: StateSettings = Field(default_factory=StateSettings)
    log: LogSettings = LogSettings()
    ops: OpsSettings = OpsSettings()
    notify: NotifySettings = NotifySettings()
    hub: HubSettings = HubSettings()

    def came_from(self, again: Callable[[], "Settings"]) -> None:
        """Remember how they were read; `again` raises ConfigError."""
        self._again = again

    def reread(self) -> "Settings | None":
        """The settings as their sources have them now; None when these cannot be read, as while one is being written."""
        try:
            return self._again() if self._again else None
        except ConfigError:
            return None

    @property
    def all_sites(self) -> tuple[SiteSettings, ...]:
        return ((self.site,) if self.site else ()) + self.sites

    def choices_for(self, site: SiteSettings) -> Choices:
        """What the operator decided for this site: its own [sites.structure], else the general one."""
        chosen = site.structure or self.structure
        families = ((Family.POST_TYPE, chosen.post_types), (Family.TAXONOMY, chosen.taxonomies))
        return Choices(
            default=Choice(chosen.enabled, chosen.fetch_limit),
            exceptions={
                (family, slug): Choice(
                    chosen.enabled if one.enabled is None else one.enabled,
                    chosen.fetch_limit if one.fetch_limit is None else one.fetch_limit,
                )
                for family, exceptions in families
                for slug, one in exceptions.items()
            },
            plugin_connection_enabled=chosen.plugin_connection_enabled,
            two_way_sync_enabled=chosen.two_way_sync_enabled,
        )

    def secrets(self) -> list[tuple[str | None, str]]:
        """(user name or None, secret) of everything that must reach no log."""
        found = [(None, self.backend.api_key), (self.backend.email, self.backend.password), (None, self.ops.token)]
        found += [(None, self.notify.webhook_secret), (None, self.state.url)]
        urls = [url.get_secret_value() for url in (self.notify.ping_url, self.notify.webhook_url) if url]
        parts = [part for url in urls for part in _secret_parts(url)]
        parts += _passwords_in(self.state.url.get_secret_value()) if self.state.url else []
        return (
            [one for site in self.all_sites for one in site.secrets()]
            + [(user, secret.get_secret_value()) for user, secret in found if secret]
            + [(None, part) for part in parts]
        )


SHORTEST_URL_KEY = 12
"""Of an address that is a secret: shorter parts are words such as `services`."""


def _secret_parts(url: str) -> list[str]:
    """The address and what in it is the key: messages name a host and a path without the rest."""
    parts = urlsplit(url)
    inner = [parts.path.strip("/"), *re.split(r"[/&=]", f"{parts.path}&{parts.query}")]
    return [url, *(part for part in inner if len(part) >= SHORTEST_URL_KEY)]


def _passwords_in(url: str) -> list[str]:
    """The password of a database's address, as it stands there and as it is."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    given = [parts.password, query.get("password"), query.get("sslpassword")]
    return [form for one in given if one for form in {one, unquote(one)}]


def name_of(url: str) -> str:
    """How a site without a name is called: `example.com`, `example.com/blog`, `127.0.0.1:8080`."""
    return url.split("://", 1)[-1].removeprefix("www.")


def is_loopback(url: str) -> bool:
    """Whether an address never leaves this machine."""
    return is_this_machine(urlsplit(url).hostname or "")


def is_this_machine(host: str) -> bool:
    """Whether a host, without its port, is this machine by its very name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
