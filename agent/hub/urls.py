"""The root of all paths, and what answers when none fits."""

from django.urls import include, path

urlpatterns = [path("", include("agent.hub.integrations.urls"))]

handler400 = "agent.hub.refusals.bad_request"
handler403 = "agent.hub.refusals.forbidden"
handler404 = "agent.hub.refusals.not_found"
handler500 = "agent.hub.refusals.server_error"
