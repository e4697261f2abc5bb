"""What a reading is worth beside the site's own answer: equal, marked where it differs, or silently wrong.

A difference is marked when whoever looks at the reading's provenance sees that this very fact may be otherwise.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from html import unescape
from typing import Any

from reading import Truth

from agent.structure.model import Structure
from agent.structure.payload import to_document

MAY_MISS_ANYTHING = {"types_closed", "no_search_route", "search_cut"}
"""Reasons of a coverage that say so of what REST shows, too."""


def kind_of(structure: Structure, truth: Truth) -> tuple[str, list[str]]:
    """(`equal`, `marked` or `wrong`, the differences that nothing marks)."""
    found = list(_differences(structure, truth))
    wrong = [text for text, is_marked in found if not is_marked]
    return ("wrong" if wrong else "marked" if found else "equal"), wrong


def _differences(structure: Structure, truth: Truth) -> Iterator[tuple[str, bool]]:
    """(what is read and what is true, whether the reading says that it may be otherwise)."""
    document, said = to_document(structure), structure.provenance
    if (url := document["site_url"]) != truth["site_url"]:
        yield f"site_url: {url}, {truth['site_url']} is true", any("address" in text for text in structure.warnings)
    if (version := document["wordpress_version"]) != truth["wordpress_version"]:
        yield f"wordpress_version: {version}, {truth['wordpress_version']} is true", version is None
    for family in ("post_types", "taxonomies"):
        for slug in sorted(document[family].keys() | truth[family].keys()):
            read, true, source = (one.get(slug) for one in (document[family], truth[family], said[family]))
            if read is None:
                yield f"{family} {slug}: missing", source is not None or _may_miss(structure, slug, true)
            elif true is None:
                yield f"{family} {slug}: not public", source["public"] is None or _doubts_all(structure)
            else:
                if _fit(true["label"]) != read["label"]:
                    marked = source["label_source"] in ("slug", "builtin")
                    yield f"{family} {slug} label: {read['label']!r}, {true['label']!r} is true", marked
                if true["count"] != read["count"]:
                    marked = not source["exact"] or source["stale"]
                    yield f"{family} {slug} count: {read['count']}, {true['count']} is true", marked


def _may_miss(structure: Structure, slug: str, true: Mapping[str, Any]) -> bool:
    if any(re.search(rf"(?<![\w-]){re.escape(slug)}(?![\w-])", text) for text in structure.warnings):
        return True
    return (true["hidden"] and structure.provenance["coverage"]["completeness"] != "full") or _doubts_all(structure)


def _doubts_all(structure: Structure) -> bool:
    coverage = structure.provenance["coverage"]
    return coverage["completeness"] == "fallback" or not MAY_MISS_ANYTHING.isdisjoint(coverage["reasons"])


def _fit(label: str) -> str:
    """A label as the document promises it: decoded once more where it was stored encoded, without tags and
    controls, composed, and of 300 characters at most."""
    text = re.sub(r"</?[A-Za-z][^<>]*>", "", unescape(label))
    text = "".join(character for character in text if unicodedata.category(character) != "Cc")
    return unicodedata.normalize("NFC", text)[:300]
