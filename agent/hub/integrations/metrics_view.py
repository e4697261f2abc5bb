"""GET /metrics, for a monitor that carries an administrator's API key."""

from django.db.models import Min
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

import agent
from agent.hub.integrations.models import ApiKey, SyncRequest, User
from agent.hub.integrations.site_rows import number_by_state, sites_of
from agent.hub.integrations.syncing import open_requests
from agent.hub.metrics import MEDIA_TYPE, exposition


class IsAdministrator(BasePermission):
    message = "Metrics are for an administrator's API key."

    def has_permission(self, request: Request, view: object) -> bool:
        for_one_site = isinstance(request.auth, ApiKey) and request.auth.site_id is not None
        return isinstance(request.user, User) and request.user.is_superuser and not for_one_site


class MetricsView(APIView):
    """The numbers of all owners together. Behind a key, because a proxy on this machine is loopback too."""

    permission_classes = (IsAdministrator,)
    schema = None

    def get(self, request: Request) -> HttpResponse:
        now, sites = timezone.now(), sites_of(None)
        oldest = sites.aggregate(oldest=Min("last_structure_fetch"))["oldest"]
        text = exposition(
            number_by_state(sites, now),
            open_sync_requests=SyncRequest.objects.filter(open_requests(now)).count(),
            oldest_fetch_age_seconds=(now - oldest).total_seconds() if oldest else 0,
            version=agent.__version__,
        )
        return HttpResponse(text, content_type=MEDIA_TYPE)
