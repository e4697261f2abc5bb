"""`python -m agent.hub create_api_key --owner EMAIL [--label TEXT]`"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from agent.hub.integrations.models import ApiKey, User


class Command(BaseCommand):
    help = "Make an API key for an owner and print it, for the only time."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--owner", required=True, help="e-mail address of the key's owner")
        parser.add_argument("--label", default="", help="what the key is for")

    def handle(self, *args: Any, **options: Any) -> None:
        owner = User.objects.filter(email=options["owner"].lower()).first()
        if owner is None:
            raise CommandError("there is no such owner; see createsuperuser")
        self.stdout.write(ApiKey.issue(owner, label=options["label"]))
