"""Bearers: API keys and access tokens, behind one challenge."""

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import TokenError

from agent.hub.integrations.models import API_KEY_MARK, ApiKey, User

CHALLENGE = 'Bearer realm="wpsa hub"'


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer …`, an API key when it begins with `wpsa_`, else an access token.

    One class for both, because REST framework asks only the first for the challenge; without a
    challenge it would turn 401 into 403.
    """

    def authenticate(self, request: Request) -> tuple[User, Any] | None:
        scheme, _, bearer = str(request.META.get("HTTP_AUTHORIZATION", "")).partition(" ")
        if scheme.lower() != "bearer":
            return None
        user = user_of_bearer(bearer.strip())
        if user is None:
            # One sentence for unknown, expired and revoked: the difference helps only who guesses.
            raise AuthenticationFailed("The bearer is unknown, expired or revoked.")
        return user, None

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


def user_of_bearer(bearer: str) -> User | None:
    """The active user this bearer stands for, or None."""
    if bearer.startswith(API_KEY_MARK):
        key = ApiKey.find(bearer)
        return key.owner if key else None
    tokens = JWTAuthentication()
    try:
        user = tokens.get_user(tokens.get_validated_token(bearer.encode("utf-8", "replace")))
    except (AuthenticationFailed, TokenError):
        return None
    return user if isinstance(user, User) else None
