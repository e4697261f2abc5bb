"""Who may see a page, and whose sites are on it."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, cast

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port
from django.shortcuts import get_object_or_404

from agent.backend.contract import PLATFORM
from agent.hub.integrations.models import SiteIntegration
from agent.hub.options import LOOPBACK_HOSTS

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def are_open(request: HttpRequest) -> bool:
    """Whether the pages answer to anybody.

    Open means addressed as loopback too, so that a proxy in front, or a foreign name that
    resolves to 127.0.0.1, does not open them to the world.
    """
    host, _ = split_domain_port(request.get_host())
    return bool(settings.WPSA_HUB_OPEN_PAGES) and host in LOOPBACK_HOSTS


def for_readers(view: View[P]) -> View[P]:
    """A page of a site: for its owner, and for everybody on this machine where pages are open.

    What it lets such a stranger do (ask for a sync, choose fetch limits) stays on this machine and can be undone.
    """
    return _guarded(view, lambda request: request.user.is_authenticated or are_open(request))


def for_owners(view: View[P]) -> View[P]:
    """A page that hands out keys: for who has signed in, and nobody else."""
    return _guarded(view, lambda request: request.user.is_authenticated)


def _guarded(view: View[P], may: Callable[[HttpRequest], bool]) -> View[P]:
    @wraps(view)
    def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if may(request):
            return view(request, *args, **kwargs)
        # After signing in a page is opened, never a form sent again.
        return redirect_to_login(request.get_full_path() if request.method in ("GET", "HEAD") else "/")

    return cast("View[P]", guarded)


def visible_integrations(request: HttpRequest) -> QuerySet[SiteIntegration]:
    """The only way the pages reach integrations: the user's own, or all where pages are open."""
    rows = SiteIntegration.objects.filter(platform=PLATFORM)
    return rows.filter(site__owner=request.user) if request.user.is_authenticated else rows


def visible_integration(request: HttpRequest, site_id: int) -> SiteIntegration:
    """That site's integration with its site; a stranger's is unknown (404)."""
    return get_object_or_404(visible_integrations(request).select_related("site"), site_id=site_id)
