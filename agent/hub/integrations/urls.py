"""Two doors: the contract's API, and the pages."""

from django.contrib.auth.views import LogoutView
from django.urls import path, register_converter
from django.urls.converters import IntConverter

from agent.backend.contract import INTEGRATIONS_PATH, LOGIN_PATH, REFRESH_PATH
from agent.hub.integrations import pages, views


class RowIdConverter(IntConverter):
    """Digits that fit a database's integer: more of them are an unknown path, not an error inside."""

    regex = "[0-9]{1,18}"


register_converter(RowIdConverter, "row")

_integrations = INTEGRATIONS_PATH.lstrip("/")

urlpatterns = [
    path(LOGIN_PATH.lstrip("/"), views.LoginView.as_view(), name="login"),
    path(REFRESH_PATH.lstrip("/"), views.RefreshView.as_view(), name="refresh"),
    path(_integrations, views.IntegrationListView.as_view(), name="integrations"),
    path(
        f"{_integrations}<row:integration_id>/update-structure/",
        views.UpdateStructureView.as_view(),
        name="update-structure",
    ),
    path(
        f"{_integrations}<row:integration_id>/content-types/",
        views.ContentTypesView.as_view(),
        name="content-types",
    ),
    path("", pages.sites, name="sites"),
    path("sites/<row:site_id>/", pages.content_types, name="site"),
    path("sign-in/", pages.SignInView.as_view(), name="sign-in"),
    path("sign-out/", LogoutView.as_view(http_method_names=["post", "options"]), name="sign-out"),
]
