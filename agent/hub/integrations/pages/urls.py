"""The pages' paths."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from agent.hub.integrations.pages import api_keys, choices, connect, history, site, sites
from agent.hub.integrations.pages.sign_in import SignInView

urlpatterns = [
    path("", sites.sites, name="sites"),
    path("sites/<row:site_id>/", site.content_types, name="site"),
    path("sites/<row:site_id>/history/", history.history, name="history"),
    path("sites/<row:site_id>/settings/", choices.choices, name="choices"),
    path("sites/<row:site_id>/sync/", site.sync_now, name="sync-now"),
    path("sites/<row:site_id>/connect/", connect.connect_again, name="connect-again"),
    path("sites/<row:site_id>/arrival/", connect.arrival, name="arrival"),
    path("connect/", connect.connect, name="connect"),
    path("keys/", api_keys.api_keys, name="api-keys"),
    path("keys/<row:key_id>/revoke/", api_keys.revoke, name="revoke-key"),
    path("sign-in/", SignInView.as_view(), name="sign-in"),
    path("sign-out/", LogoutView.as_view(http_method_names=["post", "options"]), name="sign-out"),
]
