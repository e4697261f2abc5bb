"""What was, and how it goes: history, differences, health."""

from functools import cache
from typing import Any

from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from agent.hub.integrations.answers import health_of, history_line
from agent.hub.integrations.history import changes_since, history_of
from agent.hub.integrations.intake import iso
from agent.hub.integrations.listing import from_public_url
from agent.hub.integrations.views import owned_or_404
from agent.hub.integrations.wire_fields import moment_of


class HistoryView(APIView):
    """GET ?page= → structures, the newest first, each with what changed since the one before."""

    def get(self, request: Request, integration_id: int) -> Response:
        integration = owned_or_404(request, integration_id)
        wanted = request.query_params.get("page", "1")
        page = history_of(integration, page=int(wanted) if wanted.isdecimal() and len(wanted) < 10 else 0)
        if str(page.number) != wanted:
            raise NotFound("There is no such page.")
        return Response(
            {
                "count": page.total,
                "next": _link(request, page.number + 1) if page.number < page.pages else None,
                "previous": _link(request, page.number - 1) if page.number > 1 else None,
                "results": [history_line(entry) for entry in page.entries],
            }
        )


class SnapshotView(APIView):
    """GET → one structure of the history as it was pushed."""

    def get(self, request: Request, integration_id: int, snapshot_id: int) -> Response:
        snapshots = owned_or_404(request, integration_id).snapshots
        return Response(get_object_or_404(snapshots.all(), pk=snapshot_id).document)


class DiffView(APIView):
    """GET ?since= → what changed from the structure of that time to the newest; without it, from the one before."""

    def get(self, request: Request, integration_id: int) -> Response:
        integration = owned_or_404(request, integration_id)
        since = request.query_params.get("since")
        older, newer, changes = changes_since(integration, _moment(since) if since is not None else None)
        return Response(
            {
                "older_received_at": iso(older.received_at) if older else None,
                "newer_received_at": iso(newer.received_at) if newer else None,
                "changes": [change.as_json() for change in changes],
            }
        )


class HealthView(APIView):
    """GET → fresh, stale, failing or never, and why."""

    def get(self, request: Request, integration_id: int) -> Response:
        return Response(health_of(owned_or_404(request, integration_id)))


class SchemaView(APIView):
    """GET → the OpenAPI document, for everybody: it tells nothing about anybody's sites."""

    authentication_classes = ()
    permission_classes = ()
    schema = None

    def get(self, request: Request) -> Response:
        return Response(_document())


@cache
def _document() -> dict[str, Any]:
    # drf-spectacular is read in only where somebody asks.
    from agent.hub.integrations.openapi import document

    return document()


def _moment(text: str) -> Any:
    try:
        # In a query a plus sign means a space.
        return moment_of(text.replace(" ", "+"))
    except ValidationError as error:
        raise ValidationError({"since": error.detail}) from None


def _link(request: Request, number: int) -> str | None:
    return from_public_url(replace_query_param(request.build_absolute_uri(), "page", str(number)))
