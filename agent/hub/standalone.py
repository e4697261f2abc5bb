"""The hub alone: everything it needs before its first request."""

import os
import secrets
from pathlib import Path

from agent.hub.configure import configure, in_own_thread, migrate
from agent.hub.middleware import Application, build_application
from agent.hub.options import HubOptions

FIRST_ADMIN_EMAIL = "admin@localhost"


def prepare(directory: Path, listen: str) -> tuple[Application, tuple[str, str] | None]:
    """Migrate, and at the very first start make an administrator.

    Returns the ASGI application and, once in the hub's life, the administrator's e-mail and random
    password: show it to the person who started the hub, it is kept nowhere in clear.
    Raises HubOptionError for an option that is missing or unsafe.
    """
    configure(HubOptions.from_environment(os.environ, directory=directory, listen=listen))
    return build_application(), in_own_thread(_migrate_and_make_first_admin)


def _migrate_and_make_first_admin() -> tuple[str, str] | None:
    from agent.hub.integrations.models import User

    migrate()
    if User.objects.exists():
        return None
    password = secrets.token_urlsafe(18)
    User.objects.create_superuser(FIRST_ADMIN_EMAIL, password)
    return FIRST_ADMIN_EMAIL, password
