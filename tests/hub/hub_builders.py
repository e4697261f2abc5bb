"""What the hub's tests arrange: documents and tenants, each test with its own."""

import itertools
from dataclasses import dataclass
from typing import Any

_numbers = itertools.count(1)


def an_entry(label: str = "Posts", count: int = 123, **changes: Any) -> dict[str, Any]:
    return {"label": label, "count": count, "enabled": True, "fetch_limit": 100, **changes}


def a_document(**changes: Any) -> dict[str, Any]:
    """The document of one push, as an agent sends it."""
    return {
        "site_url": "https://shop.example",
        "wordpress_version": "7.1.4",
        "timestamp": "2026-11-21T10:00:00Z",
        "post_types": {"post": an_entry(), "page": an_entry("Pages", 12)},
        "taxonomies": {"category": an_entry("Categories", 9)},
        "plugin_connection_enabled": True,
        "two_way_sync_enabled": True,
        **changes,
    }


@dataclass(frozen=True)
class Tenant:
    """One owner with one site, connected to WordPress."""

    user: Any
    email: str
    password: str
    api_key: str
    site: Any
    integration: Any

    @property
    def push_path(self) -> str:
        return f"/api/v1/integration/integrations/{self.integration.pk}/update-structure/"

    @property
    def read_path(self) -> str:
        return f"/api/v1/integration/integrations/{self.integration.pk}/content-types/"


def a_tenant(**site: str) -> Tenant:
    from agent.hub.integrations.models import ApiKey, Site, User

    number = next(_numbers)
    email, password = f"owner{number}@example.com", f"correct horse {number}"
    user = User.objects.create_user(email, password)
    site_row = Site.connect(user, name=site.get("name", "Shop"), url=site.get("url", "https://shop.example"))
    return Tenant(user, email, password, ApiKey.issue(user), site_row, site_row.integrations.get())
