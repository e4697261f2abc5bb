"""What the API takes: the contract's document, log-ins, and what agents and owners report."""

from functools import cache
from typing import Any, Final, NoReturn, cast

from django.contrib.auth import authenticate
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.fields import empty
from rest_framework_simplejwt.settings import api_settings as token_settings
from rest_framework_simplejwt.tokens import RefreshToken
from rest_framework_simplejwt.utils import get_md5_hash_password

from agent.backend.contract import ENTRY_KEYS, LABEL_LIMIT_CHARACTERS, MESSAGE_LIMIT_CHARACTERS, RUN_RESULTS
from agent.hub.integrations.attempts import forgive, take_attempt
from agent.hub.integrations.models import User
from agent.hub.integrations.wire_fields import (
    COUNT_LIMIT,
    AwareTimestamp,
    ClosedSerializer,
    ExternalIds,
    Moment,
    OneOf,
    SiteUrl,
    Slugs,
    StrictCount,
    StrictFlag,
    StrictText,
)

ENTRY_FIELDS: Final = frozenset(ENTRY_KEYS)
CONTENTS_LIMIT: Final = 10_000
"""Items in one request, of all types together."""


class EntrySerializer(ClosedSerializer):
    label = StrictText(limit=LABEL_LIMIT_CHARACTERS, blank=True)  # type: ignore[assignment]  # DRF's own attribute of that name
    count = StrictCount()
    enabled = StrictFlag()
    fetch_limit = StrictCount()

    def run_validation(self, data: Any = empty) -> Any:
        # A document holds dozens, and of a right one nothing is to be told: its fields are looked at directly.
        return dict(data) if _is_entry(data) else super().run_validation(data)


def _is_entry(data: Any) -> bool:
    return (
        type(data) is dict
        and data.keys() == ENTRY_FIELDS
        and type(data["label"]) is str
        and len(data["label"]) <= LABEL_LIMIT_CHARACTERS
        and type(data["enabled"]) is bool
        and all(type(data[key]) is int and 0 <= data[key] <= COUNT_LIMIT for key in ("count", "fetch_limit"))
    )


class StructureSerializer(ClosedSerializer):
    """The pushed document, contract.DOCUMENT_KEYS, every key required."""

    site_url = SiteUrl(limit=2_048)
    wordpress_version = StrictText(limit=64, allow_null=True)
    timestamp = AwareTimestamp(limit=40)
    post_types = Slugs(EntrySerializer())
    taxonomies = Slugs(EntrySerializer())
    plugin_connection_enabled = StrictFlag()
    two_way_sync_enabled = StrictFlag()


@cache
def _structure() -> StructureSerializer:
    return StructureSerializer()


def structure_of(data: Any) -> dict[str, Any]:
    """The pushed document, checked; raises ValidationError. One serializer for all: making it costs as much as using it."""
    return dict(_structure().run_validation(data))


class SyncReportSerializer(ClosedSerializer):
    """How far an agent is with what was asked for."""

    id = StrictCount()
    state = OneOf(("running", "done", "failed"))
    message = StrictText(limit=MESSAGE_LIMIT_CHARACTERS, blank=True, required=False)
    hint = StrictText(limit=MESSAGE_LIMIT_CHARACTERS, blank=True, required=False)


class RunReportSerializer(ClosedSerializer):
    """How one run of an agent ended."""

    started_at = Moment()
    finished_at = Moment()
    result = OneOf(RUN_RESULTS)
    reason = StrictText(limit=64, blank=True, required=False)
    message = StrictText(limit=MESSAGE_LIMIT_CHARACTERS, blank=True, required=False)
    hint = StrictText(limit=MESSAGE_LIMIT_CHARACTERS, blank=True, required=False)


class ContentsSerializer(ClosedSerializer):
    """Items by type: what is held from now on, or no longer."""

    post_types = Slugs(ExternalIds(), required=False)
    taxonomies = Slugs(ExternalIds(), required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if sum(len(ids) for family in attrs.values() for ids in family.values()) > CONTENTS_LIMIT:
            raise serializers.ValidationError(f"One request may name {CONTENTS_LIMIT} items, of all types together.")
        return attrs


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

    @transaction.atomic
    def validate(self, attrs: dict[str, str]) -> dict[str, str]:
        old = RefreshToken(attrs["refresh"])  # type: ignore[arg-type]  # it takes the text; its stub says a token
        user = User.objects.filter(pk=old.payload.get("user_id"), is_active=True).first()
        if user is None or not _opened_by_current_password(old, user):
            _refuse_refresh()
        _, is_first_use = cast(tuple[object, bool], old.blacklist())
        if not is_first_use:  # of two uses at once the database lets one be the first
            _refuse_refresh()
        new = RefreshToken.for_user(user)
        return {"access": str(new.access_token), "refresh": str(new)}


def _opened_by_current_password(token: RefreshToken, user: AbstractBaseUser) -> bool:
    return bool(token.payload.get(token_settings.REVOKE_TOKEN_CLAIM) == get_md5_hash_password(user.password))


def _refuse_refresh() -> NoReturn:
    raise AuthenticationFailed("The refresh token is unknown, used, expired or revoked.")
