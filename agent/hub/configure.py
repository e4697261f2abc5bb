"""One hub a process: Django set up once, its database brought up to date."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import django
from django.conf import settings

from agent.hub.options import HubOptionError, HubOptions
from agent.hub.private_files import make_private_directory, make_private_file
from agent.hub.settings import databases, django_settings

T = TypeVar("T")


def configure(options: HubOptions) -> None:
    """Set Django up for these options; the second call for the same folder does nothing.

    Raises RuntimeError when this process already runs a hub in another folder: Django's settings
    are one per process. Raises HubOptionError for an address of a database that cannot be read.
    """
    database = databases(options)["default"]
    if settings.configured:
        if (settings.WPSA_HUB_DIR, settings.DATABASES["default"]["NAME"]) != (options.directory, database["NAME"]):
            raise RuntimeError("this process already runs a hub in another folder")
        return
    make_private_directory(options.directory)
    if not options.database_url:
        make_private_file(database["NAME"])
    settings.configure(**django_settings(options))
    django.setup()


def migrate() -> None:
    """Bring the database to the newest schema and drop what has expired.

    Raises HubOptionError when there is no database to bring anywhere, and Django's DatabaseError.
    """
    from django.contrib.sessions.models import Session
    from django.core.management import call_command
    from django.db import OperationalError, connection
    from django.utils import timezone
    from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

    try:
        connection.ensure_connection()
    except OperationalError:
        if connection.vendor == "sqlite":
            raise  # its folder was made a moment ago: the disk is full, or worse
        raise HubOptionError(
            "the hub's database does not answer, or does not let us in",
            hint="Check WPSA_HUB_DATABASE_URL and that PostgreSQL runs, or the folder of the hub.",
        ) from None
    call_command("migrate", interactive=False, verbosity=0)
    now = timezone.now()
    Session.objects.filter(expire_date__lt=now).delete()
    OutstandingToken.objects.filter(expires_at__lt=now).delete()


def in_own_thread(work: Callable[[], T]) -> T:
    """Run database work and leave no connection behind.

    Django refuses its ORM on a thread with a running event loop; a short-lived thread lets both
    a plain caller and one inside a loop prepare the hub.
    """
    from django.db import connections

    def run() -> T:
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="hub-prepare") as pool:
        return pool.submit(run).result()
