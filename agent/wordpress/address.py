"""Addresses of a site, compared as WordPress means them."""

from urllib.parse import urlsplit

ADDRESS_LIMIT_CHARACTERS = 2_048


def identity(url: str) -> str:
    """What two spellings of one site share: host without www., port if unusual, path. No scheme.

    International names are compared in their ASCII form; an address that is none is its own identity.
    """
    try:
        parts = urlsplit(url.strip())
        host = (parts.hostname or "").removesuffix(".").removeprefix("www.")
        host = host if host.isascii() else host.encode("idna").decode("ascii")
        port = f":{parts.port}" if parts.port not in (None, 80, 443) else ""
    except ValueError:  # UnicodeError is one too
        return url
    return f"{host}{port}{parts.path.rstrip('/')}"


def is_web_address(text: str) -> bool:
    """Whether this can be asked, stored and shown as a site's address."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    printable = all(character.isprintable() and not character.isspace() for character in text)
    return parts.scheme in ("http", "https") and bool(host) and printable and len(text) <= ADDRESS_LIMIT_CHARACTERS


def host_of(url: str) -> str:
    """The host of an identity, port included: what must not differ for an address to be the same site's."""
    return identity(url).split("/", 1)[0]
