"""The one place that hides secrets, as the last step before text leaves the process."""

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

MASK = "***"

# Shorter values are not searched for: masking every "a" of a log would hide the log, not the secret.
SHORTEST_SECRET = 4

# A token in an answer is logged before anybody could learn it: known by its key alone.
_SPOKEN_SECRET = re.compile(
    r"""(\\?["'](?:access|refresh|password|token|api_key|secret)\\?["']\s*:\s*\\?["'])[^"'\\]*(\\?["'])"""
    r"""|(?<=\bBearer )[^\s"',]+|(?<=\bBasic )[^\s"',]+"""
)


class Redactor:
    """Replaces every known secret, in every form it takes on the wire, by `***`.

    Each secret is known raw, URL-quoted, JSON-escaped, as base64, and without white space
    (application passwords are shown in groups of four and accepted either way); together with
    its user name also as the base64 of Basic authentication. Tokens learned later are added.
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
        self._forms = sorted((f for f in forms if len(f) >= SHORTEST_SECRET), key=len, reverse=True)

    def hide(self, text: str) -> str:
        for form in self._forms:
            text = text.replace(form, MASK)
        return _SPOKEN_SECRET.sub(lambda found: f"{found[1] or ''}{MASK}{found[2] or ''}", text)


def redactor_of(secrets: Iterable[tuple[str | None, str]]) -> Redactor:
    """A redactor that knows these (user name or None, secret) pairs."""
    redactor = Redactor()
    for username, secret in secrets:
        redactor.add(secret, username=username)
    return redactor


def _forms_of(secret: str) -> Iterator[str]:
    yield secret
    yield quote(secret, safe="")
    yield quote(secret)
    yield quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield _base64(secret)
    yield _base64(secret).rstrip("=")


def _base64(text: str) -> str:
    return b64encode(text.encode("utf-8", "surrogatepass")).decode("ascii")
