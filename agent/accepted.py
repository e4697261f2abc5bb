"""What options accept: each kind of value with the words in which a wrong one is refused, never quoting it."""

import re
from datetime import time
from typing import Annotated
from urllib.parse import urlsplit, urlunsplit
from zoneinfo import available_timezones

from pydantic import AfterValidator, SecretStr


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


def _listen_address_or_off(text: str) -> str:
    return text if text == "off" else _listen_address(text)


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


def _secret_url(secret: SecretStr) -> SecretStr:
    """An http(s) address whose path or query is the key; a user in it would be a second one."""
    text = secret.get_secret_value().strip()
    _http_url(re.split("[?#]", text)[0])
    if "#" in text or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be an address without spaces and #")
    return SecretStr(text)


def _database_url(secret: SecretStr) -> SecretStr:
    """A PostgreSQL's address, whose password is one more secret."""
    try:
        parts = urlsplit(secret.get_secret_value().strip())
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("postgresql", "postgres") or not (parts.hostname or "host=" in parts.query):
        raise ValueError("is not an address such as postgresql://user:password@host/database")
    return SecretStr(secret.get_secret_value().strip())


def _api_path(path: str) -> str:
    if not re.fullmatch(r"/([A-Za-z0-9_.-]+/)*", path):
        raise ValueError("is not a path such as /api/v1/auth/login/, with a slash at both ends")
    return path


def _wall_time(at: time) -> time:
    if at.tzinfo is not None:
        raise ValueError("must be a time without a zone; the zone is WPSA_SCHEDULE_TIMEZONE")
    return at


HttpUrl = Annotated[str, AfterValidator(_http_url)]
RestRootUrl = Annotated[str, AfterValidator(_rest_root)]
ListenAddress = Annotated[str, AfterValidator(_listen_address)]
ListenAddressOrOff = Annotated[str, AfterValidator(_listen_address_or_off)]
Text = Annotated[str, AfterValidator(_not_blank)]
Secret = Annotated[SecretStr, AfterValidator(_not_blank_secret)]
SecretUrl = Annotated[SecretStr, AfterValidator(_secret_url)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]
Key = Annotated[Secret, AfterValidator(_header_secret)]
WallTime = Annotated[time, AfterValidator(_wall_time)]
ApiPath = Annotated[str, AfterValidator(_api_path)]
ZoneName = Annotated[str, AfterValidator(_zone)]
