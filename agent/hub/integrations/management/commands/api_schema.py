"""`python -m agent.hub api_schema`"""

import json
from typing import Any

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Print the OpenAPI document of the API."

    def handle(self, *args: Any, **options: Any) -> None:
        from agent.hub.integrations.openapi import document

        self.stdout.write(json.dumps(document(), indent=2))
