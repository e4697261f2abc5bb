"""Whatever the secret is, and however it was written."""

import json
from base64 import b64encode
from collections.abc import Callable
from urllib.parse import quote, quote_plus

from hypothesis import given
from hypothesis import strategies as st

from agent.redact import MASK, SHORTEST_SECRET, redactor_of

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
