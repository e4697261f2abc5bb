"""JSON from strangers: bounded before it is built, strict while it is read."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import IO, Any, Final, NoReturn

from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from agent.backend.contract import BODY_LIMIT_BYTES, ENTRIES_LIMIT

DEPTH_LIMIT: Final = 8
"""The document is three levels deep."""
CONTAINERS_LIMIT: Final = 2 * ENTRIES_LIMIT + 100
"""Objects and arrays in one body: a few bytes of text become dozens of memory each."""
INTEGER_LIMIT_DIGITS: Final = 19

# An unclosed string counts as one to the end: starting again at each quote would be quadratic.
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]++|\\.?)*+(?:"|\Z)|[\[\]{}]', re.DOTALL)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class BoundedJSONParser(BaseParser):
    """Request bodies as plain Python values.

    Refuses with 400 what JSON libraries let pass or fall over: invalid UTF-8, excessive depth,
    NaN and infinities, endless integers, duplicate keys, NUL and lone surrogates.
    """

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        body = stream.read(BODY_LIMIT_BYTES + 1)
        if len(body) > BODY_LIMIT_BYTES:
            raise ParseError("The body is too large.")
        return parse_json(body)


class OnlyJSON(BaseContentNegotiation):
    """JSON is answered whatever was asked for: a refusal would have to be JSON too."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        sent = (request.content_type or "").partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == sent), None)

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, str(renderer.media_type)


def parse_json(body: bytes) -> Any:
    """The value of a JSON text.

    Raises ParseError (400) that says what is wrong and repeats nothing of the body.
    """
    try:
        text = body.decode("utf-8")
        _measure(text)
        value = json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_float=_finite_float,
            parse_int=_bounded_int,
            object_pairs_hook=_unique_keys,
        )
    except UnicodeDecodeError:
        raise ParseError("The body is not valid UTF-8.") from None
    except json.JSONDecodeError as error:
        raise ParseError(f"The body is not valid JSON (line {error.lineno}, column {error.colno}).") from None
    # As such neither gets this far: only an escape can bring one in, and few documents have any.
    if "\\u" in text:
        _refuse_unstorable_text(value)
    return value


def _measure(text: str) -> None:
    depth = containers = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        token = match[0]
        if token in ("[", "{"):
            depth += 1
            containers += 1
            if depth > DEPTH_LIMIT or containers > CONTAINERS_LIMIT:
                raise ParseError("The body is nested too deeply or has too many parts.")
        elif token in ("]", "}"):
            depth -= 1


def _refuse_constant(name: str) -> NoReturn:
    raise ParseError(f"{name} is not a JSON number.")


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ParseError("A number is out of range.")
    return value


def _bounded_int(text: str) -> int:
    if len(text) > INTEGER_LIMIT_DIGITS:
        raise ParseError("A number is out of range.")
    return int(text)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ParseError("A key is given twice in one object.")
    return result


def _refuse_unstorable_text(value: Any) -> None:
    """PostgreSQL's jsonb takes no NUL, and a lone surrogate cannot be written as UTF-8 again."""
    match value:
        case str():
            if _UNSTORABLE.search(value):
                raise ParseError("A text contains NUL or half a character.")
        case dict():
            for key, item in value.items():
                _refuse_unstorable_text(key)
                _refuse_unstorable_text(item)
        case list():
            for item in value:
                _refuse_unstorable_text(item)
