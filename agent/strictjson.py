"""JSON from strangers: parsed whole, within limits, or refused with one kind of error."""

import json
import re
from contextlib import suppress
from itertools import islice
from typing import Any, NoReturn

DEPTH_LIMIT = 64
VALUES_LIMIT = 200_000
"""Far more than the longest honest answer holds: 4 MiB of `{},` would become 80 MiB of objects."""

_BOM = b"\xef\xbb\xbf"
_STRINGS = re.compile(rb'"[^"]*"?')
_NEITHER_BRACKETS_NOR_QUOTES = bytes(set(range(256)) - set(b'[]{}"'))
_TO_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_OPENING = ord("[")


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
    _refuse_bomb(body)
    return _parse(body.removeprefix(_BOM))


def parse_json_in_noise(body: bytes) -> tuple[Any, bool]:
    """(value, whether there was noise): the one object or list in `body`, whatever stands around it.

    Sites print byte order marks, PHP notices or markup before the JSON, and caches append an HTML
    comment. The value has to be whole, and only white space and comments may follow it: a web
    page that carries some JSON is none. Raises BadJson.
    """
    _refuse_bomb(body)
    try:
        return _parse(body.removeprefix(_BOM)), body.startswith(_BOM)
    except BadJson as error:
        first_error = error
    body = _without_comments_behind(body)
    starts = (found.start() for found in _VALUE_START.finditer(body, 0, _NOISE_LIMIT_BYTES))
    for start in islice(starts, min(_NOISE_STARTS, 1 + _NOISE_WORK_BYTES // (len(body) + 1))):
        with suppress(BadJson):
            value = _parse(body[start:])
            if isinstance(value, dict | list):
                _refuse_depth(body[start:])  # a quote in the noise may have hidden how deep it is
                return value, True
    raise first_error


# Notices are a few hundred bytes each; behind that much noise stands no REST answer.
_NOISE_LIMIT_BYTES = 65_536
_NOISE_STARTS = 20
# Each start may cost a pass over the whole body, and nothing else runs meanwhile.
_NOISE_WORK_BYTES = 8 * 1024 * 1024
_COMMENTS_LIMIT = 10
_VALUE_START = re.compile(rb"[{\[]")


def _without_comments_behind(body: bytes) -> bytes:
    for _ in range(_COMMENTS_LIMIT):
        body = body.rstrip()
        if not body.endswith(b"-->") or (start := body.rfind(b"<!--")) < 0:
            break
        body = body[:start]
    return body


def _parse(body: bytes) -> Any:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise BadJson("not UTF-8", "bad_encoding") from None
    try:
        value = _DECODER.decode(text)
        return _encodable(value) if "\\u" in text else value
    except BadJson:
        raise
    except (ValueError, RecursionError) as error:
        raise BadJson(f"not JSON: {type(error).__name__}") from None


def _refuse_bomb(body: bytes) -> None:
    """Before the parser builds anything."""
    if body.count(b",") > VALUES_LIMIT:
        raise BadJson(f"more than {VALUES_LIMIT:,} values", "too_many")
    _refuse_depth(body)


def _refuse_depth(body: bytes) -> None:
    """Before the parser recurses: how deep the brackets outside of strings go."""
    # Most answers are small and flat: without enough opening brackets there is nothing to count.
    if body.count(b"[") + body.count(b"{") <= DEPTH_LIMIT:
        return
    # Without what is escaped in strings, a quote is the beginning or the end of one; and two side by side say nothing.
    unescaped = body.replace(rb"\\", b"").replace(rb'\"', b"")
    marks = unescaped.translate(_TO_ONE_KIND, _NEITHER_BRACKETS_NOR_QUOTES).replace(b'""', b"")
    brackets = _STRINGS.sub(b"", marks)
    # Each round takes the innermost level away, at the speed of a copy.
    for _ in range(DEPTH_LIMIT):
        shorter = brackets.replace(b"[]", b"")
        if len(shorter) == len(brackets):
            break
        brackets = shorter
    else:
        if brackets:  # whole levels are left, however deep
            raise _too_deep()
    depth = 0
    for bracket in brackets:
        depth += 1 if bracket == _OPENING else -1
        if depth > DEPTH_LIMIT:
            raise _too_deep()


def _too_deep() -> BadJson:
    return BadJson(f"nested deeper than {DEPTH_LIMIT} levels", "json_depth")


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


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_unique_keys)


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
