"""A label as WordPress stores it, made fit for a document, a terminal and a page."""

import html
import re
import unicodedata

LIMIT_CHARACTERS = 300

# Before anything is decoded: an entity is never longer than some ten characters, and putting thousands
# of combining marks in order takes minutes.
_RAW_LIMIT_CHARACTERS = 20 * LIMIT_CHARACTERS

# Only what can be a tag: "a < b > c" is a label.
_TAGS = re.compile(r"</?[A-Za-z][^<>]*>")


def clean_label(raw: object) -> str | None:
    """The text of a label: entities decoded, tags and controls dropped, NFC; None when nothing is left.

    Entities are decoded twice at most, since some plugins store `&amp;#39;`. Bidirectional marks
    stay, because right-to-left labels need them; whoever displays a label isolates it.
    """
    if not isinstance(raw, str):
        return None
    text = _TAGS.sub("", unescaped(unescaped(raw[:_RAW_LIMIT_CHARACTERS])))
    text = "".join(character for character in text if unicodedata.category(character) not in ("Cc", "Cs"))
    label = unicodedata.normalize("NFC", text)[:LIMIT_CHARACTERS]
    return label if label.strip() else None


def label_from_slug(slug: str) -> str:
    """What a person would call a slug when the site gives no label: `event-venue` → `Event venue`."""
    words = re.sub(r"[-_]+", " ", slug).strip()
    return words[:1].upper() + words[1:] or slug


def unescaped(text: str) -> str:
    """Text with its HTML entities decoded; as it is where one names a number beyond all characters."""
    try:
        return html.unescape(text)
    except ValueError:  # measured: 5,000 digits are more than int() takes
        return text
