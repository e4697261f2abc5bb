"""What the hub keeps: owners and their sites, and in the neighbouring modules what is known of each."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.db import models, transaction
from django.utils import timezone

from agent.backend.contract import PLATFORM, SLUG_LIMIT_CHARACTERS
from agent.hub.integrations.keys import ApiKey as ApiKey
from agent.hub.integrations.keys import AttemptBucket as AttemptBucket
from agent.hub.integrations.runs import Run as Run
from agent.hub.integrations.runs import SyncRequest as SyncRequest
from agent.hub.integrations.structures import StructureSnapshot as StructureSnapshot
from agent.hub.integrations.users import User as User

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager


LISTED: Final = (
    "last_structure_fetch", "failing_since", "wordpress_version", "post_types", "posts", "taxonomies", "terms",
)  # fmt: skip
"""The columns of an integration that a list of sites shows, sorts and counts by."""


class Family(models.TextChoices):
    """The two kinds of content types, as a record names them."""

    POST_TYPE = "post_type", "Post type"
    TAXONOMY = "taxonomy", "Taxonomy"


FAMILIES: Final = {"post_types": Family.POST_TYPE, "taxonomies": Family.TAXONOMY}
"""The kinds by their keys in a document."""


class Site(models.Model):
    """One WordPress site of one owner."""

    owner: "models.ForeignKey[User, User]" = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="sites"
    )
    name: "models.CharField[str, str]" = models.CharField(max_length=200)
    sort_name: "models.CharField[str, str]" = models.CharField(max_length=600, editable=False)
    """The name without case, so that every database sorts and searches alike."""
    url: "models.CharField[str, str]" = models.CharField(max_length=2048)
    created_at: "models.DateTimeField[datetime, datetime]" = models.DateTimeField(default=timezone.now)

    owner_id: int
    integrations: "RelatedManager[SiteIntegration]"

    class Meta:
        constraints = (models.UniqueConstraint(fields=["owner", "name"], name="site_name_once_per_owner"),)
        indexes = (models.Index(fields=["owner", "sort_name"], name="site_by_name"),)

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.sort_name = self.name.casefold()
        if (fields := kwargs.get("update_fields")) is not None:
            kwargs["update_fields"] = {*fields, "sort_name"}
        is_new = self.pk is None
        super().save(*args, **kwargs)
        if not is_new:
            self.integrations.exclude(owner=self.owner_id).update(owner=self.owner_id)

    @classmethod
    @transaction.atomic
    def connect(cls, owner: Any, *, name: str, url: str) -> "Site":
        """The owner's site of that name with its WordPress integration; a changed URL is taken over."""
        site, _ = cls.objects.update_or_create(owner=owner, name=name, defaults={"url": url})
        SiteIntegration.objects.get_or_create(site=site, platform=PLATFORM, defaults={"owner": owner})
        return site


class SiteIntegration(models.Model):
    """A site's connection to one platform, and the newest structure pushed through it.

    config_json["content_types"]   {"post_types", "taxonomies", "last_structure_fetch"}, as the contract says
    config_json["structure"]       {"site_url", "wordpress_version", "timestamp", the two flags, "totals"}
    config_json["type_settings"]   {"post_types": {slug: {"enabled", "fetch_limit"}}, "taxonomies": {…}}, as people chose

    What a list of sites shows is kept in columns beside: among thousands of documents nothing is looked for.
    """

    site: "models.ForeignKey[Site, Site]" = models.ForeignKey(
        Site, on_delete=models.CASCADE, related_name="integrations"
    )
    owner: "models.ForeignKey[User, User]" = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    """The site's owner once more (`Site.save` keeps it so): a list of 100,000 is counted and sorted by one index."""
    platform: "models.CharField[str, str]" = models.CharField(
        max_length=32, choices=[(PLATFORM, "WordPress")], default=PLATFORM
    )
    config_json: "models.JSONField[Any, Any]" = models.JSONField(default=dict)
    structure_generation: "models.BigIntegerField[int | None, int | None]" = models.BigIntegerField(null=True)
    """The newest generation taken in; an older one is refused. Null until a pusher names one."""
    structure_digest: "models.CharField[str, str]" = models.CharField(max_length=64, blank=True)
    """SHA-256 of the newest structure, without its timestamp."""
    structure_since: "models.DateTimeField[datetime | None, datetime | None]" = models.DateTimeField(null=True)
    """When a structure first came that was as the newest one is."""
    newest_snapshot: "models.BigIntegerField[int | None, int | None]" = models.BigIntegerField(null=True)
    """Its row in the history. No foreign key: the history may be pruned by anybody, and is begun anew then."""
    changes_since_pruning: "models.PositiveIntegerField[int, int]" = models.PositiveIntegerField(default=0)
    """Structures that were added to the history since it was last shortened."""
    receipts: "models.JSONField[Any, Any]" = models.JSONField(default=list)
    """The newest pushes that came under a key, the newest last: [{"key", "body_sha256", "received_at", "counts"}]."""
    last_structure_fetch: "models.DateTimeField[datetime | None, datetime | None]" = models.DateTimeField(null=True)
    failing_since: "models.DateTimeField[datetime | None, datetime | None]" = models.DateTimeField(null=True)
    """The first of the failed runs since a structure was last taken in; null while none failed."""
    wordpress_version: "models.CharField[str, str]" = models.CharField(max_length=64, blank=True)
    post_types: "models.PositiveIntegerField[int, int]" = models.PositiveIntegerField(default=0)
    """How many there are; `posts` is the sum of their counts."""
    posts: "models.BigIntegerField[int, int]" = models.BigIntegerField(default=0)
    taxonomies: "models.PositiveIntegerField[int, int]" = models.PositiveIntegerField(default=0)
    terms: "models.BigIntegerField[int, int]" = models.BigIntegerField(default=0)

    site_id: int
    owner_id: int
    contents: "RelatedManager[Content]"
    snapshots: "RelatedManager[StructureSnapshot]"
    sync_requests: "RelatedManager[SyncRequest]"
    runs: "RelatedManager[Run]"

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["site", "platform"], name="integration_once_per_site_and_platform"),
            models.CheckConstraint(condition=models.Q(platform=PLATFORM), name="integration_platform_known"),
        )
        # All that a list shows, so that SQLite need not turn over every document on its way to a column behind it.
        indexes = (models.Index(fields=["owner", "platform", *LISTED], name="integration_of_owner"),)

    def __str__(self) -> str:
        return f"{self.site_id}/{self.platform}"


class Content(models.Model):
    """One item the hub holds of a post type or taxonomy; `synced_count` counts these."""

    Family = Family

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
