"""The root of all paths, and what answers when none fits."""

from django.urls import include, path

from agent.hub.integrations.admin import admin_site
from agent.hub.integrations.metrics_view import MetricsView
from agent.hub.readiness import ready

urlpatterns = [
    path("admin/", admin_site.urls),
    path("readyz", ready),
    path("metrics", MetricsView.as_view(), name="metrics"),
    path("", include("agent.hub.integrations.urls")),
]

handler400 = "agent.hub.refusals.bad_request"
handler403 = "agent.hub.refusals.forbidden"
handler404 = "agent.hub.refusals.not_found"
handler500 = "agent.hub.refusals.server_error"
