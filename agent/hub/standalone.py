"""The hub alone: everything it needs before its first request, and what its operator does beside it."""

import os
import secrets
import sqlite3
from contextlib import closing
from pathlib import Path
from time import gmtime, strftime

from agent.hub.configure import configure, in_own_thread, migrate
from agent.hub.middleware import Application, build_application
from agent.hub.options import HubOptionError, HubOptions
from agent.hub.private_files import make_private_file
from agent.hub.settings import databases

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


def make_administrator(directory: Path, email: str) -> str:
    """The random password of a new administrator, kept nowhere in clear; raises HubOptionError."""
    configure(HubOptions.from_environment(os.environ, directory=directory))
    return in_own_thread(lambda: _make_administrator(email))


def _make_administrator(email: str) -> str:
    from django.core.exceptions import ValidationError
    from django.core.validators import validate_email

    from agent.hub.integrations.models import User

    migrate()
    try:
        validate_email(email)
    except ValidationError:
        raise HubOptionError("that is no e-mail address", hint="wpsa hub createsuperuser ops@example.com") from None
    if User.objects.filter(email=email.lower()).exists():
        raise HubOptionError(
            "somebody has that e-mail address already",
            hint="To give them another password: python -m agent.hub changepassword EMAIL",
        )
    password = secrets.token_urlsafe(18)
    User.objects.create_superuser(email, password)
    return password


def back_up(directory: Path, file: Path | None) -> Path:
    """Copy the SQLite database to a new file, mode 0600, as it is at one moment; returns the file.

    The hub may run meanwhile: SQLite copies page by page and begins again when one changes.
    Raises HubOptionError when there is no such database, or the file is there already.
    """
    options = HubOptions.from_environment(os.environ, directory=directory)
    if options.database_url:
        raise HubOptionError(
            "the hub's database is PostgreSQL", hint="Back it up by its own means: pg_dump --format=custom"
        )
    database = Path(databases(options)["default"]["NAME"])
    if not database.is_file():
        raise HubOptionError(f"there is no hub in {directory}", hint="Name its folder: WPSA_HUB_DIR")
    file = file or Path(strftime("hub-%Y%m%dT%H%M%SZ.sqlite3", gmtime()))
    if file.exists():
        raise HubOptionError(f"{file} is there already", hint="Name a new file, or move that one away.")
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        make_private_file(draft)
        with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(draft)) as copy:
            source.backup(copy)
        draft.replace(file)
    except OSError as error:
        raise HubOptionError(f"{file} cannot be written ({error.strerror})", hint="Name another file.") from None
    finally:
        draft.unlink(missing_ok=True)
    return file
