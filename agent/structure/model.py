"""The values that walk down the line: what WordPress said, and the structure we make of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from agent.errors import SiteError


class Family(StrEnum):
    """What a slug names; the same slug may be a post type and a taxonomy at once."""

    POST_TYPE = "post_type"
    TAXONOMY = "taxonomy"

    @property
    def key(self) -> str:
        """Where a document keeps the entries of this family."""
        return "post_types" if self is Family.POST_TYPE else "taxonomies"


class CountSource(StrEnum):
    """Where a count was learned, the most direct first."""

    COLLECTION = "collection"
    ENVELOPE = "envelope"
    SEARCH = "search"
    WALK = "walk"
    XMLRPC = "xmlrpc"
    SITEMAP = "sitemap"
    LAST_KNOWN = "last_known"


class LabelSource(StrEnum):
    REST = "rest"
    XMLRPC = "xmlrpc"
    BUILTIN = "builtin"
    SLUG = "slug"
    """Derived from the slug, because the site gave none."""


class Completeness(StrEnum):
    """How much of what is public a reading saw."""

    FULL = "full"
    """An exact source also covered what REST hides, and the sitemap shows no more."""
    REST_ONLY = "rest_only"
    """REST was read whole, and nothing hints at more."""
    PARTIAL = "partial"
    """Something public is, or may be, missing."""
    FALLBACK = "fallback"
    """REST is closed: read from the sitemap, for people to see and never to be pushed."""


@dataclass(frozen=True, slots=True)
class Site:
    """One WordPress site as the operator named it; holds no secret."""

    name: str
    """How it is called everywhere: in commands, logs and the state."""
    url: str
    """Its public address, without a trailing slash."""
    rest_root: str | None = None
    """The REST root, where the operator knows it better than any search."""
    internal_url: str | None = None
    """Where to connect instead, for a site in the same container network: the name stays the public one."""
    has_front_gate: bool = False
    """Whether the web server asks a password of its own, which then takes the one header there is."""
    login_over_http: bool = False
    """Whether the operator allows the login to travel over plain http to another machine."""


@dataclass(frozen=True, slots=True)
class Count:
    """A number of items, never made up: `value` is None when it could not be learned."""

    value: int | None
    source: CountSource | None = None
    exact: bool = True
    stale: bool = False
    """True when the number is an earlier run's, because this run could not learn it."""
    reason: str | None = None
    """Why the value is unknown or stale."""


@dataclass(frozen=True, slots=True)
class ContentType:
    """One public post type or taxonomy as the site describes it."""

    family: Family
    slug: str
    label: str
    """Decoded, NFC, without control characters; never empty."""
    label_source: LabelSource
    rest_namespace: str | None = None
    """Where its collection lives, such as `wp/v2`; None when REST offers none."""
    rest_base: str | None = None
    """The collection's last path segment, such as `posts`; may differ from the slug."""
    public: bool | None = True
    """None where the site could not say: then it is listed, and flagged."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """What was, or may have been, missed."""

    completeness: Completeness
    reasons: tuple[str, ...] = ()
    """Why it is not more, in words from a closed list."""


@dataclass(frozen=True, slots=True)
class LoginState:
    """As whom the site was read."""

    state: str
    """`anonymous`, `proved`, `proved_by_xmlrpc` or `failed`."""
    username: str | None = None
    roles: tuple[str, ...] = ()
    failure: SiteError | None = None


@dataclass(frozen=True, slots=True)
class VersionAnswer:
    """The version, how it was learned, and what is known when it was not."""

    value: str | None = None
    source: str | None = None
    probable: str | None = None
    """What one weak source says; not pushed."""
    at_least: str | None = None
    """A lower bound from what the site offers."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What one site said in one reading, before anything is decided about pushing it."""

    site_url: str
    """get_site_url(): the WordPress address."""
    home: str
    """home_url(): the public address, the site's identity."""
    title: str
    root: str
    """The REST root that answered."""
    version: VersionAnswer
    counted: tuple[tuple[ContentType, Count], ...]
    coverage: Coverage
    finished_at: datetime
    login: LoginState = LoginState("anonymous")
    languages: str | None = None
    """The scope of the counts where a language plugin narrows them; None where they are of all languages."""
    closed: SiteError | None = None
    """Why REST was closed, where this is but the fallback."""
    warnings: tuple[str, ...] = ()
    requests: int = 0
    duration_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Choice:
    """What the operator decided about one content type."""

    enabled: bool = True
    fetch_limit: int = 100
    """Items the backend fetches at most."""


Chosen = Mapping[tuple[Family, str], Choice]
"""What people chose at the backend, by content type; only what somebody chose."""


@dataclass(frozen=True, slots=True)
class Choices:
    """The operator's choices for one site: defaults, and exceptions by family and slug."""

    default: Choice = Choice()
    exceptions: Mapping[tuple[Family, str], Choice] = field(default_factory=dict)
    plugin_connection_enabled: bool = True
    two_way_sync_enabled: bool = True
    chosen: Chosen = field(default_factory=dict)
    """What people chose at the backend, who look at what it fetches; stands above the operator's."""

    def about(self, content_type: ContentType) -> Choice:
        key = content_type.family, content_type.slug
        return self.chosen.get(key) or self.exceptions.get(key, self.default)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the document: a content type with its count and the operator's choice."""

    content_type: ContentType
    count: Count
    choice: Choice


@dataclass(frozen=True, slots=True)
class Structure:
    """One site's public content types at one moment, sorted by family and slug."""

    site_url: str
    wordpress_version: str | None
    fetched_at: datetime
    entries: tuple[Entry, ...]
    plugin_connection_enabled: bool
    two_way_sync_enabled: bool
    provenance: Mapping[str, Any]
    """Where each fact came from, and what is or may be missing; shown, never pushed."""
    warnings: tuple[str, ...] = ()

    def of(self, family: Family) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.content_type.family is family)

    @property
    def items(self) -> int:
        """All published items of all post types together."""
        return sum(entry.count.value or 0 for entry in self.of(Family.POST_TYPE))
