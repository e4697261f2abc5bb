"""Which content types are public: decided from what WordPress itself publishes, not from names."""

from collections.abc import Mapping
from dataclasses import dataclass

from agent.structure.model import ContentType, Family, LabelSource

Listing = Mapping[str, ContentType]
"""{slug: content type}, everything that REST shows, public or not."""

# Public on every WordPress since 3.1 and in REST on none: core registers it without show_in_rest.
POST_FORMAT = ContentType(Family.TAXONOMY, "post_format", "Formats", LabelSource.BUILTIN)

# The search route leaves out the one public type that is never published: its status is `inherit`.
ATTACHMENT = "attachment"


@dataclass(frozen=True, slots=True)
class Public:
    content_types: tuple[ContentType, ...]
    warnings: tuple[str, ...] = ()


def public_content(types: Listing, taxonomies: Listing, searchable: frozenset[str] | None) -> Public:
    """The public part of what REST lists.

    `types` and `taxonomies` name everything with show_in_rest, blocks and templates included. The
    enum of the search route names exactly what is public besides (post types since WordPress 5.0,
    taxonomies since 5.6), publicly queryable or not.
    """
    if searchable is None:
        return Public(
            (*types.values(), *taxonomies.values(), POST_FORMAT),
            ("the site has no search route: which content types are public could not be learned, all are listed",),
        )
    shown = [kind for slug, kind in types.items() if slug in searchable or slug == ATTACHMENT]
    shown += [kind for slug, kind in taxonomies.items() if slug in searchable]
    unlisted = sorted(searchable - types.keys() - taxonomies.keys())
    warnings = tuple(f"{slug[:64]!r} is public, but neither a listed post type nor a taxonomy" for slug in unlisted)
    return Public((*shown, POST_FORMAT), warnings)
