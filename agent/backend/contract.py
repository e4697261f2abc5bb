"""The whole agreement between an agent and a backend, on one screen and without I/O.

The client (`backend/client`), the hub and the contract tests import these names, so that the
three cannot drift apart.
"""

from dataclasses import dataclass
from typing import Final

PLATFORM: Final = "wordpress"

LOGIN_PATH: Final = "/api/v1/auth/login/"
REFRESH_PATH: Final = "/api/v1/auth/refresh/"
INTEGRATIONS_PATH: Final = "/api/v1/integration/integrations/"

IDEMPOTENCY_KEY_HEADER: Final = "Idempotency-Key"
"""The same for every try of one owed document, another for the next document, even an equal one."""
GENERATION_HEADER: Final = "X-Structure-Generation"
"""The ever-growing number of a site's documents: a backend that knows it refuses an older one with 409."""

PAGES_LIMIT: Final = 50
"""Pages of integrations a client reads before it calls the listing endless."""
BODY_LIMIT_BYTES: Final = 3 * 1024 * 1024
"""The largest document that a backend has to take, and the largest answer that a client reads."""
ENTRIES_LIMIT: Final = 2_000
"""Post types, and as many taxonomies, in one document."""
LABEL_LIMIT_CHARACTERS: Final = 300
SLUG_LIMIT_CHARACTERS: Final = 64
INTEGRATION_ID_PATTERN: Final = r"[A-Za-z0-9-]{1,64}"
"""What an integration's id may look like, as text, before it becomes a part of a path."""

DOCUMENT_KEYS: Final = (
    "site_url",
    "wordpress_version",
    "timestamp",
    "post_types",
    "taxonomies",
    "plugin_connection_enabled",
    "two_way_sync_enabled",
)
ENTRY_KEYS: Final = ("label", "count", "enabled", "fetch_limit")


@dataclass(frozen=True, slots=True)
class Paths:
    """Where a backend keeps its API; the defaults are the contract's."""

    login: str = LOGIN_PATH
    refresh: str = REFRESH_PATH
    integrations: str = INTEGRATIONS_PATH

    def update_structure(self, integration_id: str) -> str:
        """integration_id   of INTEGRATION_ID_PATTERN, so it cannot leave its segment of the path"""
        return f"{self.integrations}{integration_id}/update-structure/"

    def content_types(self, integration_id: str) -> str:
        return f"{self.integrations}{integration_id}/content-types/"
