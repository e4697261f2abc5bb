"""Who may push without a password: API keys; and how often somebody may guess one."""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import Any, Final, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from agent.hub.integrations.users import User

API_KEY_MARK: Final = "wpsa_"
API_KEY_PREFIX_CHARACTERS: Final = len(API_KEY_MARK) + 8
USE_NOTED_EVERY: Final = timedelta(hours=1)
"""How exact `last_used_at` is: a write for every request would cost more than it tells."""


class ApiKey(models.Model):
    """A static bearer of one owner. Only its SHA-256 is kept, so the key itself is shown once."""

    owner: "models.ForeignKey[User, User]" = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys"
    )
    site: "models.ForeignKey[Any, Any]" = models.ForeignKey(
        "integrations.Site", on_delete=models.CASCADE, related_name="api_keys", null=True, blank=True
    )
    """The only site this key opens; null for all of its owner's."""
    label: "models.CharField[str, str]" = models.CharField(max_length=100, blank=True)
    prefix: "models.CharField[str, str]" = models.CharField(max_length=API_KEY_PREFIX_CHARACTERS, unique=True)
    """The first characters: enough to tell keys apart, nowhere near enough to use one."""
    sha256: "models.CharField[str, str]" = models.CharField(max_length=64)
    created_at: "models.DateTimeField[datetime, datetime]" = models.DateTimeField(default=timezone.now)
    expires_at: "models.DateTimeField[datetime | None, datetime | None]" = models.DateTimeField(null=True, blank=True)
    """From when on it opens nothing; null is never."""
    last_used_at: "models.DateTimeField[datetime | None, datetime | None]" = models.DateTimeField(null=True)
    """To the hour (USE_NOTED_EVERY); null before its first use."""
    revoked_at: "models.DateTimeField[datetime | None, datetime | None]" = models.DateTimeField(null=True, blank=True)

    owner_id: int
    site_id: int | None

    def __str__(self) -> str:
        return f"{self.prefix}…"

    @classmethod
    def issue(cls, owner: Any, *, label: str = "", site: Any = None, expires_at: datetime | None = None) -> str:
        """Store a new key and return it, for the only time."""
        # 320 random bits: 48 of them show in the prefix, 272 stay secret.
        key = API_KEY_MARK + secrets.token_urlsafe(40)
        cls.objects.create(
            owner=owner,
            site=site,
            label=label,
            prefix=key[:API_KEY_PREFIX_CHARACTERS],
            sha256=_sha256(key),
            expires_at=expires_at,
        )
        return key

    @classmethod
    def find(cls, key: str) -> Self | None:
        """The live key of an active owner, or None; unknown, wrong, expired and revoked look alike."""
        found = cls._by_prefix(key[:API_KEY_PREFIX_CHARACTERS])
        known = found.sha256 if found else "0" * 64
        if not hmac.compare_digest(known, _sha256(key)) or found is None:
            return None
        return found if found.is_live(timezone.now()) and found.owner.is_active else None

    @classmethod
    def _by_prefix(cls, prefix: str) -> Self | None:
        try:
            return cls.objects.select_related("owner").get(prefix=prefix)
        except cls.DoesNotExist:
            return None

    def is_live(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def note_use(self, now: datetime) -> None:
        """Remember the hour; the condition lets one of many requests at once write."""
        if self.last_used_at is None or now - self.last_used_at >= USE_NOTED_EVERY:
            unnoted = Q(last_used_at=None) | Q(last_used_at__lte=now - USE_NOTED_EVERY)
            type(self).objects.filter(unnoted, pk=self.pk).update(last_used_at=now)

    def revoke(self) -> None:
        """End the key now; the row stays, to tell what it was. A second time changes nothing."""
        if self.revoked_at is None:
            self.revoked_at = timezone.now()
            self.save(update_fields=["revoked_at"])


class AttemptBucket(models.Model):
    """Sign-in attempts of one address, or of one address on one account, in the current window."""

    key: "models.CharField[str, str]" = models.CharField(max_length=64, primary_key=True)
    attempts: "models.PositiveIntegerField[int, int]" = models.PositiveIntegerField()
    ends_at: "models.DateTimeField[datetime, datetime]" = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.attempts} until {self.ends_at:%H:%M:%SZ}"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
