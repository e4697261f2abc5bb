"""The one place that hides secrets, as the last step before text leaves the process."""

import json
import re
from base64 import b64encode
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

MASK = "***"

# Shorter values are not searched for: masking every "a" of a log would hide the log, not the secret.
SHORTEST_SECRET = 4

LEARNED_KEPT = 64
"""Tokens of a year would fill the memory; one that was replaced so often has long expired."""

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
_MAY_SPEAK = re.compile(_KEYS + "|Bearer|Basic")

_in_any_letters = json.JSONEncoder(ensure_ascii=False).encode

# Of a line of JSON: its strings, and what stands in it without quotation marks.
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s"{}\[\],:]+')
_JSON_SPOKEN_SECRET = re.compile(rf'("{_KEYS}"\s*:\s*)"(?:[^"\\]|\\.)*"')
# A letter outside the first plane takes two escapes, and half of it is no letter.
_JSON_ESCAPE = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.")


class Redactor:
    """Replaces every known secret, in every form it takes on the wire, by `***`.

    Each secret is known raw, URL-quoted, escaped as in JSON and in Python's repr (once, and twice:
    a body of JSON inside a line of JSON), as base64, and without white space (application
    passwords are shown in groups of four and accepted either way); together with its user name
    also as the base64 of Basic authentication. Tokens learned later join them.
    """

    def __init__(self) -> None:
        self._known = _Forms()
        self._learned: deque[str] = deque(maxlen=LEARNED_KEPT)
        self._learned_forms = _Forms()
        self._starts: re.Pattern[str] | None = None

    def add(self, secret: str, *, username: str | None = None) -> None:
        """Hide this from now on, and for ever."""
        self._known.add(_all_forms(secret, username))
        self._starts = None

    def forget(self, secret: str, *, username: str | None = None) -> None:
        """No longer hide what was added once; what was added more often stays hidden."""
        self._known.remove(_all_forms(secret, username))
        self._starts = None

    def learn(self, token: str) -> None:
        """Hide this from now on, until many newer ones have replaced it."""
        if token not in self._learned:
            self._learned.append(token)
            self._learned_forms = _Forms()
            for known in self._learned:
                self._learned_forms.add(_all_forms(known, None))
            self._starts = None

    def hide(self, text: str) -> str:
        text = _masked(text, self._spans(text))
        if not _MAY_SPEAK.search(text):
            return text
        return _SPOKEN_SECRET.sub(lambda found: f"{found['plain'] or found['inner'] or found['scheme']}{MASK}", text)

    def hide_in_json(self, line: str) -> str:
        """The JSON document without its secrets; still one, whatever a secret looks like."""
        if "\\" not in line and line == self.hide(line):
            return line  # nearly all: nothing to hide, and nothing that is written otherwise than it reads
        line = _JSON_TOKEN.sub(lambda found: self._hide_token(found[0]), line)
        return _JSON_SPOKEN_SECRET.sub(rf'\1"{MASK}"', line)

    def _hide_token(self, token: str) -> str:
        if not token.startswith('"'):
            return token if self.hide(token) == token else f'"{MASK}"'
        value = json.loads(token)
        said = self.hide(value)
        token = token if said == value else json.dumps(said)
        # A form may also come about by the way of writing: "u00e4" is in the text of "\u00e4".
        return _masked(token, _whole_escapes(token, self._spans(token, inset=1))) if "\\" in token else token

    def _spans(self, text: str, *, inset: int = 0) -> Iterator[tuple[int, int]]:
        """Where forms begin and end; overlapping ones as one, so that none leaves a readable rest."""
        self._starts = self._starts or _starting((*self._known.lengths, *self._learned_forms.lengths))
        begun: int | None = None
        end = 0
        for found in self._starts.finditer(text, inset, len(text) - inset):
            at, limit = found.start(), len(text) - inset
            length = max(self._known.longest_at(at, text, limit), self._learned_forms.longest_at(at, text, limit))
            if not length:
                continue
            if begun is not None and at >= end:
                yield begun, end
                begun = None
            begun = at if begun is None else begun
            end = max(end, at + length)
        if begun is not None:
            yield begun, end


def redactor_of(secrets: Iterable[tuple[str | None, str]]) -> Redactor:
    """A redactor that knows these (user name or None, secret) pairs."""
    redactor = Redactor()
    for username, secret in secrets:
        redactor.add(secret, username=username)
    return redactor


def _starting(starts: Iterable[str]) -> re.Pattern[str]:
    """Where a form may begin: looked for letter by letter, at a speed that no loop of ours has."""
    letters = [re.escape("".join(sorted(set(column)))) for column in zip(*starts, strict=True)]
    return re.compile(f"(?={''.join(f'[{column}]' for column in letters)})" if letters else "(?!)")


def _masked(text: str, spans: Iterable[tuple[int, int]]) -> str:
    parts, shown_from = [], 0
    for start, end in spans:
        parts += [text[shown_from:start], MASK]
        shown_from = end
    return "".join((*parts, text[shown_from:])) if parts else text


def _whole_escapes(token: str, spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The spans, each widened to the whole of the escapes that it cuts; in order, without overlaps."""
    escapes = [found.span() for found in _JSON_ESCAPE.finditer(token)]
    widened: list[tuple[int, int]] = []
    for start, end in spans:
        cut = [escape for escape in escapes if escape[0] < end and start < escape[1]]
        first, last = min([start, *(one for one, _ in cut)]), max([end, *(one for _, one in cut)])
        if widened and first < widened[-1][1]:
            first = widened.pop()[0]
        widened.append((first, last))
    return widened


class _Forms:
    """Texts to look for, found as fast among ten thousand secrets as among two."""

    def __init__(self) -> None:
        self._texts: Counter[str] = Counter()
        self.lengths: dict[str, Counter[int]] = {}
        """By their first letters."""

    def add(self, forms: Iterable[str]) -> None:
        for form in forms:
            if len(form) >= SHORTEST_SECRET:
                self._texts[form] += 1
                self.lengths.setdefault(form[:SHORTEST_SECRET], Counter())[len(form)] += 1

    def remove(self, forms: Iterable[str]) -> None:
        for form in forms:
            if self._texts[form] < 2:
                del self._texts[form]
            else:
                self._texts[form] -= 1
            start = form[:SHORTEST_SECRET]
            if start in self.lengths:
                self.lengths[start] -= Counter([len(form)])
                if not self.lengths[start]:
                    del self.lengths[start]

    def longest_at(self, at: int, text: str, limit: int) -> int:
        """The length of the longest form that stands there and ends before the limit; 0 for none."""
        lengths = self.lengths.get(text[at : at + SHORTEST_SECRET], ())
        fitting = (length for length in lengths if at + length <= limit and text[at : at + length] in self._texts)
        return max(fitting, default=0)


def _all_forms(secret: str, username: str | None) -> set[str]:
    forms: set[str] = set()
    for spelling in {secret, "".join(secret.split())}:
        forms.update(_forms_of(spelling))
        if username is not None:
            forms.add(_base64(f"{username}:{spelling}"))
    return forms


def _forms_of(secret: str) -> Iterator[str]:
    for once in set(_escaped(secret)):
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
    ascii_only = json.dumps(text)[1:-1]
    yield ascii_only
    yield _in_any_letters(text)[1:-1]
    yield ascii_only.replace("/", "\\/")  # as PHP writes it
    # repr escapes apostrophes only beside quotation marks.
    yield repr(f'"{text}')[2:-1]
    yield repr(f"{text}'")[1:-2]


def _base64(text: str) -> str:
    return b64encode(text.encode("utf-8", "surrogatepass")).decode("ascii")
