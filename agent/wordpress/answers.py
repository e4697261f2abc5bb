"""What each REST answer means: checked field by field, since every byte is a stranger's.

To read another field of a post type or a taxonomy: take it out of `entry` in `content_type`
below, give it a place in `structure/model.ContentType`, and, if it is to be pushed, in
`structure/payload`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.errors import AnswerNotUnderstood
from agent.structure.label import clean_label, label_from_slug
from agent.structure.model import ContentType, Family, LabelSource
from agent.wordpress.address import is_web_address

TYPES_LIMIT = 2_000
"""More post types or taxonomies than any site has; refused rather than cut."""

# Post types are [a-z0-9_-]; the name of a taxonomy is checked for its length alone, and shops
# have percent-encoded ones.
SLUG = re.compile(r"""[^\s/\\?#<>"'&\x00-\x1f\x7f-\x9f]{1,64}""")
VERSION = r"[0-9]{1,3}\.[0-9][0-9A-Za-z.-]{0,24}"
"""`7.1`, `6.8.7`, `7.2-alpha-63338`."""
_NAMESPACE = re.compile(r"[A-Za-z0-9_./-]{1,128}")
_BASE = re.compile(r"[A-Za-z0-9_%./-]{1,200}")

INDEX_FIELDS = "name,url,home,namespaces,authentication,routes./wp/v2/search"


@dataclass(frozen=True, slots=True)
class Index:
    """The REST index, cut down by `_fields` to a few hundred bytes where the site does that."""

    url: str
    """get_site_url(); the home address where the index does not name it."""
    names_url: bool
    home: str
    """home_url(): the site's identity."""
    title: str
    namespaces: frozenset[str]
    application_passwords: bool
    """Whether WordPress offers them here: since 5.6, over TLS, and unless a plugin forbids."""
    searchable: frozenset[str] | None
    """Slugs of all public post types and taxonomies that REST shows, `attachment` apart: the enum of
    the search route's `subtype`. None when the site has no such route."""


def read_index(value: Any) -> Index | None:
    """The index in a parsed answer; None when it is no WordPress REST index."""
    if not isinstance(value, dict) or "wp/v2" not in _strings(value.get("namespaces")):
        return None
    url, home = value.get("url"), value.get("home")
    if not isinstance(home, str) or not is_web_address(home):
        return None
    names_url = isinstance(url, str) and is_web_address(url)
    return Index(
        url=str(url) if names_url else home,
        names_url=names_url,
        home=home,
        title=clean_label(value.get("name")) or "",
        namespaces=frozenset(_strings(value.get("namespaces"))),
        application_passwords="application-passwords" in _dict(value.get("authentication")),
        searchable=_search_subtypes(value.get("routes")),
    )


def _search_subtypes(routes: Any) -> frozenset[str] | None:
    """routes["/wp/v2/search"].endpoints[].args.subtype.items.enum, without its "any"."""
    return search_subtypes(_dict(routes).get("/wp/v2/search"))


def search_subtypes(route: Any) -> frozenset[str] | None:
    """The same from the route's own description, which OPTIONS answers."""
    for endpoint in _list(_dict(route).get("endpoints")):
        items = _dict(_dict(_dict(_dict(endpoint).get("args")).get("subtype")).get("items"))
        if slugs := _strings(items.get("enum")):
            return frozenset(slug for slug in slugs if SLUG.fullmatch(slug)) - {"any"}
    return None


def read_listing(family: Family, value: Any, *, where: str) -> tuple[dict[str, ContentType], list[str]]:
    """{slug: content type} from `/wp/v2/types` or `/wp/v2/taxonomies`, and warnings for bad entries.

    value   {slug: entry}, or [] when empty: PHP's empty array
    Raises AnswerNotUnderstood for another shape, or for more than one bad entry in ten.
    """
    if value == []:
        value = {}
    if not isinstance(value, dict):
        raise _not_understood(f"{where}: a list of {family.replace('_', ' ')}s was expected")
    if len(value) > TYPES_LIMIT:
        raise _not_understood(f"{where}: more than {TYPES_LIMIT:,} entries", reason="too_many")
    # WordPress checks no more than the length of a taxonomy's name; one that fits no document spoils no other.
    fit = {slug: entry for slug, entry in value.items() if SLUG.fullmatch(slug)}
    read = {slug: content_type(family, slug, entry) for slug, entry in fit.items()}
    bad = [slug for slug, kind in read.items() if kind is None]
    if len(bad) * 10 > len(read) or (value and not fit):
        raise _not_understood(f"{where}: {len(bad) or len(value)} of {len(value)} entries are not as WordPress writes them")
    left_out = [(slug, "entry could not be read") for slug in bad]
    left_out += [(slug, "name fits no document") for slug in value.keys() - fit.keys()]
    warnings = [f"{family.replace('_', ' ')} {slug[:40]!r}: its {why} and is left out" for slug, why in left_out]
    return {slug: kind for slug, kind in read.items() if kind is not None}, warnings


def content_type(family: Family, slug: str, entry: Any) -> ContentType | None:
    """One entry of a listing; None when it is not as WordPress writes it.

    Source: WP_REST_Post_Types_Controller and WP_REST_Taxonomies_Controller,
    prepare_item_for_response, WordPress 4.7 to 7.1.
    """
    if not SLUG.fullmatch(slug) or not isinstance(entry, dict):
        return None
    label = clean_label(entry.get("name"))
    return ContentType(
        family=family,
        slug=slug,
        label=label or label_from_slug(slug),
        label_source=LabelSource.REST if label else LabelSource.SLUG,
        # Before 5.9 there is no rest_namespace, and everything lives in wp/v2.
        rest_namespace=_matching(_NAMESPACE, entry.get("rest_namespace"), default="wp/v2"),
        # A base may be a regular expression (wp_font_face): such a route is never asked. WordPress always
        # names one; where a plugin takes it out, the slug may be another type's.
        rest_base=_matching(_BASE, entry.get("rest_base"), default=None),
        public=_says_public(family, entry),
    )


def _says_public(family: Family, entry: dict[str, Any]) -> bool | None:
    """What the edit context tells; None in the view context, which is silent about it.

    For a taxonomy it is `visibility.public`, exact. For a post type it is `viewable`, which errs for
    types that are public and not queryable or the other way round; `show_in_nav_menus` follows `public`.
    """
    visibility = _dict(entry.get("visibility"))
    if family is Family.TAXONOMY:
        return visibility["public"] if isinstance(visibility.get("public"), bool) else None
    hints = [hint for hint in (entry.get("viewable"), visibility.get("show_in_nav_menus")) if isinstance(hint, bool)]
    return any(hints) if isinstance(entry.get("viewable"), bool) else None


def read_total(headers: Mapping[str, Any]) -> int | None:
    """X-WP-Total as a number; None when it is missing or anything but 1 to 12 ASCII digits.

    Nor is it believed beside X-WP-TotalPages that say more pages than items, or none at all.
    headers   of an answer (doubled headers arrive joined by a comma), or of an envelope
    """
    total, pages = _number_in(headers, "X-WP-Total"), _number_in(headers, "X-WP-TotalPages")
    if total is not None and pages is not None and (pages > total or (pages == 0) != (total == 0)):
        return None
    return total


def _number_in(headers: Mapping[str, Any], name: str) -> int | None:
    """int() alone would take '-5', '1_000' and digits of any script."""
    # An answer's headers know no case; those in an envelope are a plain map with WordPress's own spelling.
    value = headers.get(name, headers.get(name.lower()))
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**12:
        return value
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}", value) else None


def error_code(value: Any) -> str | None:
    """The code of a WP_Error answer, such as `rest_no_route`."""
    code = _dict(value).get("code")
    return code if isinstance(code, str) and re.fullmatch(r"[A-Za-z0-9_.-]{1,80}", code) else None


def own_links(entry: Any) -> list[str]:
    """Where an entry says that its listing lives: below the site's own REST root."""
    collection = _list(_dict(_dict(entry).get("_links")).get("collection"))
    return _strings([_dict(link).get("href") for link in collection])


def _matching(pattern: re.Pattern[str], value: Any, *, default: str | None) -> str | None:
    if not isinstance(value, str) or not pattern.fullmatch(value) or ".." in value:
        return default
    return value.strip("/")


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _strings(value: Any) -> list[str]:
    return [item for item in _list(value) if isinstance(item, str)]


def _not_understood(message: str, *, reason: str = "schema") -> AnswerNotUnderstood:
    return AnswerNotUnderstood(
        message, reason=reason, hint="See what answers at this address; a plugin may have changed it."
    )
