"""Bearers: API keys and access tokens, behind one challenge."""

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import TokenError

from agent.hub.integrations.keys import API_KEY_MARK
from agent.hub.integrations.models import ApiKey, User

CHALLENGE = 'Bearer realm="wpsa hub"'


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer …`, an API key when it begins with `wpsa_`, else an access token.

    One class for both, because REST framework asks only the first for the challenge; without a
    challenge it would turn 401 into 403.
    """

    def authenticate(self, request: Request) -> tuple[User, ApiKey | None] | None:
        scheme, _, bearer = str(request.META.get("HTTP_AUTHORIZATION", "")).partition(" ")
        if scheme.lower() != "bearer":
            return None
        key, user = key_and_user_of(bearer.strip())
        if user is None:
            # One sentence for unknown, expired and revoked: the difference helps only who guesses.
            raise AuthenticationFailed("The bearer is unknown, expired or revoked.")
        return user, key

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


def key_and_user_of(bearer: str) -> tuple[ApiKey | None, User | None]:
    """(the API key if it is one, the active user this bearer stands for), or no user."""
    if bearer.startswith(API_KEY_MARK):
        key = ApiKey.find(bearer)
        if key is not None:
            key.note_use(timezone.now())
        return key, key.owner if key else None
    tokens = JWTAuthentication()
    try:
        user = tokens.get_user(tokens.get_validated_token(bearer.encode("utf-8", "replace")))
    except (AuthenticationFailed, TokenError):
        return None, None
    return None, user if isinstance(user, User) else None
