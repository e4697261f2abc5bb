"""Secrets that sing: each can be told from all others in whatever form it comes to light."""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from json import dumps
from urllib.parse import quote, quote_plus

EDGE = 8
"""Letters at either end that are as telling as the whole."""


@dataclass(frozen=True)
class Canary:
    """One planted secret."""

    slot: str
    value: str
    username: str = ""

    def forms(self) -> dict[str, set[str]]:
        """Every way in which it could be written, by its name."""
        spellings = {self.value, "".join(self.value.split())}
        return {
            "raw": spellings,
            "base64": {_base64(text) for text in spellings},
            "base64 with user": {_base64(f"{self.username}:{text}") for text in spellings},
            "URL": {form for text in spellings for form in (quote(text), quote(text, safe=""), quote_plus(text))},
            "JSON": {form for text in spellings for form in (dumps(text)[1:-1], dumps(dumps(text)[1:-1])[1:-1])},
            "hex": {text.encode().hex() for text in spellings},
            "reversed": {text[::-1] for text in spellings},
            "either end": {edge for text in spellings for edge in (text[:EDGE], text[-EDGE:])},
        }


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode().rstrip("=")


def a_canary(slot: str, *, pattern: str = '{}"/\\+&{}', username: str = "") -> Canary:
    """Of letters that nothing else has; by default with those that JSON and addresses write otherwise."""
    letters = sha256(slot.encode()).hexdigest()
    return Canary(slot, pattern.format(f"Cn{letters[:16]}", f"{letters[16:32]}yX"), username)


def a_password(slot: str, username: str) -> Canary:
    """Six groups of four, as WordPress shows them."""
    letters = sha256(slot.encode()).hexdigest()
    return Canary(slot, " ".join(letters[at : at + 4] for at in range(0, 24, 4)), username)


def sung(canaries: Mapping[str, Canary], where: Mapping[str, bytes]) -> list[str]:
    """`slot, form, place` of each canary that came to light somewhere."""
    return sorted(_found(canaries, where))


def _found(canaries: Mapping[str, Canary], where: Mapping[str, bytes]) -> Iterator[str]:
    for canary in canaries.values():
        for name, forms in canary.forms().items():
            for place, content in where.items():
                if any(form.encode() in content for form in forms):
                    yield f"{canary.slot}, {name}: {place}"
