"""The three shapes of a list of integrations that are in the wild."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from rest_framework.pagination import PageNumberPagination
from rest_framework.response import Response


class PagePagination(PageNumberPagination):
    """{"count", "next", "previous", "results"}."""

    page_size = 100

    def get_next_link(self) -> str | None:
        return from_public_url(super().get_next_link())

    def get_previous_link(self) -> str | None:
        return from_public_url(super().get_previous_link())


class ListPagination(PagePagination):
    """A bare list, whole: it has no place for a link to the rest."""

    page_size = 5_000

    def get_paginated_response(self, data: Any) -> Response:
        return Response(data)

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return schema


class EnvelopePagination(PagePagination):
    """{"success": true, "data": a page}."""

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"success": True, "data": super().get_paginated_response(data).data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        page = super().get_paginated_response_schema(schema)
        success = {"type": "boolean"}
        return {"type": "object", "required": ["success", "data"], "properties": {"success": success, "data": page}}


def from_public_url(link: str | None) -> str | None:
    """Behind a proxy the request's own host is the proxy's business, not the client's."""
    if link is None or not settings.WPSA_HUB_PUBLIC_URL:
        return link
    parts = urlsplit(link)
    return f"{settings.WPSA_HUB_PUBLIC_URL}{parts.path}?{parts.query}"
