"""Two doors: the contract's API, and the pages."""

from django.urls import include, path, register_converter
from django.urls.converters import IntConverter

from agent.backend.contract import INTEGRATIONS_PATH, LOGIN_PATH, REFRESH_PATH
from agent.hub.integrations import past_views, report_views, views


class RowIdConverter(IntConverter):
    """Digits that fit a database's integer: more of them are an unknown path, not an error inside."""

    regex = "[0-9]{1,18}"


register_converter(RowIdConverter, "row")

_ONE = f"{INTEGRATIONS_PATH}<row:integration_id>/".lstrip("/")

urlpatterns = [
    path(LOGIN_PATH.lstrip("/"), views.LoginView.as_view(), name="login"),
    path(REFRESH_PATH.lstrip("/"), views.RefreshView.as_view(), name="refresh"),
    path(INTEGRATIONS_PATH.lstrip("/"), views.IntegrationListView.as_view(), name="integrations"),
    path(_ONE, views.IntegrationView.as_view(), name="integration"),
    path(f"{_ONE}update-structure/", views.UpdateStructureView.as_view(), name="update-structure"),
    path(f"{_ONE}content-types/", views.ContentTypesView.as_view(), name="content-types"),
    path(f"{_ONE}contents/", report_views.ContentsView.as_view(), name="contents"),
    path(f"{_ONE}sync-request/", report_views.SyncRequestView.as_view(), name="sync-request"),
    path(f"{_ONE}runs/", report_views.RunsView.as_view(), name="runs"),
    path(f"{_ONE}history/", past_views.HistoryView.as_view(), name="history"),
    path(f"{_ONE}history/<row:snapshot_id>/", past_views.SnapshotView.as_view(), name="snapshot"),
    path(f"{_ONE}diff/", past_views.DiffView.as_view(), name="diff"),
    path(f"{_ONE}health/", past_views.HealthView.as_view(), name="health"),
    path("api/v1/schema/", past_views.SchemaView.as_view(), name="schema"),
    path("", include("agent.hub.integrations.pages.urls")),
]
