"""Which sites a command means: by name, by address, or all configured ones."""

from collections.abc import Sequence
from hashlib import sha256

from pydantic import ValidationError

from agent.errors import ConfigError, UsageError
from agent.kept import imported_site
from agent.settings import Settings, SiteSettings


def chosen_sites(settings: Settings, named: Sequence[str]) -> list[SiteSettings]:
    """The sites that were named, each once; raises UsageError or ConfigError."""
    if named:
        return list({site.called: site for site in (_named(settings, name) for name in named)}.values())
    if settings.all_sites:
        return list(settings.all_sites)
    raise ConfigError(
        "no site is configured",
        reason="config",
        hint="Set WPSA_SITE_URL, or write [[sites]] into a file that `wpsa config init` begins.",
    )


def shard_of(sites: Sequence[SiteSettings], number: int, of: int) -> list[SiteSettings]:
    """The share of one of so many machines, counted from 1: every site in one share, the same one every time."""
    return [site for site in sites if _digest(site.called) % of == number - 1]


def _digest(name: str) -> int:
    """Python's own hash() is salted anew in each process."""
    return int.from_bytes(sha256(name.encode()).digest()[:8], "big")


def _named(settings: Settings, name: str) -> SiteSettings:
    """A configured site by its name or address; any other address is a site of its own."""
    for site in settings.all_sites:
        if name in (site.called, site.name):
            return site
    if "://" not in name:
        if imported := imported_site(settings, name):
            return imported
        known = ", ".join(site.called for site in settings.all_sites[:10]) or "none"
        raise UsageError(
            f"no site is called {name!r} (configured: {known})",
            reason="usage",
            hint="Give a configured name, or an address that begins with https://",
        )
    try:
        asked = SiteSettings(url=name)
    except ValidationError as error:
        said = error.errors(include_input=False, include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise UsageError(
            f"the address {said}", reason="usage", hint="Give the site's whole public address."
        ) from None
    return next((site for site in settings.all_sites if site.url == asked.url), asked)
