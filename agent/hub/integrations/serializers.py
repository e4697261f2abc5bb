"""The wire's shapes: closed, strict, bounded by the contract."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

from django.contrib.auth import authenticate
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework_simplejwt.settings import api_settings as token_settings
from rest_framework_simplejwt.tokens import RefreshToken
from rest_framework_simplejwt.utils import get_md5_hash_password

from agent.backend.contract import ENTRIES_LIMIT, LABEL_LIMIT_CHARACTERS, SLUG_LIMIT_CHARACTERS
from agent.hub.integrations.attempts import forgive, take_attempt
from agent.hub.integrations.models import SiteIntegration, User

COUNT_LIMIT: Final = 999_999_999_999
"""Twelve digits, as many as the agent reads from a WordPress header."""
ERRORS_SHOWN: Final = 20


class ClosedSerializer(serializers.Serializer[Any]):
    """An object with exactly these keys: an unknown one is a mistake somewhere, never ignored."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            unknown = sorted(str(key)[:SLUG_LIMIT_CHARACTERS] for key in data.keys() - self.fields.keys())
            if unknown:
                raise serializers.ValidationError({key: ["Unknown field."] for key in unknown[:ERRORS_SHOWN]})
        return super().to_internal_value(data)


class StrictText(serializers.Field[str, Any, str, Any]):
    """A JSON string of bounded length, kept as it is: no trimming, no numbers made into text."""

    def __init__(self, *, limit: int, blank: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.limit, self.blank = limit, blank

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("Must be a string.")
        if not data and not self.blank:
            raise serializers.ValidationError("Must not be empty.")
        if len(data) > self.limit:
            raise serializers.ValidationError(f"Must have at most {self.limit} characters.")
        return data


class StrictCount(serializers.Field[int, Any, int, Any]):
    """A JSON integer from 0: neither true, nor 1.0, nor "1"."""

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int or not 0 <= data <= COUNT_LIMIT:
            raise serializers.ValidationError(f"Must be an integer from 0 to {COUNT_LIMIT}.")
        return data


class StrictFlag(serializers.Field[bool, Any, bool, Any]):
    def to_internal_value(self, data: Any) -> bool:
        if type(data) is not bool:
            raise serializers.ValidationError("Must be true or false.")
        return data


class SiteUrl(StrictText):
    def to_internal_value(self, data: Any) -> str:
        url = super().to_internal_value(data)
        try:
            parts = urlsplit(url)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in ("http", "https") or not parts.hostname or any(c.isspace() for c in url):
            raise serializers.ValidationError("Must be an http or https URL.")
        return url


class AwareTimestamp(StrictText):
    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        try:
            aware = datetime.fromisoformat(text).tzinfo is not None
        except ValueError:
            aware = False
        if not aware:
            raise serializers.ValidationError("Must be an ISO 8601 time with its offset, or Z.")
        return text


class EntrySerializer(ClosedSerializer):
    label = StrictText(limit=LABEL_LIMIT_CHARACTERS, blank=True)  # type: ignore[assignment]  # DRF's own attribute of that name
    count = StrictCount()
    enabled = StrictFlag()
    fetch_limit = StrictCount()


class Entries(serializers.Field[dict[str, Any], Any, dict[str, Any], Any]):
    """{slug: entry}; the errors of at most ERRORS_SHOWN entries are told."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError("Must be an object, {} when empty.")
        if len(data) > ENTRIES_LIMIT:
            raise serializers.ValidationError(f"Must have at most {ENTRIES_LIMIT} entries.")
        entry, taken, errors = EntrySerializer(), {}, {}
        for slug, value in data.items():
            try:
                taken[_slug(slug)] = dict(entry.run_validation(value))
            except serializers.ValidationError as error:
                errors[slug[:SLUG_LIMIT_CHARACTERS]] = error.detail
                if len(errors) == ERRORS_SHOWN:
                    break
        if errors:
            raise serializers.ValidationError(errors)
        return taken


def _slug(slug: str) -> str:
    # WordPress never cleans a taxonomy's name, so its characters are left alone; templates escape them.
    if not 0 < len(slug) <= SLUG_LIMIT_CHARACTERS:
        raise serializers.ValidationError(f"A slug must have 1 to {SLUG_LIMIT_CHARACTERS} characters.")
    return slug


class StructureSerializer(ClosedSerializer):
    """The pushed document, contract.DOCUMENT_KEYS, every key required."""

    site_url = SiteUrl(limit=2_048)
    wordpress_version = StrictText(limit=64, allow_null=True)
    timestamp = AwareTimestamp(limit=40)
    post_types = Entries()
    taxonomies = Entries()
    plugin_connection_enabled = StrictFlag()
    two_way_sync_enabled = StrictFlag()


class IntegrationSerializer(serializers.ModelSerializer[SiteIntegration]):
    """One row of the listing. Expects `last_structure_fetch` annotated, so that no document is loaded."""

    site_name = serializers.CharField(source="site.name", read_only=True)
    site_url = serializers.CharField(source="site.url", read_only=True)
    last_structure_fetch = serializers.CharField(read_only=True)

    class Meta:
        model = SiteIntegration
        fields = ("id", "site", "site_name", "site_url", "platform", "last_structure_fetch")
        read_only_fields = fields


class LoginSerializer(ClosedSerializer):
    """{"email", "password"} → {"access", "refresh"}."""

    email = StrictText(limit=254, write_only=True)
    password = StrictText(limit=1_024, write_only=True)

    def validate(self, attrs: dict[str, str]) -> dict[str, str]:
        request = self.context["request"]
        address = request.META.get("REMOTE_ADDR", "")
        if (wait := take_attempt(address, attrs["email"])) is not None:
            raise Throttled(wait)
        user = authenticate(request, username=attrs["email"], password=attrs["password"])
        if user is None:
            raise AuthenticationFailed("The e-mail address or the password is wrong.")
        forgive(address, attrs["email"])
        refresh = RefreshToken.for_user(user)
        return {"access": str(refresh.access_token), "refresh": str(refresh)}


class RefreshSerializer(ClosedSerializer):
    """{"refresh"} → {"access", "refresh"}; each refresh token works once."""

    refresh = StrictText(limit=4_096)

    @transaction.atomic  # holds the write lock, so of two uses at once only one finds the token unused
    def validate(self, attrs: dict[str, str]) -> dict[str, str]:
        old = RefreshToken(attrs["refresh"])  # type: ignore[arg-type]  # it takes the text; its stub says a token
        user = User.objects.filter(pk=old.payload.get("user_id"), is_active=True).first()
        if user is None or not _opened_by_current_password(old, user):
            _refuse_refresh()
        old.blacklist()
        new = RefreshToken.for_user(user)
        return {"access": str(new.access_token), "refresh": str(new)}


def _opened_by_current_password(token: RefreshToken, user: AbstractBaseUser) -> bool:
    return bool(token.payload.get(token_settings.REVOKE_TOKEN_CLAIM) == get_md5_hash_password(user.password))


def _refuse_refresh() -> NoReturn:
    raise AuthenticationFailed("The refresh token is unknown, used, expired or revoked.")
