"""Every option, once: its type, bounds, default and reason. Read whole, or refused whole.

Precedence: arguments > environment > secret files > TOML > defaults. An option `key` of `[section]`
is WPSA_SECTION_KEY in the environment; a secret may come from a file named by its `…_FILE` twin.
"""

import ipaddress
import re
from datetime import time
from typing import Annotated, Literal
from urllib.parse import urlsplit, urlunsplit
from zoneinfo import ZoneInfo, available_timezones

from platformdirs import user_state_path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from agent.backend.contract import INTEGRATION_ID_PATTERN, INTEGRATIONS_PATH, LOGIN_PATH, REFRESH_PATH
from agent.structure.model import Choice, Choices, Family, Site


def _http_url(text: str) -> str:
    """An http(s) address without user, query or fragment; returned with scheme and host in lower case
    (what is compared with "http://" must not come as "HTTP://"), and without a trailing slash."""
    try:
        parts = urlsplit(text.strip())
        port_is_sane = parts.port is None or parts.port > 0
    except ValueError:
        raise ValueError("is not an address such as https://example.com") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_sane:
        raise ValueError("is not an address such as https://example.com")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not contain a user or password; use the options for them")
    if parts.query or parts.fragment or any(c.isspace() or not c.isprintable() for c in text.strip()):
        raise ValueError("must be an address without spaces, ? and #")
    return urlunsplit(parts._replace(netloc=parts.netloc.lower())).rstrip("/")


def _rest_root(text: str) -> str:
    """An http(s) address that ends in a slash; it may hold a query, such as ?rest_route=/."""
    _http_url(text.split("?", 1)[0])
    return text if text.endswith("/") or "?" in text else f"{text}/"


def _listen_address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise ValueError("is not host:port, such as 127.0.0.1:8765")
    return text


def _zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("is not a time zone such as Europe/Berlin")
    return name


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    return text.strip()


def _not_blank_secret(secret: SecretStr) -> SecretStr:
    return SecretStr(_not_blank(secret.get_secret_value()))


def _header_secret(secret: SecretStr) -> SecretStr:
    """A secret that travels in a header, which carries visible ASCII and nothing else."""
    if not re.fullmatch(r"[!-~]+", secret.get_secret_value()):
        raise ValueError("holds a character that no key has, such as a space or a line break")
    return secret


def _wall_time(at: time) -> time:
    if at.tzinfo is not None:
        raise ValueError("must be a time without a zone; the zone is WPSA_SCHEDULE_TIMEZONE")
    return at


HttpUrl = Annotated[str, AfterValidator(_http_url)]
RestRootUrl = Annotated[str, AfterValidator(_rest_root)]
ListenAddress = Annotated[str, AfterValidator(_listen_address)]
Text = Annotated[str, AfterValidator(_not_blank)]
Secret = Annotated[SecretStr, AfterValidator(_not_blank_secret)]
Key = Annotated[Secret, AfterValidator(_header_secret)]
WallTime = Annotated[time, AfterValidator(_wall_time)]
ApiPath = Annotated[str, Field(pattern=r"^/[A-Za-z0-9/_.-]*/$")]


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
    structure: StructureSettings | None = Field(None, description="in place of the general [structure]")

    @property
    def called(self) -> str:
        return self.name or name_of(self.url)

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


class ScheduleSettings(Section):
    at: WallTime | None = Field(None, description="HH:MM of each day; a moment derived from the site by default")
    timezone: Annotated[str, AfterValidator(_zone)] = Field("UTC", description="of that time")

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


class StateSettings(Section):
    dir: Text = Field(default_factory=lambda: str(user_state_path("wpsa")), description="the folder of the state")


class LogSettings(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"


class OpsSettings(Section):
    listen: ListenAddress = Field("127.0.0.1:9464", description="kept for the operations endpoint, which is to come")


class HubSettings(Section):
    listen: ListenAddress = Field("127.0.0.1:8765", description="where the embedded hub and its page listen")


class ReadingSettings(Section):
    """Manners towards WordPress."""

    connections: int = Field(4, ge=1, le=16, description="requests at once to one site")
    deadline_seconds: float = Field(30.0, ge=1, le=300, description="for one request, from first to last byte")
    sites_at_once: int = Field(8, ge=1, le=256, description="how many sites are read at the same time")


class Settings(BaseSettings):
    """All settings of one agent, frozen once read."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    site: SiteSettings | None = Field(None, description="the one site of the environment")
    sites: tuple[SiteSettings, ...] = Field((), description="any number of sites, in TOML")
    backend: BackendSettings = BackendSettings()
    structure: StructureSettings = StructureSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    reading: ReadingSettings = ReadingSettings()
    state: StateSettings = Field(default_factory=StateSettings)
    log: LogSettings = LogSettings()
    ops: OpsSettings = OpsSettings()
    hub: HubSettings = HubSettings()

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
        found = [(site.username, site.application_password) for site in self.all_sites]
        found += [(site.http_username, site.http_password) for site in self.all_sites]
        found += [(None, self.backend.api_key), (self.backend.email, self.backend.password)]
        return [(user, secret.get_secret_value()) for user, secret in found if secret]


def name_of(url: str) -> str:
    """How a site without a name is called: `example.com`, `example.com/blog`, `127.0.0.1:8080`."""
    return url.split("://", 1)[-1].removeprefix("www.")


def is_loopback(url: str) -> bool:
    """Whether an address never leaves this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
