"""The shape of every error: problem+json (RFC 9457)."""

from http import HTTPStatus
from typing import Any, Final

MEDIA_TYPE: Final = "application/problem+json"


def problem(status: int, detail: str, **extra: Any) -> dict[str, Any]:
    """{"type", "title", "status", "detail", …}; `errors` maps fields to what is wrong with them."""
    return {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **extra}
