"""The hub inside the agent: nothing to install, nothing to type."""

import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agent.hub.configure import configure, in_own_thread, migrate
from agent.hub.middleware import Application, build_application
from agent.hub.options import HubOptions
from agent.hub.private_files import write_private

OWNER_EMAIL = "owner@localhost"
API_KEY_FILE = "agent-api-key"


@dataclass(frozen=True, slots=True)
class Embedded:
    """A hub that is ready to be served."""

    application: Application
    """ASGI; needs no lifespan events."""
    api_key: str = field(repr=False)
    """The agent's own bearer; the same at every start until it is revoked."""
    site_ids: Mapping[str, int]
    """Name → id, for each site that was given."""
    sign_in: tuple[str, str] | None = field(default=None, repr=False)
    """E-mail and password of the pages, once: when they are not open and nobody could sign in yet."""


def prepare(
    directory: Path,
    *,
    sites: Mapping[str, str],
    listen: str,
    open_pages: bool = True,
    on_sync_asked: Callable[[int], None] | None = None,
) -> Embedded:
    """Make a hub in this folder know these sites (name → URL).

    Safe to repeat: what exists is used again, a changed URL is taken over, a site that is no
    longer given stays with its history. Open pages are honoured on loopback only.

    on_sync_asked   is called with an integration's id when somebody asks for a sync; from a thread of the hub

    Raises HubOptionError for an unsafe option, RuntimeError for a second folder in one process.
    """
    options = HubOptions.from_environment(os.environ, directory=directory, listen=listen, open_pages=open_pages)
    configure(options)
    application = build_application()
    if on_sync_asked is not None:
        _tell(on_sync_asked)
    return in_own_thread(lambda: _register(application, options, sites))


def _tell(on_sync_asked: Callable[[int], None]) -> None:
    from agent.hub.integrations.syncing import sync_asked

    def receive(sender: object, integration_id: int, **_: object) -> None:
        on_sync_asked(integration_id)

    # The name replaces the listener of an earlier start in this process.
    sync_asked.disconnect(dispatch_uid="embedded")
    sync_asked.connect(receive, weak=False, dispatch_uid="embedded")


def _register(application: Application, options: HubOptions, sites: Mapping[str, str]) -> Embedded:
    from agent.hub.integrations.models import User

    migrate()
    owner = User.objects.filter(email=OWNER_EMAIL).first() or User.objects.create_user(OWNER_EMAIL, None)
    return Embedded(
        application=application,
        api_key=_own_api_key(owner, options.directory / API_KEY_FILE),
        site_ids={name: _connect_site(owner, name, url) for name, url in sites.items()},
        sign_in=None if options.open_pages else _first_sign_in(owner),
    )


def _connect_site(owner: object, name: str, url: str) -> int:
    from agent.hub.integrations.models import Site

    site = Site.connect(owner, name=name, url=url)
    return int(site.pk)


def _own_api_key(owner: object, file: Path) -> str:
    """The key kept in the file, or a new one when the file is gone or its key was revoked."""
    from agent.hub.integrations.models import ApiKey

    try:
        kept = file.read_text(encoding="ascii").strip()
    except (FileNotFoundError, UnicodeError):
        kept = ""
    if kept and ApiKey.find(kept) is not None:
        return kept
    ApiKey.objects.filter(owner=owner, label=API_KEY_FILE).delete()
    key = ApiKey.issue(owner, label=API_KEY_FILE)
    write_private(file, key + "\n")
    return key


def _first_sign_in(owner: object) -> tuple[str, str] | None:
    from agent.hub.integrations.models import User

    assert isinstance(owner, User)
    if owner.has_usable_password():
        return None
    password = secrets.token_urlsafe(18)
    owner.set_password(password)
    owner.save(update_fields=["password"])
    return owner.email, password
