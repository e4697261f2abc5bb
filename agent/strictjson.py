"""JSON from strangers: parsed whole, within limits, or refused with one kind of error."""

import json
import re
from typing import Any, NoReturn

DEPTH_LIMIT = 64

_BOM = b"\xef\xbb\xbf"
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_NOT_BRACKETS = re.compile(rb"[^\[\]{}]+")


class BadJson(ValueError):
    """The bytes are not JSON as we accept it; `reason` is a word from the failure catalogue."""

    def __init__(self, message: str, reason: str = "bad_json") -> None:
        super().__init__(message)
        self.reason = reason


def parse_json(body: bytes) -> Any:
    """The value in `body`: UTF-8, at most 64 levels deep, no NaN, no key twice.

    One byte order mark in front is stripped; WordPress sites with a stray BOM in a PHP file
    send one. Lone surrogates become U+FFFD, because nothing downstream can encode them.
    Raises BadJson, and nothing else whatever the bytes are.
    """
    body = body.removeprefix(_BOM)
    _refuse_depth(body)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise BadJson("not UTF-8", "bad_encoding") from None
    try:
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique_keys,
                           parse_float=_finite)
    except BadJson:
        raise
    except (ValueError, RecursionError) as error:
        raise BadJson(f"not JSON: {type(error).__name__}") from None
    return _encodable(value) if "\\u" in text else value


def _refuse_depth(body: bytes) -> None:
    """Before the parser recurses: brackets outside of strings, counted on the bytes."""
    # Most answers are small and flat: without enough opening brackets there is nothing to count.
    if body.count(b"[") + body.count(b"{") <= DEPTH_LIMIT:
        return
    depth = 0
    for bracket in _NOT_BRACKETS.sub(b"", _STRINGS.sub(b"", body)):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEPTH_LIMIT:
            raise BadJson(f"nested deeper than {DEPTH_LIMIT} levels", "json_depth")


def _refuse_constant(name: str) -> NoReturn:
    raise BadJson(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise BadJson("a number is too large")
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise BadJson("a key stands twice in one object")
    return value


def _encodable(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case list():
            return [_encodable(item) for item in value]
        case dict():
            return {_encodable(key): _encodable(item) for key, item in value.items()}
        case _:
            return value
