"""Every option of the hub, read once from `WPSA_HUB_*` and checked before Django starts."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Self, cast, get_args

from agent.hub.private_files import read_or_create_secret

ListShape = Literal["page", "list", "envelope"]

PREFIX: Final = "WPSA_HUB_"
KNOWN: Final = frozenset(
    PREFIX + name
    for name in (
        "DIR",
        "DATABASE_URL",
        "DATABASE_URL_FILE",
        "LISTEN",
        "ALLOWED_HOSTS",
        "PUBLIC_URL",
        "OPEN",
        "HTTPS",
        "TRUSTED_PROXIES",
        "LIST_SHAPE",
        "SECRET_KEY",
        "SECRET_KEY_FILE",
        "TOKEN_KEY",
        "TOKEN_KEY_FILE",
    )
)
DEFAULT_LISTEN: Final = "127.0.0.1:8765"
LOOPBACK_HOSTS: Final = ("localhost", "127.0.0.1", "[::1]")
SECRET_MIN_CHARACTERS: Final = 32


class HubOptionError(ValueError):
    """An option is missing or unsafe. Names the option and the accepted form, never a secret's value."""

    def __init__(self, message: str, *, hint: str = "Correct the hub's option.") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class HubOptions:
    """What one hub process is told. Equal options describe the same hub."""

    directory: Path
    """The SQLite database, the generated keys and nothing else; 0700."""
    listen: str
    """`host:port`. Decides whether open pages are allowed."""
    allowed_hosts: tuple[str, ...]
    """Names a request may be addressed to; anything else is answered 400."""
    public_url: str
    """The base of `next` links behind a proxy; empty: the (checked) host of the request."""
    open_pages: bool
    """Pages are readable without signing in. Never true unless `listen` is loopback."""
    https: bool
    """Served over TLS: Secure cookies with `__Host-` names, and HSTS."""
    list_shape: ListShape
    """How integrations are listed; all three are in the wild."""
    trusted_proxies: tuple[str, ...]
    """Addresses and networks whose X-Forwarded-For and X-Forwarded-Proto are believed; no others' are."""
    database_url: str = field(repr=False)
    """postgresql://…; empty: SQLite in the directory. It may hold a password."""
    secret_key: str = field(repr=False)
    token_key: str = field(repr=False)
    """Signs access and refresh tokens; its own key, so that one can be changed without the other."""

    @classmethod
    def from_environment(
        cls,
        environment: Mapping[str, str],
        *,
        directory: Path | None = None,
        listen: str | None = None,
        open_pages: bool | None = None,
    ) -> Self:
        """Read the options; an argument wins over the environment.

        Creates the two keys in the directory when they are not given.
        Raises HubOptionError for an unknown, missing or unsafe option.
        """
        _refuse_unknown(environment)
        folder = directory or Path(_required(environment, "DIR"))
        address = listen or environment.get(PREFIX + "LISTEN") or DEFAULT_LISTEN
        host = host_of(address)
        if open_pages is None:
            open_pages = _flag(environment, "OPEN")
        return cls(
            directory=folder,
            listen=address,
            allowed_hosts=_allowed_hosts(environment, host),
            public_url=_public_url(environment),
            open_pages=open_pages and is_loopback(host),
            https=_flag(environment, "HTTPS"),
            list_shape=_list_shape(environment),
            trusted_proxies=_trusted_proxies(environment),
            database_url=_database_url(environment),
            secret_key=_secret(environment, "SECRET_KEY", folder / "secret-key"),
            token_key=_secret(environment, "TOKEN_KEY", folder / "token-key"),
        )


def host_of(listen: str) -> str:
    """The host of `host:port`, an IPv6 address without its brackets."""
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]/]*):([0-9]{1,5})", listen)
    if match is None or int(match[2]) > 65_535:
        raise HubOptionError(f"{PREFIX}LISTEN must look like 127.0.0.1:8765 or [::1]:8765")
    return match[1].strip("[]")


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _refuse_unknown(environment: Mapping[str, str]) -> None:
    unknown = sorted(name for name in environment if name.startswith(PREFIX) and name not in KNOWN)
    if unknown:
        raise HubOptionError(f"unknown option: {', '.join(unknown)}; known are {', '.join(sorted(KNOWN))}")


def _required(environment: Mapping[str, str], name: str) -> str:
    if value := environment.get(PREFIX + name):
        return value
    raise HubOptionError(f"{PREFIX}{name} is missing: name the folder for the hub's database")


def _flag(environment: Mapping[str, str], name: str) -> bool:
    match environment.get(PREFIX + name, "").lower():
        case "1" | "true" | "yes" | "on":
            return True
        case "" | "0" | "false" | "no" | "off":
            return False
    raise HubOptionError(f"{PREFIX}{name} must be 1 or 0")


def _allowed_hosts(environment: Mapping[str, str], listen_host: str) -> tuple[str, ...]:
    given = [host.strip() for host in environment.get(PREFIX + "ALLOWED_HOSTS", "").split(",") if host.strip()]
    if "*" in given:
        raise HubOptionError(f"{PREFIX}ALLOWED_HOSTS must name hosts; * would trust any Host header")
    if listen_host and listen_host not in ("0.0.0.0", "::"):  # noqa: S104 - compared, never bound
        given.append(f"[{listen_host}]" if ":" in listen_host else listen_host)
    return tuple(dict.fromkeys([*given, *LOOPBACK_HOSTS]))


def _public_url(environment: Mapping[str, str]) -> str:
    value = environment.get(PREFIX + "PUBLIC_URL", "").rstrip("/")
    if value and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value):
        raise HubOptionError(f"{PREFIX}PUBLIC_URL must look like https://hub.example.com")
    return value


def _list_shape(environment: Mapping[str, str]) -> ListShape:
    value = environment.get(PREFIX + "LIST_SHAPE") or "page"
    if value not in get_args(ListShape):
        raise HubOptionError(f"{PREFIX}LIST_SHAPE must be one of {', '.join(get_args(ListShape))}")
    return cast(ListShape, value)


def _trusted_proxies(environment: Mapping[str, str]) -> tuple[str, ...]:
    given = [one.strip() for one in environment.get(PREFIX + "TRUSTED_PROXIES", "").split(",") if one.strip()]
    for one in given:
        try:
            ipaddress.ip_network(one)
        except ValueError:
            raise HubOptionError(
                f"{PREFIX}TRUSTED_PROXIES must list addresses or networks, such as 10.0.0.7,192.168.1.0/24"
            ) from None
    return tuple(given)


def _database_url(environment: Mapping[str, str]) -> str:
    url = _given(environment, "DATABASE_URL")
    if url and not re.match(r"postgres(ql)?://", url):
        raise HubOptionError(f"{PREFIX}DATABASE_URL must begin with postgresql://; without it the hub keeps SQLite")
    return url


def _secret(environment: Mapping[str, str], name: str, generated: Path) -> str:
    value = _given(environment, name) or read_or_create_secret(generated)
    if len(value) < SECRET_MIN_CHARACTERS:
        raise HubOptionError(f"{PREFIX}{name} must have at least {SECRET_MIN_CHARACTERS} characters")
    return value


def _given(environment: Mapping[str, str], name: str) -> str:
    """The option or what its file holds; empty when neither is given."""
    value, file = environment.get(PREFIX + name, ""), environment.get(f"{PREFIX}{name}_FILE")
    if value and file:
        raise HubOptionError(f"{PREFIX}{name} and {PREFIX}{name}_FILE are both given; keep one")
    if not file:
        return value
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError):
        raise HubOptionError(f"the file named by {PREFIX}{name}_FILE cannot be read") from None
