"""Signing people out: after half an hour without them, and twelve hours after they signed in."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from django.utils import timezone

SIGNED_IN_AT_MOST: Final = timedelta(hours=12)
IDLE_AT_MOST: Final = timedelta(minutes=30)
NOTED_EVERY: Final = timedelta(minutes=1)
"""How exact the idle time is: a write for every page would cost more."""


class SignOutWhenIdle:
    """Django's own limit is one age for the whole session, and every write to it begins that age anew."""

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        # Who brings no session cookie is nobody; asking would read the database for every push.
        if request.session.session_key and request.user.is_authenticated:
            self._judge(request, timezone.now())
        return self.get_response(request)

    def _judge(self, request: Any, now: datetime) -> None:
        began, seen = (_moment(request.session.get(name), now) for name in ("signed_in_at", "seen_at"))
        if now - began > SIGNED_IN_AT_MOST or now - seen > IDLE_AT_MOST:
            from django.contrib.auth import logout

            logout(request)
        elif "seen_at" not in request.session or now - seen > NOTED_EVERY:
            request.session.update({"signed_in_at": began.isoformat(), "seen_at": now.isoformat()})


def _moment(text: str | None, now: datetime) -> datetime:
    """A time kept in a session; now for a session that has just begun."""
    return datetime.fromisoformat(text) if text else now
