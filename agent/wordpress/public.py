"""Which content types are public: decided from what WordPress itself publishes, not from names. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from agent.structure.label import label_from_slug
from agent.structure.model import ContentType, Family, LabelSource

Listing = Mapping[str, ContentType]
"""{slug: content type} of one family."""

# Public on every WordPress since 3.1 and in REST on none: core registers it without show_in_rest.
POST_FORMAT = ContentType(Family.TAXONOMY, "post_format", "Formats", LabelSource.BUILTIN)

# The search route leaves out the one public type that is never published: its status is `inherit`.
ATTACHMENT = "attachment"
_MEDIA = ContentType(Family.POST_TYPE, ATTACHMENT, "Media", LabelSource.BUILTIN, "wp/v2", "media")
"""Where the listing of types is closed; whether the site has it, its own route tells."""

# Only where a site cannot say what is public at all: core's own types for the editor and the menus.
_CORES_OWN = ("wp_", "nav_menu")


@dataclass(frozen=True)
class Evidence:
    """All that was learned about what is public."""

    types: Listing
    """What REST lists, public or not; of the edit context where a login opened it."""
    taxonomies: Listing
    searchable: frozenset[str] | None
    """The enum of the search route: exactly the public slugs that REST shows, `attachment` apart."""
    proved: Mapping[str, frozenset[Family]] = field(default_factory=dict)
    """Families that the search route itself confirmed, for slugs that could be either."""
    told_types: Listing = field(default_factory=dict)
    """By XML-RPC: public types, those hidden from REST too, as far as the login may edit them."""
    told_taxonomies: Listing = field(default_factory=dict)
    told_all: bool = False
    """Whether that login may edit everything: its lists are then exactly what PHP says."""
    hidden_types: Listing = field(default_factory=dict)
    """By the sitemap: public types that REST does not show."""
    unsearched: frozenset[tuple[Family, str]] = frozenset()
    """On core's own sitemap, hence public, in REST's listing, and yet not searchable: a plugin cut the search route."""

    @cached_property
    def ambiguous(self) -> frozenset[str]:
        """Searchable slugs whose family the listings do not settle: in both of them, or in neither."""
        both = self.types.keys() & self.taxonomies.keys()
        neither = (self.searchable or frozenset()) - self.types.keys() - self.taxonomies.keys()
        return frozenset(both & (self.searchable or frozenset())) | neither

    @cached_property
    def has_own_search(self) -> bool:
        """Whether the search route answers as such: a content type of that address would, with its own items."""
        listed = (*self.types.values(), *self.taxonomies.values())
        return not any((kind.rest_namespace, kind.rest_base) == ("wp/v2", "search") for kind in listed)

    @cached_property
    def knows_taxonomies(self) -> bool:
        """Since 5.6 the enum has taxonomies too; before, it says nothing about them."""
        return self.searchable is not None and (
            any(slug in self.searchable for slug in self.taxonomies)
            or any(Family.TAXONOMY in families for families in self.proved.values())
        )


def public_content(evidence: Evidence) -> tuple[ContentType, ...]:
    """Every public content type, each once: the union of what every source knows, REST's labels first."""
    types = {} if evidence.types else {ATTACHMENT: _MEDIA}
    types |= dict(evidence.hidden_types) | dict(evidence.told_types)
    if not evidence.types:
        types[ATTACHMENT] = replace(types[ATTACHMENT], rest_namespace=_MEDIA.rest_namespace, rest_base=_MEDIA.rest_base)
    taxonomies = {POST_FORMAT.slug: POST_FORMAT} | dict(evidence.told_taxonomies)
    types |= _from_rest(Family.POST_TYPE, evidence)
    taxonomies |= _from_rest(Family.TAXONOMY, evidence)
    # These two are added by rule. A site may have changed them, and tells so to whoever may edit
    # posts and tag them: they share that right.
    if ATTACHMENT not in evidence.told_types and (evidence.told_all or "post" in evidence.told_types):
        types.pop(ATTACHMENT, None)
    if POST_FORMAT.slug not in evidence.told_taxonomies and (evidence.told_all or "post_tag" in evidence.told_taxonomies):
        taxonomies.pop(POST_FORMAT.slug, None)
    return (*types.values(), *taxonomies.values())


def with_own_routes(types: Listing, taxonomies: Listing) -> tuple[Listing, Listing]:
    """The same listings without the routes that answer for something else.

    WordPress registers a route for each post type and then for each taxonomy, in the order in which
    it lists them. Where two want the same one, such as /wp/v2/event, the first answers for both.
    """
    taken: set[tuple[str | None, str | None]] = set()
    return _first_come(types, taken), _first_come(taxonomies, taken)


def _first_come(listing: Listing, taken: set[tuple[str | None, str | None]]) -> Listing:
    own = {}
    for slug, kind in listing.items():
        route = (kind.rest_namespace, kind.rest_base)
        own[slug] = replace(kind, rest_base=None) if route in taken else kind
        taken.add(route)
    return own


def _from_rest(family: Family, evidence: Evidence) -> dict[str, ContentType]:
    listing = evidence.types if family is Family.POST_TYPE else evidence.taxonomies
    told = evidence.told_types if family is Family.POST_TYPE else evidence.told_taxonomies
    if evidence.searchable is None or (family is Family.TAXONOMY and not evidence.knows_taxonomies):
        return _by_other_signs(listing.values(), told)
    shown = {
        slug: kind
        for slug, kind in listing.items()
        if _is_searchable(slug, family, evidence) or (family, slug) in evidence.unsearched
    }
    for slug in evidence.ambiguous - listing.keys():
        if family in evidence.proved.get(slug, ()):
            shown[slug] = told.get(slug) or unlisted(family, slug)
    return {slug: replace(_labelled(kind, told.get(slug)), public=True) for slug, kind in shown.items()}


def _labelled(kind: ContentType, told: ContentType | None) -> ContentType:
    """The label by XML-RPC where REST has none."""
    if told is None or kind.label_source is not LabelSource.SLUG:
        return kind
    return replace(kind, label=told.label, label_source=told.label_source)


def _is_searchable(slug: str, family: Family, evidence: Evidence) -> bool:
    if family is Family.POST_TYPE and slug == ATTACHMENT:
        return True
    if slug not in (evidence.searchable or ()):
        return False
    return slug not in evidence.ambiguous or family in evidence.proved.get(slug, ())


def _by_other_signs(listing: Iterable[ContentType], told: Listing) -> dict[str, ContentType]:
    """Without a search route: what XML-RPC or the edit context says, else all but core's own, flagged.

    Both of these show what the login may edit. So what stands in the edit context (`public` is then
    no longer None) and not in XML-RPC's list of public types is not public.
    """
    shown = {}
    for kind in listing:
        if told and kind.slug not in told and kind.public is not None:
            continue
        if kind.slug in told or kind.slug in _BUILTIN_PUBLIC:
            shown[kind.slug] = replace(kind, public=True)
        elif kind.public or (kind.public is None and not kind.slug.startswith(_CORES_OWN)):
            shown[kind.slug] = kind
    return shown


_BUILTIN_PUBLIC = frozenset({"post", "page", ATTACHMENT, "category", "post_tag"})


def unlisted(family: Family, slug: str) -> ContentType:
    """A content type that no listing describes: counted by the search route, named by its slug."""
    return ContentType(family, slug, label_from_slug(slug), LabelSource.SLUG)
