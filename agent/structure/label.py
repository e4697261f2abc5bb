"""A label as WordPress stores it, made fit for a document, a terminal and a page."""

import html
import re
import unicodedata

LIMIT_CHARACTERS = 300

# Only what can be a tag: "a < b > c" is a label.
_TAGS = re.compile(r"</?[A-Za-z][^<>]*>")


def clean_label(raw: object) -> str | None:
    """The text of a label: entities decoded, tags and controls dropped, NFC; None when nothing is left.

    Entities are decoded twice at most, since some plugins store `&amp;#39;`. Bidirectional marks
    stay, because right-to-left labels need them; whoever displays a label isolates it.
    """
    if not isinstance(raw, str):
        return None
    text = _TAGS.sub("", html.unescape(html.unescape(raw)))
    text = "".join(character for character in text if unicodedata.category(character) not in ("Cc", "Cs"))
    label = unicodedata.normalize("NFC", text)[:LIMIT_CHARACTERS]
    return label if label.strip() else None


def label_from_slug(slug: str) -> str:
    """What a person would call a slug when the site gives no label: `event-venue` → `Event venue`."""
    words = re.sub(r"[-_]+", " ", slug).strip()
    return words[:1].upper() + words[1:] or slug
