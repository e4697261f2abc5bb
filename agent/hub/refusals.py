"""Every error the hub answers: problem+json (RFC 9457) for the API, a plain page for people."""

import json
import logging
import secrets
import sys
from typing import Any, Final

from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler

from agent.hub.problems import MEDIA_TYPE, problem
from agent.hub.static_files import addresses

logger = logging.getLogger(__name__)

BUSY_RETRY_AFTER_SECONDS: Final = 5
BAD_REQUEST: Final = "The request cannot be understood, or its Host is not in WPSA_HUB_ALLOWED_HOSTS."
NOT_FOUND: Final = "There is nothing here, or not for you."
BUSY: Final = "The database is busy; nothing was stored. Try again in a few seconds."


def answer_exception(exception: Exception, context: dict[str, Any]) -> Response | None:
    """REST framework's EXCEPTION_HANDLER; None lets a bug through to `server_error`."""
    if isinstance(exception, OperationalError):
        logger.warning("hub.database_busy %s", type(exception).__name__)
        headers = {"Retry-After": str(BUSY_RETRY_AFTER_SECONDS)}
        return Response(problem(503, BUSY), status=503, headers=headers, content_type=MEDIA_TYPE)
    response = exception_handler(exception, context)
    if response is None:
        return None
    if isinstance(exception, ValidationError):
        # A body that is no object at all has a list of errors and no fields.
        errors = response.data if isinstance(response.data, dict) else {api_settings.NON_FIELD_ERRORS_KEY: response.data}
        response.data = problem(response.status_code, "The request has invalid fields.", errors=errors)
    else:
        response.data = problem(response.status_code, _sentence(response.data))
    response.content_type = MEDIA_TYPE
    return response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, 400, BAD_REQUEST)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, 403, "This is not permitted.")


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    return _answer(request, 403, "The form has expired or was sent from another site. Open the page again.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, 404, NOT_FOUND)


def server_error(request: HttpRequest) -> HttpResponse:
    """A bug, or a database that stays locked; the id is the only link between answer and log."""
    if isinstance(sys.exc_info()[1], OperationalError):
        response = _answer(request, 503, BUSY)
        response["Retry-After"] = str(BUSY_RETRY_AFTER_SECONDS)
        return response
    error_id = secrets.token_hex(6)
    logger.error("hub.request_failed error_id=%s", error_id)
    return _answer(request, 500, "The hub made a mistake; its log tells more.", id=error_id)


def _answer(request: HttpRequest, status: int, detail: str, **extra: Any) -> HttpResponse:
    body = problem(status, detail, **extra)
    if request.path.startswith("/api/"):
        return HttpResponse(json.dumps(body), status=status, content_type=MEDIA_TYPE)
    # Without the request: a page about a refused Host or a locked database must not look at either.
    return HttpResponse(render_to_string("hub/problem.html", {**body, **addresses()}), status=status)


def _sentence(data: Any) -> str:
    """The one sentence of an exception, however deep the libraries wrapped it."""
    while isinstance(data, (dict, list)) and data:
        data = data.get("detail", next(iter(data.values()))) if isinstance(data, dict) else data[0]
    return str(data) if isinstance(data, (str, ErrorDetail)) else "The request was refused."
