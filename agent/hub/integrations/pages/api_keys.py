"""API keys: which there are, a new one, and the end of one."""

from datetime import timedelta
from typing import Any, Final

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from agent.hub.integrations.models import ApiKey, Site
from agent.hub.integrations.pages.access import for_owners
from agent.hub.integrations.pages.connect import a_once, is_sent_first

LIFETIMES: Final = (("", "never"), ("30", "in 30 days"), ("90", "in 90 days"), ("365", "in a year"))
SITES_OFFERED: Final = 500
"""More would be a list that nobody reads; a site's own page makes a key for it, too."""


class KeyForm(forms.Form):
    """What a new key is for."""

    label = forms.CharField(max_length=100, error_messages={"required": "Say what the key is for."})
    site = forms.ModelChoiceField(queryset=Site.objects.none(), required=False)
    days = forms.ChoiceField(choices=LIFETIMES, required=False)

    def __init__(self, *args: Any, owner: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["site"].queryset = Site.objects.filter(owner=owner).order_by("sort_name")  # type: ignore[attr-defined]  # known as any field


@require_http_methods(["GET", "HEAD", "POST"])
@for_owners
def api_keys(request: HttpRequest) -> HttpResponse:
    """The owner's keys, and the form of a new one; its answer is the only page that ever shows the key."""
    form = KeyForm(request.POST or None, owner=request.user)
    key = ""
    if form.is_valid():
        if not is_sent_first(request):
            return redirect("api-keys")
        key, form = _issue(request, form.cleaned_data), KeyForm(owner=request.user)
    now = timezone.now()
    context = {
        "form": form,
        "once": a_once(),
        "key": key,
        "keys": [(row, row.is_live(now)) for row in _newest_first(request)],
        "sites": Site.objects.filter(owner=request.user)
        .order_by("sort_name")
        .values_list("pk", "name")[:SITES_OFFERED],
        "lifetimes": LIFETIMES,
    }
    return render(request, "hub/api_keys.html", context)


@require_POST
@for_owners
def revoke(request: HttpRequest, key_id: int) -> HttpResponse:
    """End one of the owner's keys now."""
    get_object_or_404(ApiKey, pk=key_id, owner=request.user).revoke()
    return redirect("api-keys")


def _issue(request: HttpRequest, chosen: dict[str, Any]) -> str:
    expires_at = timezone.now() + timedelta(days=int(chosen["days"])) if chosen["days"] else None
    return ApiKey.issue(request.user, label=chosen["label"], site=chosen["site"], expires_at=expires_at)


def _newest_first(request: HttpRequest) -> Any:
    return ApiKey.objects.filter(owner=request.user).select_related("site").order_by("-pk")
