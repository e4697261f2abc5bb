"""The one place that hides secrets, as the last step before text leaves the process."""

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

MASK = "***"

# Shorter values are not searched for: masking every "a" of a log would hide the log, not the secret.
SHORTEST_SECRET = 4

# A token in an answer is logged before anybody could learn it: known by its key alone, in JSON as
# it is and in JSON inside a text of JSON. What is escaped in the value does not end it;
# what was cut off has no end.
_KEYS = "(?:access|refresh|password|token|api_key|secret)"
_SPOKEN_SECRET = re.compile(
    rf"""(?P<plain>["']{_KEYS}["']\s*:\s*(?P<quote>["']))(?:(?!(?P=quote))[^\\]|\\.)*"""
    rf"""|(?P<inner>\\["']{_KEYS}\\["']\s*:\s*\\(?P<mark>["']))(?:(?!(?P=mark))[^\\]|\\\\(?:\\.|[^\\]))*"""
    r"""|(?P<scheme>\b(?:Bearer|Basic) )[^\s"',\\]+""",
    re.DOTALL,
)


class Redactor:
    """Replaces every known secret, in every form it takes on the wire, by `***`.

    Each secret is known raw, URL-quoted, escaped as in JSON and in Python's repr (once, and twice:
    a body of JSON inside a line of JSON), as base64, and without white space (application
    passwords are shown in groups of four and accepted either way); together with its user name
    also as the base64 of Basic authentication. Tokens learned later are added.
    """

    def __init__(self) -> None:
        self._forms: list[str] = []

    def add(self, secret: str, *, username: str | None = None) -> None:
        forms = set(self._forms)
        for spelling in {secret, "".join(secret.split())}:
            forms.update(_forms_of(spelling))
            if username is not None:
                forms.add(_base64(f"{username}:{spelling}"))
        # The longest first, so that a secret inside another leaves no readable rest.
        self._forms = sorted((form for form in forms if len(form) >= SHORTEST_SECRET), key=lambda form: (-len(form), form))

    def hide(self, text: str) -> str:
        for form in self._forms:
            text = text.replace(form, MASK)
        return _SPOKEN_SECRET.sub(lambda found: f"{found['plain'] or found['inner'] or found['scheme']}{MASK}", text)


def redactor_of(secrets: Iterable[tuple[str | None, str]]) -> Redactor:
    """A redactor that knows these (user name or None, secret) pairs."""
    redactor = Redactor()
    for username, secret in secrets:
        redactor.add(secret, username=username)
    return redactor


def _forms_of(secret: str) -> Iterator[str]:
    for once in _escaped(secret):
        yield once
        yield from _escaped(once)
    # A secret from the environment may hold bytes that are no UTF-8.
    octets = secret.encode("utf-8", "surrogatepass")
    yield quote(octets, safe="")
    yield quote(octets)
    yield quote_plus(octets)
    yield _base64(secret)
    yield _base64(secret).rstrip("=")


def _escaped(text: str) -> Iterator[str]:
    yield text
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield json.dumps(text)[1:-1].replace("/", "\\/")  # as PHP writes it
    # repr escapes apostrophes only beside quotation marks.
    yield repr(f'"{text}')[2:-1]
    yield repr(f"{text}'")[1:-2]


def _base64(text: str) -> str:
    return b64encode(text.encode("utf-8", "surrogatepass")).decode("ascii")
