"""What a stranger wrote, made harmless to look at."""

import re

# C0 without newline and tab, DEL and C1, and the bidirectional controls that reorder a line.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """The text without anything that could move a cursor, forge a line or reverse its reading."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)
