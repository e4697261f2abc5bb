"""What agents and content stores report about an integration, and what people ask of it."""

from typing import Any

from django.db import transaction
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from agent.hub.integrations.answers import RunSerializer, SyncRequestSerializer
from agent.hub.integrations.contents import forget_contents, record_contents
from agent.hub.integrations.models import FAMILIES
from agent.hub.integrations.serializers import ContentsSerializer, RunReportSerializer, SyncReportSerializer
from agent.hub.integrations.syncing import SyncRequestClosed, ask_for_sync, newest_runs, record_run, report_sync
from agent.hub.integrations.views import owned_or_404


class NothingOpen(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_detail = "This request has ended, or was never made."


class SyncRequestView(APIView):
    """POST asks for a sync now → 202; PATCH says how far the agent is → 200, or 409 when that request has ended."""

    def post(self, request: Request, integration_id: int) -> Response:
        asked = ask_for_sync(owned_or_404(request, integration_id), request.user)
        return Response(SyncRequestSerializer(asked).data, status=status.HTTP_202_ACCEPTED)

    def patch(self, request: Request, integration_id: int) -> Response:
        integration = owned_or_404(request, integration_id)
        report = _valid(SyncReportSerializer, request)
        try:
            reported = report_sync(integration, report.pop("id"), **report)
        except SyncRequestClosed:
            raise NothingOpen from None
        return Response(SyncRequestSerializer(reported).data)


class RunsView(APIView):
    """POST how a run ended → 201, or 200 when it was reported before; GET the newest ones."""

    def post(self, request: Request, integration_id: int) -> Response:
        integration = owned_or_404(request, integration_id)
        run, is_new = record_run(integration, _valid(RunReportSerializer, request))
        return Response(RunSerializer(run).data, status=201 if is_new else 200)

    def get(self, request: Request, integration_id: int) -> Response:
        return Response(RunSerializer(newest_runs(owned_or_404(request, integration_id)), many=True).data)


class ContentsView(APIView):
    """POST the items that are held of each type, DELETE those that no longer are; → how many that changed."""

    def post(self, request: Request, integration_id: int) -> Response:
        return self._change(request, integration_id, record_contents)

    def delete(self, request: Request, integration_id: int) -> Response:
        return self._change(request, integration_id, forget_contents)

    @transaction.atomic
    def _change(self, request: Request, integration_id: int, change: Any) -> Response:
        integration = owned_or_404(request, integration_id)
        named = _valid(ContentsSerializer, request)
        changed = {
            key: {
                slug: change(integration, family=family, type_slug=slug, external_ids=ids)
                for slug, ids in named.get(key, {}).items()
            }
            for key, family in FAMILIES.items()
        }
        return Response(changed)


def _valid(serializer_class: Any, request: Request) -> dict[str, Any]:
    serializer = serializer_class(data=request.data)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)
