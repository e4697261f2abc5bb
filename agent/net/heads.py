"""The heads of HTTP/1.1 messages as bytes: ours are written, a peer's are read. Pure.

h11 does the same for servers and clients alike, event by event; a third of a reading's processor time went into it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

Fields = Sequence[tuple[bytes, bytes]]
"""Names and values in their order, as they travel."""

_NAME = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST = re.compile(rb"[A-Z]+ [!-~]+ HTTP/1\.1\r\n(?:" + _NAME + rb": [^\x00-\x08\n-\x1f\x7f]*\r\n)+\r\n")
_STATUS_LINE = re.compile(rb"HTTP/([0-9]\.[0-9]) ([1-9][0-9]{2})(?: [^\x00\n\v\f\r]*)?")
_FIELD = re.compile(rb"(" + _NAME + rb"):([^\x00\n\v\f\r]*)")
_FOLD = re.compile(rb"\r?\n[ \t]+")
_LENGTH = re.compile(rb"[0-9]{1,20}")


class BadHead(Exception):
    """Bytes that may not be sent, or came and are no head of an answer."""


class Ending(Enum):
    """What says that a body is over."""

    LENGTH = auto()
    CHUNKS = auto()
    HANGING_UP = auto()


@dataclass(frozen=True, slots=True)
class Head:
    """The first part of an answer."""

    status: int
    fields: Fields
    ending: Ending
    length: int
    """Of the body, in bytes; 0 where the ending is another."""
    is_last: bool
    """Whether the peer hangs up after it."""


def request_head(method: str, target: bytes, fields: Fields) -> bytes:
    """Raises BadHead for what would be another request than it looks like: no byte of it begins a new line."""
    lines = [b"%b %b HTTP/1.1" % (method.encode("ascii", "replace"), target), *(b"%b: %b" % field for field in fields)]
    head = b"\r\n".join((*lines, b"", b""))
    if head.count(b"\n") != len(lines) + 1 or not _REQUEST.fullmatch(head):
        raise BadHead("the request holds bytes that no request may hold")
    return head


def read_head(text: bytes, *, method: str) -> Head:
    """The head in `text`, which ends before the blank line; raises BadHead.

    method   of the request, because the answer to a HEAD has no body whatever it says
    """
    if b"\n " in text or b"\n\t" in text:
        text = _FOLD.sub(b" ", text)
    first, *lines = text.split(b"\n")
    status_line = _STATUS_LINE.fullmatch(first.removesuffix(b"\r"))
    if status_line is None:
        raise BadHead("what came is no HTTP")
    fields: list[tuple[bytes, bytes]] = []
    framing: dict[bytes, bytes] = {}
    for line in lines:
        field = _FIELD.fullmatch(line.removesuffix(b"\r"))
        if field is None:
            raise BadHead("a line of the head is no header")
        name, value = field[1], field[2].strip(b" \t")
        fields.append((name, value))
        if (lower := name.lower()) in _FRAMING:
            framing[lower] = b"%b,%b" % (framing[lower], value) if lower in framing else value
    status = int(status_line[2])
    wishes = framing.get(b"connection", b"").lower().translate(None, b" \t").split(b",")
    is_last = status_line[1] < b"1.1" or b"close" in wishes
    ending, length = _ending(status, framing, method)
    return Head(status, fields, ending, length, is_last or ending is Ending.HANGING_UP)


_FRAMING = frozenset({b"connection", b"content-length", b"transfer-encoding"})


def _ending(status: int, framing: dict[bytes, bytes], method: str) -> tuple[Ending, int]:
    said = framing.get(b"content-length")
    lengths = {length.strip(b" \t") for length in said.split(b",")} if said is not None else set()
    codings = framing.get(b"transfer-encoding")
    if codings is not None and lengths:
        raise BadHead("the answer has two lengths")  # whoever sends both means to be understood in two ways
    if len(lengths) > 1 or not all(map(_LENGTH.fullmatch, lengths)):
        raise BadHead("the answer's length is none")
    if codings is not None and codings.lower() != b"chunked":
        raise BadHead("the answer is packed for the way in a manner that nobody asked for")
    if method == "HEAD" or status < 200 or status in (204, 304):
        return Ending.LENGTH, 0
    if codings is not None:
        return Ending.CHUNKS, 0
    return (Ending.LENGTH, int(lengths.pop())) if lengths else (Ending.HANGING_UP, 0)
