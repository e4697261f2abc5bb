"""How somebody on this machine finds the daemon's endpoint, and proves that he may ask it."""

import secrets
from dataclasses import dataclass, field
from pathlib import Path

from agent.errors import StateError
from agent.settings import Settings
from agent.state.files import own_file, unwritable

TOKEN_FILE = "ops-token"  # noqa: S105 - its name
"""Made at the first start, kept from then on; only where the settings name none."""
ADDRESS_FILE = "ops-address"
"""There while the daemon listens."""


@dataclass(frozen=True, slots=True)
class Access:
    url: str
    token: str = field(repr=False)


def token_of(settings: Settings, folder: Path) -> str:
    """The token that the settings name, else the one in the state's folder, made at need. Raises StateError."""
    return _configured(settings) or _read(folder / TOKEN_FILE) or _write(folder / TOKEN_FILE, secrets.token_urlsafe(32))


def announce(folder: Path, url: str) -> None:
    """Let commands on this machine find the endpoint. Raises StateError."""
    _write(folder / ADDRESS_FILE, url)


def withdraw(folder: Path) -> None:
    """Whoever listens at that address later must not be given our token."""
    (folder / ADDRESS_FILE).unlink(missing_ok=True)


def find_access(settings: Settings, folder: Path) -> Access | None:
    """How to ask the daemon that owns this folder; None when it listens nowhere, or its token is not ours to read."""
    url, token = _read(folder / ADDRESS_FILE), _configured(settings) or _read(folder / TOKEN_FILE)
    return Access(url, token) if url and token else None


def _configured(settings: Settings) -> str | None:
    return settings.ops.token.get_secret_value() if settings.ops.token else None


def _read(file: Path) -> str | None:
    try:
        return file.read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeError):
        return None


def _write(file: Path, text: str) -> str:
    """Whole or not at all, and nobody else's to read from the first byte on."""
    new = file.with_name(f"{file.name}.new")
    try:
        own_file(new)
        new.write_text(text + "\n", encoding="ascii")
        new.replace(file)
    except StateError:
        raise
    except OSError as error:
        raise unwritable(file, error) from None
    return text
