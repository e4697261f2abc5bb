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

# What a backend may offer besides, named in the `capabilities` of its integrations; what is not named is left alone.
CAPABILITIES_HEADER: Final = "X-Capabilities"
"""The same words, with commas, in the answer to a push: who was told the id of an integration never looks it up."""
SYNC_REQUESTS: Final = "sync-requests"
"""A row's `sync_request` is null or {"id", "requested_at", "state"}: somebody wants this site synced now.

`GET …/integrations/?sync_request=open` lists only such rows; the agent says how it goes with
`PATCH …/{id}/sync-request/` {"id", "state": "running" | "done" | "failed"[, "message", "hint"]} → 200, or 409 when
that request has ended.
"""
RUNS: Final = "runs"
"""`POST …/{id}/runs/` {"started_at", "finished_at", "result"[, "reason", "message", "hint"]} → 201; the same run
(by its start) again → 200."""
TYPE_SETTINGS: Final = "type-settings"
"""`GET …/{id}/` has `type_settings`: {"post_types": {slug: {"enabled", "fetch_limit"}}, "taxonomies": {…}}, what
people chose in the backend; the next push says the same."""
RUN_RESULTS: Final = ("delivered", "pending", "held", "unreadable", "crashed", "interrupted")
REASON_LIMIT_CHARACTERS: Final = 64
MESSAGE_LIMIT_CHARACTERS: Final = 2_000
"""Of a `message` or `hint`; a longer one is refused."""


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

    def integration(self, integration_id: str) -> str:
        """The row of the listing, with its `type_settings`."""
        return f"{self.integrations}{integration_id}/"

    def sync_request(self, integration_id: str) -> str:
        return f"{self.integrations}{integration_id}/sync-request/"

    def runs(self, integration_id: str) -> str:
        return f"{self.integrations}{integration_id}/runs/"
