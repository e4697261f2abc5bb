"""The state that the settings name: a file of this machine, or a database that several machines share."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agent.errors import ConfigError
from agent.settings import Settings, SiteSettings
from agent.state.history import History
from agent.state.sites import Sites
from agent.state.store import read_store


def read_state(settings: Settings) -> History | None:
    """The state to look at; None when there is none yet. Raises StateError, and ConfigError without the extra."""
    if settings.state.url is not None:
        store = on_postgresql().read_fleet_store(address(settings))
    else:
        store = read_store(Path(settings.state.dir))
    return History(store) if store else None


def imported_site(settings: Settings, name: str) -> SiteSettings | None:
    """A site of the fleet's table, with its secrets; None where there is no fleet, or none of that name."""
    if settings.state.url is None:
        return None
    store = on_postgresql().read_fleet_store(address(settings))
    if store is None:
        return None
    try:
        said = Sites(store).settings_of(name)
    finally:
        store.close()
    return SiteSettings.model_validate_json(said) if said else None


def place_of(settings: Settings) -> str:
    """Where the state is, fit for a log."""
    if settings.state.url is None:
        return settings.state.dir
    parts = urlsplit(address(settings))
    return f"postgresql://{parts.hostname or ''}{parts.path}"


def address(settings: Settings, *, alone: str = "") -> str:
    """Of the shared state, with its password; raises ConfigError where none is named.

    alone   the verb that does the same for one machine
    """
    if settings.state.url is None:
        instead = f"; for one machine there is `{alone}`" if alone else ""
        raise ConfigError(
            "WPSA_STATE_URL is missing: a fleet shares a PostgreSQL",
            reason="config",
            hint=f"Set it to postgresql://user:password@host/database{instead}.",
        )
    return settings.state.url.get_secret_value()


def on_postgresql() -> Any:
    """The module that speaks to PostgreSQL: libpq is heavy, and an extra."""
    try:
        from agent.state import fleet_store
    except ImportError:
        raise ConfigError(
            "WPSA_STATE_URL is set, and what speaks to PostgreSQL is not installed",
            reason="config",
            hint="Install: pip install 'wp-structure-agent[fleet]'",
        ) from None
    return fleet_store
