"""Connecting a site: a name and an address in; out comes what its agent needs, with the key for the only time."""

import re
import secrets
from typing import Any, Final

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from agent.hub.integrations.models import ApiKey, Site
from agent.hub.integrations.pages.access import are_open, for_owners, visible_integration
from agent.hub.integrations.pages.handover import Handover

SITE_URL: Final = re.compile(r"https?://([\w.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[\w.~%/-]*)?")
"""Narrower than a URL may be: it is pasted into files and commands, where other signs would mean something."""
FORMS_REMEMBERED: Final = 20


class ConnectForm(forms.Form):
    """One site of one owner."""

    url = forms.CharField(max_length=2_048, error_messages={"required": "Give the site's address."})
    name = forms.CharField(max_length=100, required=False)

    def __init__(self, *args: Any, owner: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.owner, self.address = owner, ""

    def clean_url(self) -> str:
        """The address as the agent will write it: scheme and host in lower case, no slash at the end."""
        given = self.cleaned_data["url"].rstrip("/")
        scheme, _, rest = given.rpartition("://")
        host, slash, path = rest.partition("/")
        url = f"{scheme.lower() or 'https'}://{host.lower()}{slash}{path}"
        if not SITE_URL.fullmatch(url):
            raise ValidationError("This is not an address such as https://example.com or https://example.com/blog.")
        self.address = url
        if Site.objects.filter(owner=self.owner, url=url).exists():
            raise ValidationError("This site is connected already.", code="known")
        return url

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if url := cleaned.get("url"):
            cleaned["name"] = name = cleaned.get("name") or url.split("://")[1].removeprefix("www.")[:100]
            if Site.objects.filter(owner=self.owner, name=name).exists():
                self.add_error("name", "Another site has this name. Choose a different one.")
        return cleaned

    @property
    def known_site(self) -> Site | None:
        """The site that has this address already."""
        if not self.has_error("url", code="known"):
            return None
        return Site.objects.filter(owner=self.owner, url=self.address).first()


@require_http_methods(["GET", "HEAD", "POST"])
def connect(request: HttpRequest) -> HttpResponse:
    """The form; sent, the files of the new site's agent. Where nobody signs in, how the agent here is told."""
    if not request.user.is_authenticated and are_open(request) and request.method != "POST":
        return render(request, "hub/connect_here.html")
    return _connect(request)


@for_owners
def _connect(request: HttpRequest) -> HttpResponse:
    form = ConnectForm(request.POST or None, owner=request.user)
    if not form.is_valid():
        return render(request, "hub/connect.html", {"form": form})
    with transaction.atomic():
        site = Site.connect(request.user, name=form.cleaned_data["name"], url=form.cleaned_data["url"])
        key = ApiKey.issue(request.user, label=site.name, site=site)
    return _hand_over(request, site, key)


@require_http_methods(["GET", "HEAD", "POST"])
@for_owners
def connect_again(request: HttpRequest, site_id: int) -> HttpResponse:
    """The files once more, with a new key: the first one is known to nobody but the agent that has it."""
    site = visible_integration(request, site_id).site
    if request.method == "POST" and is_sent_first(request):
        return _hand_over(request, site, ApiKey.issue(request.user, label=site.name[:100], site=site))
    if request.method == "POST":
        return redirect("connect-again", site_id)
    return render(request, "hub/connect_again.html", {"site": site, "once": a_once()})


@require_safe
@for_owners
def arrival(request: HttpRequest, site_id: int) -> HttpResponse:
    """Whether the site's first structure has come."""
    integration = visible_integration(request, site_id)
    has_arrived = integration.last_structure_fetch is not None
    context = {"site": integration.site, "integration": integration, "has_arrived": has_arrived}
    return render(request, "hub/arrival.html", {**context, "is_moving": not has_arrived})


def a_once() -> str:
    """For a form that makes a key: sent again, by a reload or from another tab, it makes no second one."""
    return secrets.token_urlsafe(12)


def is_sent_first(request: HttpRequest) -> bool:
    once, seen = request.POST.get("once", "")[:64], request.session.get("forms_sent", [])
    if not once or once in seen:
        return False
    request.session["forms_sent"] = [*seen, once][-FORMS_REMEMBERED:]
    return True


def hub_url(request: HttpRequest) -> str:
    """The hub's address as its people see it."""
    scheme = "https" if request.is_secure() or settings.SESSION_COOKIE_SECURE else "http"
    return settings.WPSA_HUB_PUBLIC_URL or f"{scheme}://{request.get_host()}"


def _hand_over(request: HttpRequest, site: Site, key: str) -> HttpResponse:
    handover = Handover(site_id=site.pk, site_url=site.url, hub_url=hub_url(request), api_key=key)
    return render(request, "hub/connected.html", {"site": site, "handover": handover})
