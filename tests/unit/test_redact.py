"""No secret leaves the process in any form it takes on the way."""

import json
from base64 import b64encode
from urllib.parse import quote, quote_plus, urlencode

import pytest

from agent.redact import LEARNED_KEPT, Redactor, redactor_of

PASSWORD = "abcd EFGH 1234 ijkl MNOP 5678"
NASTY = "pä/s\"s' \\w=ö&d"


def hidden(text: str, secret: str = PASSWORD, username: str | None = None) -> str:
    return redactor_of([(username, secret)]).hide(text)


@pytest.mark.parametrize("secret", [PASSWORD, NASTY, "0123456789abcdef", "wpsa_🔑_key", "it's"])
@pytest.mark.parametrize(
    "form",
    [
        str,
        lambda s: quote(s),
        lambda s: quote(s, safe=""),
        lambda s: quote_plus(s),
        lambda s: urlencode({"k": s}),
        lambda s: json.dumps({"k": s}),
        lambda s: json.dumps({"k": s}, ensure_ascii=False),
        lambda s: json.dumps({"k": s}).replace("/", "\\/"),
        lambda s: json.dumps({"body": json.dumps({"k": s})}),
        lambda s: json.dumps({"body": json.dumps({"k": s}, ensure_ascii=False)}),
        lambda s: json.dumps({"body": json.dumps({"k": s}, ensure_ascii=False)}, ensure_ascii=False),
        lambda s: repr({"k": s}),
        lambda s: repr(json.dumps({"k": s})),
        lambda s: repr(json.dumps({"k": s, "n": "it's"})),
        lambda s: b64encode(s.encode()).decode(),
        lambda s: b64encode(s.encode()).decode().rstrip("="),
        lambda s: b64encode(f"bot:{s}".encode()).decode(),
        lambda s: b64encode(f"bot:{''.join(s.split())}".encode()).decode(),
        lambda s: "".join(s.split()),
    ],
)  # fmt: skip
def test_a_secret_is_hidden_in_every_form(secret: str, form: object) -> None:
    written = form(secret)  # type: ignore[operator]

    said = hidden(f"before {written} after", secret, "bot")

    assert written not in said
    assert secret not in said
    assert "***" in said
    assert said.startswith("before ")
    assert said.endswith(" after")


def test_text_without_secrets_stays_as_it_is() -> None:
    assert hidden("nothing to see: 1234 abcd") == "nothing to see: 1234 abcd"


def test_a_secret_inside_another_leaves_no_rest() -> None:
    assert redactor_of([(None, "long-secret"), (None, "long-secret-longer")]).hide("long-secret-longer") == "***"


def test_a_value_too_short_to_search_for_does_not_hide_the_log() -> None:
    assert hidden("abc and a", "abc") == "abc and a"


def test_tokens_learned_later_are_hidden_from_then_on() -> None:
    redactor = Redactor()
    before = redactor.hide("token-1")
    redactor.add("token-1")

    assert (before, redactor.hide("token-1")) == ("token-1", "***")


def test_a_token_that_was_replaced_many_times_takes_no_memory_any_more() -> None:
    redactor = redactor_of([(None, "secret-for-ever")])
    for number in range(LEARNED_KEPT + 1):
        redactor.learn(f"token-{number:03}")
        redactor.learn(f"token-{number:03}")

    said = redactor.hide(f"token-000 token-001 token-{LEARNED_KEPT:03} secret-for-ever")

    assert said == "token-000 *** *** ***"


@pytest.mark.parametrize(
    ("text", "secret", "said"),
    [
        ('{"a": "x\\nabcd"}', "nabcd", '{"a": "x***"}'),
        ('{"a": "\\u00e4bcd"}', "u00e4bcd", '{"a": "***"}'),
        ('{"a": "abc\\"d"}', "abc\\", '{"a": "***d"}'),
        ('{"a": "\\ud83d\\ude00bcd"}', "ude00bcd", '{"a": "***"}'),
        ('{"items": 12345, "b": true}', "12345", '{"items": "***", "b": true}'),
        ('{"token": "unknown", "b": "it\'s"}', "secret", '{"token": "***", "b": "it\'s"}'),
        (json.dumps({"body": "{'token': 'cut off", "b": "it's"}), "secret", '{"body": "{\'token\': \'***", "b": "it\'s"}'),
    ],
)  # fmt: skip
def test_a_line_of_json_is_still_one_without_its_secrets(text: str, secret: str, said: str) -> None:
    assert redactor_of([(None, secret)]).hide_in_json(text) == said
    json.loads(said)


def test_ten_thousand_secrets_overlap_and_leave_no_rest() -> None:
    redactor = redactor_of((None, f"abcd{number:06}") for number in range(10_000))
    redactor.add("3456xyz")

    assert redactor.hide("<abcd003456xyz> <abcd-3456>") == "<***> <abcd-3456>"


def test_a_secret_with_bytes_that_are_no_text_is_no_bug() -> None:
    assert hidden("x ab\udcffcd y", "ab\udcffcd") == "x *** y"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"access": "eyJhb", "n": 1}', '{"access": "***", "n": 1}'),
        ('{"refresh":"eyJhb"}', '{"refresh":"***"}'),
        ("{'password': 'unknown'}", "{'password': '***'}"),
        (json.dumps({"body": '{"token": "eyJhb"}'}), '{"body": "{\\"token\\": \\"***\\"}"}'),
        ('{"password": "a\\"b\\\\"}', '{"password": "***"}'),
        (json.dumps({"body": json.dumps({"password": 'a"b'}), "n": 1}),
         '{"body": "{\\"password\\": \\"***\\"}", "n": 1}'),
        ('{"body": "{\\"access\\": \\"eyJhbGci… (9000 bytes)", "n": 1}', '{"body": "{\\"access\\": \\"***", "n": 1}'),
        ('{"access": "eyJhb', '{"access": "***'),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer ***"),
        ('"authorization": "Basic dXNlcjpw"', '"authorization": "Basic ***"'),
        ("a bearer of news", "a bearer of news"),
        ('{"reset_password_url": "x"}', '{"reset_password_url": "x"}'),
    ],
)  # fmt: skip
def test_a_secret_nobody_could_know_yet_is_known_by_its_key(text: str, said: str) -> None:
    assert Redactor().hide(text) == said


def test_what_is_forgotten_is_shown_again_in_every_form_and_what_was_added_twice_is_not() -> None:
    redactor = redactor_of([("bot", PASSWORD), (None, "shared-secret"), (None, "shared-secret")])
    basic = b64encode(f"bot:{PASSWORD}".encode()).decode()

    redactor.forget(PASSWORD, username="bot")
    redactor.forget("shared-secret")

    assert redactor.hide(f"{PASSWORD} {basic} shared-secret") == f"{PASSWORD} {basic} ***"
    redactor.forget("shared-secret")
    assert redactor.hide("shared-secret") == "shared-secret"
