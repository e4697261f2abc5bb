"""Signing in. Attempts are counted in the same bucket as those of the API."""

from typing import Any

from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from agent.hub.integrations.attempts import forgive, take_attempt
from agent.hub.integrations.pages.access import are_open


class SignInView(LoginView):
    """The form for people."""

    template_name = "hub/sign_in.html"
    redirect_authenticated_user = True

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        return super().get_context_data(pages_are_open=are_open(self.request), **context)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        wait = take_attempt(request.META.get("REMOTE_ADDR", ""), request.POST.get("username", ""))
        if wait is None:
            return super().post(request, *args, **kwargs)
        response = render(request, "hub/problem.html", {"title": "Too many attempts", "wait": wait}, status=429)
        response["Retry-After"] = str(wait)
        return response

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        forgive(self.request.META.get("REMOTE_ADDR", ""), self.request.POST.get("username", ""))
        return super().form_valid(form)
