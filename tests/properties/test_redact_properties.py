"""Whatever the secret is, and however it was written."""

import json
import re
from base64 import b64encode
from collections.abc import Callable
from itertools import product
from urllib.parse import quote, quote_plus

from hypothesis import given
from hypothesis import strategies as st

from agent.redact import MASK, SHORTEST_SECRET, redactor_of

# Secrets that look like a part of the way in which JSON is written.
ENDS = st.sampled_from(["", "n", "u00e4", "0e4", "ud83d", "ude00", "\\", '"', "\\u00", '\\"', '", "'])
ESCAPES = st.tuples(ENDS, st.text('nu0e4"\\/ab ä😀', min_size=2, max_size=8), ENDS).map("".join)

SECRETS = st.text(st.characters(codec="utf-8"), min_size=4, max_size=40).filter(lambda s: len(s.strip()) >= 4)
WRITINGS: list[Callable[[str], str]] = [
    str,
    quote,
    quote_plus,
    lambda s: json.dumps(s)[1:-1],
    lambda s: json.dumps(json.dumps(s))[1:-1],
    lambda s: json.dumps(json.dumps(s, ensure_ascii=False))[1:-1],
    lambda s: repr({"k": s}),
    lambda s: repr(json.dumps({"k": s})),
    lambda s: b64encode(f"bot:{s}".encode()).decode(),
    lambda s: "".join(s.split()),
]


@given(SECRETS, st.sampled_from(WRITINGS), st.sampled_from(["", " ", "x", '"', "\n"]))
def test_no_way_of_writing_shows_a_secret(secret: str, written: Callable[[str], str], around: str) -> None:
    text = written(secret)

    said = redactor_of([("bot", secret)]).hide(f"{around}{text}{around}")

    # What is left without its white space may be too short to be searched for.
    assert MASK in said or len("".join(secret.split())) < SHORTEST_SECRET
    if len(secret) >= 8:
        assert text not in said


@given(st.lists(SECRETS, min_size=1, max_size=5))
def test_the_order_of_secrets_does_not_matter(secrets: list[str]) -> None:
    text = " | ".join(secrets)

    said = redactor_of([(None, secret) for secret in secrets]).hide(text)

    assert said == redactor_of([(None, secret) for secret in reversed(secrets)]).hide(text)
    assert all(secret not in said for secret in secrets if MASK not in secret and " " not in secret and "|" not in secret)


def amid_escapes(secret: str) -> str:
    """A text that is written with the secret between two escapes, or inside of one."""
    for before, after in product(("\\", "\\u", "\\ud83d\\ude", ""), ("n", "00e4", "")):
        try:
            return str(json.loads(f'"{before}{secret}{after}"'))
        except ValueError:
            continue
    return secret


@given(st.lists(ESCAPES | SECRETS, min_size=1, max_size=3), st.lists(st.sampled_from(WRITINGS)), ESCAPES, st.booleans())
def test_a_line_of_json_stays_one_and_shows_no_secret(
    secrets: list[str], written: list[Callable[[str], str]], around: str, ascii_only: bool
) -> None:
    said = [f"{around}{write(secret)}{around}" for secret in secrets for write in (str, amid_escapes, *written)]
    event = {"event": "run.finished", "items": 1234, around: said, "inner": json.dumps(said), "deep": {"a": said[0]}}

    line = redactor_of([("bot", secret) for secret in secrets]).hide_in_json(json.dumps(event, ensure_ascii=ascii_only))

    json.loads(line)
    written_so = re.findall(r'"((?:[^"\\]|\\.)*)"', line)
    texts = [*written_so, *(json.loads(f'"{text}"') for text in written_so)]
    for secret in secrets:
        close = "".join(secret.split())
        for form in (secret, close, json.dumps(secret)[1:-1], quote(secret, safe=""), quote_plus(secret),
                     b64encode(secret.encode()).decode(), b64encode(f"bot:{secret}".encode()).decode()):  # fmt: skip
            if len(form) >= SHORTEST_SECRET and MASK not in form:
                assert [text for text in texts if form in text.replace(MASK, "\0")] == []
