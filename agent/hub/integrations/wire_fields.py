"""The fields of the wire's shapes: closed, strict, bounded by the contract."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from rest_framework import serializers

from agent.backend.contract import ENTRIES_LIMIT, SLUG_LIMIT_CHARACTERS

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


class OneOf(serializers.Field[str, Any, str, Any]):
    """One word of a closed list."""

    def __init__(self, words: tuple[str, ...], **options: Any) -> None:
        super().__init__(**options)
        self.words = words

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or data not in self.words:
            raise serializers.ValidationError(f"Must be one of: {', '.join(self.words)}.")
        return data

    def to_representation(self, value: str) -> str:
        return value


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
    """An ISO 8601 time that says its offset, kept as its text."""

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        moment_of(text)
        return text


class Moment(StrictText):
    """The same, as an aware datetime."""

    def __init__(self, **options: Any) -> None:
        super().__init__(limit=40, **options)

    def to_internal_value(self, data: Any) -> datetime:  # type: ignore[override]  # a text on the wire, a time inside
        return moment_of(super().to_internal_value(data))


def moment_of(text: str) -> datetime:
    """The time that this text says, in UTC: PostgreSQL takes no offset of 16 hours; raises ValidationError."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):  # near the ends of the calendar a time has no counterpart in UTC
        pass
    raise serializers.ValidationError("Must be an ISO 8601 time with its offset, or Z.")


class Slugs(serializers.Field[dict[str, Any], Any, dict[str, Any], Any]):
    """{slug: …}; the errors of at most ERRORS_SHOWN slugs are told."""

    def __init__(self, each: serializers.Field[Any, Any, Any, Any], **options: Any) -> None:
        super().__init__(**options)
        self.each = each

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError("Must be an object, {} when empty.")
        if len(data) > ENTRIES_LIMIT:
            raise serializers.ValidationError(f"Must have at most {ENTRIES_LIMIT} entries.")
        taken, errors = {}, {}
        for slug, value in data.items():
            try:
                taken[_slug(slug)] = self.each.run_validation(value)
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


class ExternalIds(serializers.Field[list[str], Any, list[str], Any]):
    """A list of items by the ids their site gives them, integers or short texts."""

    LIMIT = 10_000

    def to_internal_value(self, data: Any) -> list[str]:
        if not isinstance(data, list) or len(data) > self.LIMIT:
            raise serializers.ValidationError(f"Must be a list of at most {self.LIMIT} ids.")
        if not all(type(one) is int or (isinstance(one, str) and 0 < len(one) <= 64) for one in data):
            raise serializers.ValidationError("An id is an integer, or a text of 1 to 64 characters.")
        return [str(one) for one in data]
