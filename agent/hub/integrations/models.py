"""What the hub keeps: owners, their sites, what was pushed about each, and the content it holds."""

import hashlib
import hmac
import secrets
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Self

from django.conf import settings
from django.db import models, transaction
from django.utils import timezone

from agent.backend.contract import PLATFORM, SLUG_LIMIT_CHARACTERS
from agent.hub.integrations.users import User as User

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager

API_KEY_MARK: Final = "wpsa_"
API_KEY_PREFIX_CHARACTERS: Final = len(API_KEY_MARK) + 8
SNAPSHOTS_KEPT: Final = 32
"""Pushes remembered per integration: enough for every retry that may still be on its way."""


class Site(models.Model):
    """One WordPress site of one owner."""

    owner: "models.ForeignKey[User, User]" = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="sites"
    )
    name: "models.CharField[str, str]" = models.CharField(max_length=200)
    url: "models.CharField[str, str]" = models.CharField(max_length=2048)
    created_at: "models.DateTimeField[datetime, datetime]" = models.DateTimeField(default=timezone.now)

    integrations: "RelatedManager[SiteIntegration]"

    class Meta:
        constraints = (models.UniqueConstraint(fields=["owner", "name"], name="site_name_once_per_owner"),)

    def __str__(self) -> str:
        return self.name

    @classmethod
    @transaction.atomic
    def connect(cls, owner: Any, *, name: str, url: str) -> "Site":
        """The owner's site of that name with its WordPress integration; a changed URL is taken over."""
        site, _ = cls.objects.update_or_create(owner=owner, name=name, defaults={"url": url})
        SiteIntegration.objects.get_or_create(site=site, platform=PLATFORM)
        return site


class SiteIntegration(models.Model):
    """A site's connection to one platform, and the newest structure pushed through it.

    config_json["content_types"]   {"post_types", "taxonomies", "last_structure_fetch"}, as the contract says
    config_json["structure"]       {"site_url", "wordpress_version", "timestamp", the two flags, "totals"}
    """

    site: "models.ForeignKey[Site, Site]" = models.ForeignKey(
        Site, on_delete=models.CASCADE, related_name="integrations"
    )
    platform: "models.CharField[str, str]" = models.CharField(
        max_length=32, choices=[(PLATFORM, "WordPress")], default=PLATFORM
    )
    config_json: "models.JSONField[Any, Any]" = models.JSONField(default=dict)
    structure_generation: "models.BigIntegerField[int | None, int | None]" = models.BigIntegerField(null=True)
    """The newest generation taken in; an older one is refused. Null until a pusher names one."""

    site_id: int
    contents: "RelatedManager[Content]"
    snapshots: "RelatedManager[StructureSnapshot]"

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["site", "platform"], name="integration_once_per_site_and_platform"),
            models.CheckConstraint(condition=models.Q(platform=PLATFORM), name="integration_platform_known"),
        )

    def __str__(self) -> str:
        return f"{self.site_id}/{self.platform}"


class StructureSnapshot(models.Model):
    """One push that was taken in: the history of structures, and the memory behind Idempotency-Key."""

    integration: "models.ForeignKey[SiteIntegration, SiteIntegration]" = models.ForeignKey(
        SiteIntegration, on_delete=models.CASCADE, related_name="snapshots"
    )
    received_at: "models.DateTimeField[datetime, datetime]" = models.DateTimeField()
    generation: "models.BigIntegerField[int | None, int | None]" = models.BigIntegerField(null=True)
    # Null means that none was given: unlike the empty text, any number of those are unique.
    idempotency_key: "models.CharField[str | None, str | None]" = models.CharField(max_length=255, null=True)
    body_sha256: "models.CharField[str, str]" = models.CharField(max_length=64)
    document: "models.JSONField[Any, Any]" = models.JSONField()
    answer: "models.JSONField[Any, Any]" = models.JSONField()

    integration_id: int

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["integration", "idempotency_key"], name="snapshot_key_once_per_integration"
            ),
        )

    def __str__(self) -> str:
        return f"{self.integration_id} at {self.received_at:%Y-%m-%dT%H:%M:%SZ}"


class Content(models.Model):
    """One item the hub holds of a post type or taxonomy; `synced_count` counts these."""

    class Family(models.TextChoices):
        POST_TYPE = "post_type"
        TAXONOMY = "taxonomy"

    integration: "models.ForeignKey[SiteIntegration, SiteIntegration]" = models.ForeignKey(
        SiteIntegration, on_delete=models.CASCADE, related_name="contents"
    )
    family: "models.CharField[str, str]" = models.CharField(max_length=16, choices=Family)
    type: "models.CharField[str, str]" = models.CharField(max_length=SLUG_LIMIT_CHARACTERS)
    external_id: "models.CharField[str, str]" = models.CharField(max_length=64)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["integration", "family", "type", "external_id"], name="content_once_per_type"
            ),
            models.CheckConstraint(
                condition=models.Q(family__in=["post_type", "taxonomy"]), name="content_family_known"
            ),
        )

    def __str__(self) -> str:
        return f"{self.type} {self.external_id}"


class ApiKey(models.Model):
    """A static bearer of one owner. Only its SHA-256 is kept, so the key itself is shown once."""

    owner: "models.ForeignKey[User, User]" = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys"
    )
    label: "models.CharField[str, str]" = models.CharField(max_length=100, blank=True)
    prefix: "models.CharField[str, str]" = models.CharField(max_length=API_KEY_PREFIX_CHARACTERS, unique=True)
    """The first characters: enough to tell keys apart, nowhere near enough to use one."""
    sha256: "models.CharField[str, str]" = models.CharField(max_length=64)
    created_at: "models.DateTimeField[datetime, datetime]" = models.DateTimeField(default=timezone.now)
    revoked_at: "models.DateTimeField[datetime | None, datetime | None]" = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.prefix}…"

    @classmethod
    def issue(cls, owner: Any, *, label: str = "") -> str:
        """Store a new key and return it, for the only time."""
        # 320 random bits: 48 of them show in the prefix, 272 stay secret.
        key = API_KEY_MARK + secrets.token_urlsafe(40)
        cls.objects.create(owner=owner, label=label, prefix=key[:API_KEY_PREFIX_CHARACTERS], sha256=_sha256(key))
        return key

    @classmethod
    def find(cls, key: str) -> Self | None:
        """The live key of an active owner, or None; unknown, wrong and revoked look alike."""
        found = cls.objects.select_related("owner").filter(prefix=key[:API_KEY_PREFIX_CHARACTERS]).first()
        known = found.sha256 if found else "0" * 64
        if not hmac.compare_digest(known, _sha256(key)) or found is None:
            return None
        return found if found.revoked_at is None and found.owner.is_active else None


class AttemptBucket(models.Model):
    """Sign-in attempts of one address, or of one address on one account, in the current window."""

    key: "models.CharField[str, str]" = models.CharField(max_length=64, primary_key=True)
    attempts: "models.PositiveIntegerField[int, int]" = models.PositiveIntegerField()
    ends_at: "models.DateTimeField[datetime, datetime]" = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.attempts} until {self.ends_at:%H:%M:%SZ}"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
