"""The API: log in, list, push, read back. Every query is scoped to its owner; a stranger's row is 404."""

import hashlib
import re
from typing import Any

from django.db.models import Prefetch, QuerySet
from django.utils import timezone
from rest_framework.exceptions import ValidationError
from rest_framework.generics import ListAPIView, RetrieveAPIView, get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.views import TokenViewBase

from agent.backend.contract import CAPABILITIES_HEADER, GENERATION_HEADER, IDEMPOTENCY_KEY_HEADER
from agent.hub.integrations.answers import CAPABILITIES, IntegrationDetailSerializer, IntegrationSerializer
from agent.hub.integrations.contents import count_synced
from agent.hub.integrations.intake import Push, take_in
from agent.hub.integrations.models import FAMILIES, ApiKey, SiteIntegration, SyncRequest
from agent.hub.integrations.serializers import LoginSerializer, RefreshSerializer, structure_of
from agent.hub.integrations.syncing import open_requests


class LoginView(TokenViewBase):
    """POST {"email", "password"} → {"access", "refresh"}; 401, or 429 with Retry-After."""

    serializer_class = LoginSerializer


class RefreshView(TokenViewBase):
    """POST {"refresh"} → {"access", "refresh"}; 401 for one that was used, expired or revoked."""

    serializer_class = RefreshSerializer


class IntegrationListView(ListAPIView[SiteIntegration]):
    """GET ?site=&platform=&sync_request=open → the caller's integrations, in the configured shape."""

    serializer_class = IntegrationSerializer

    def get_queryset(self) -> QuerySet[SiteIntegration]:
        rows = listed(owned_integrations(self.request)).order_by("pk")
        query = self.request.query_params
        if (site := query.get("site")) is not None:
            rows = rows.filter(site_id=_row_id(site))
        if (platform := query.get("platform")) is not None:
            rows = rows.filter(platform=platform)
        if (wanted := query.get("sync_request")) is not None:
            if wanted != "open":
                raise ValidationError({"sync_request": ["Must be: open."]})
            waiting = SyncRequest.objects.filter(open_requests(timezone.now()))
            rows = rows.filter(pk__in=waiting.values("integration"))
        return rows


class IntegrationView(RetrieveAPIView[SiteIntegration]):
    """GET → the same row, with what people chose per content type in `type_settings`."""

    serializer_class = IntegrationDetailSerializer
    lookup_url_kwarg = "integration_id"

    def get_queryset(self) -> QuerySet[SiteIntegration]:
        return listed(owned_integrations(self.request)).defer(None)


class UpdateStructureView(APIView):
    """POST the document → 200 with what was taken in; 400, 409 (older) or 422 (key reused)."""

    def post(self, request: Request, integration_id: int) -> Response:
        # The bytes first: once REST framework has parsed its stream, they are gone.
        body_sha256 = hashlib.sha256(request.body).hexdigest()
        push = Push(
            document=structure_of(request.data),
            body_sha256=body_sha256,
            idempotency_key=_idempotency_key(request),
            generation=_generation(request),
        )
        answer = take_in(owned_integrations(request), integration_id, push, received_at=timezone.now())
        return Response(answer, headers={CAPABILITIES_HEADER: ", ".join(CAPABILITIES)})


class ContentTypesView(APIView):
    """GET → post_types and taxonomies, each entry with its synced_count, and last_structure_fetch."""

    def get(self, request: Request, integration_id: int) -> Response:
        integration = get_object_or_404(owned_integrations(request).only("config_json"), pk=integration_id)
        known = integration.config_json.get("content_types", {})
        synced = count_synced(integration)
        return Response(
            {
                **{key: _with_synced(known.get(key, {}), synced.get(family, {})) for key, family in FAMILIES.items()},
                "last_structure_fetch": known.get("last_structure_fetch"),
            }
        )


def owned_integrations(request: Request) -> QuerySet[SiteIntegration]:
    """The only way the API reaches integrations: the owner's, or the one site that a key is for."""
    rows = SiteIntegration.objects.filter(site__owner=request.user)
    if isinstance(request.auth, ApiKey) and request.auth.site_id is not None:
        rows = rows.filter(site_id=request.auth.site_id)
    return rows


def owned_or_404(request: Request, integration_id: int) -> SiteIntegration:
    """The caller's integration without its document; a stranger's is as unknown as one that never was."""
    return get_object_or_404(owned_integrations(request).defer("config_json", "receipts"), pk=integration_id)


def listed(rows: QuerySet[SiteIntegration]) -> QuerySet[SiteIntegration]:
    """What one row of a listing needs, and no document."""
    waiting = SyncRequest.objects.filter(open_requests(timezone.now()))
    prefetch = Prefetch("sync_requests", queryset=waiting, to_attr="waiting")
    return rows.select_related("site").defer("config_json", "receipts").prefetch_related(prefetch)


def _with_synced(entries: dict[str, Any], synced: Any) -> dict[str, Any]:
    return {slug: {**entry, "synced_count": synced.get(slug, 0)} for slug, entry in entries.items()}


def _row_id(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,18}", text) is None:
        raise ValidationError({"site": ["Must be the number of a site."]})
    return int(text)


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get(IDEMPOTENCY_KEY_HEADER)
    if key is not None and re.fullmatch(r"[\x21-\x7e]{1,255}", key) is None:
        raise ValidationError({IDEMPOTENCY_KEY_HEADER: ["Must be 1 to 255 visible ASCII characters."]})
    return key


def _generation(request: Request) -> int | None:
    text = request.headers.get(GENERATION_HEADER)
    if text is None:
        return None
    if re.fullmatch(r"[0-9]{1,18}", text) is None:
        raise ValidationError({GENERATION_HEADER: ["Must be 1 to 18 digits."]})
    return int(text)
