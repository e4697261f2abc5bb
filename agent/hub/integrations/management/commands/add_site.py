"""`python -m agent.hub add_site NAME URL --owner EMAIL`"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from agent.hub.integrations.models import Site, User


class Command(BaseCommand):
    help = "Connect a site (or change its URL) and print the ids an agent is configured with."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("url")
        parser.add_argument("--owner", required=True, help="e-mail address of the site's owner")

    def handle(self, *args: Any, **options: Any) -> None:
        owner = User.objects.filter(email=options["owner"].lower()).first()
        if owner is None:
            raise CommandError("there is no such owner; see createsuperuser")
        site = Site.connect(owner, name=options["name"], url=options["url"])
        self.stdout.write(f"site_id={site.pk} integration_id={site.integrations.get().pk}")
