"""`python -m agent.hub record_contents INTEGRATION SLUG FIRST LAST [--taxonomy]`"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from agent.hub.integrations.contents import record_contents
from agent.hub.integrations.models import Content, SiteIntegration


class Command(BaseCommand):
    help = "Record items FIRST to LAST of a type as held, so that demos show a synced count."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("integration", type=int)
        parser.add_argument("slug")
        parser.add_argument("first", type=int)
        parser.add_argument("last", type=int)
        parser.add_argument("--taxonomy", action="store_true", help="the slug names a taxonomy")

    def handle(self, *args: Any, **options: Any) -> None:
        integration = SiteIntegration.objects.filter(pk=options["integration"]).first()
        if integration is None:
            raise CommandError("there is no such integration")
        family = Content.Family.TAXONOMY if options["taxonomy"] else Content.Family.POST_TYPE
        numbers = range(options["first"], options["last"] + 1)
        new = record_contents(integration, family=family, type_slug=options["slug"], external_ids=numbers)
        self.stdout.write(f"new={new}")
