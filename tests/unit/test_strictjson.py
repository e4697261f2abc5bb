"""JSON from strangers."""

from typing import Any

import pytest

from agent.strictjson import DEPTH_LIMIT, BadJson, parse_json, parse_json_in_noise


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": [1, 2.5, "x", null, true]}', {"a": [1, 2.5, "x", None, True]}),
        (b"\xef\xbb\xbf{}", {}),
        (b" [] \n", []),
        ('"Käse"'.encode(), "Käse"),
        (b'"\\ud83d\\ude00"', "😀"),
        (b'"\\u0000"', "\0"),
        (b"[" * DEPTH_LIMIT + b"]" * DEPTH_LIMIT, None),
        (b'"' + b"[" * 5_000 + b'"', "[" * 5_000),
        (b'"' + b'\\"[' * 5_000 + b'"', '"[' * 5_000),
        (b"[" + b"[]," * 5_000 + b"[]]", None),
    ],
)
def test_what_is_json_is_read(body: bytes, value: Any) -> None:
    parsed = parse_json(body)

    assert value is None or parsed == value


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "bad_json"),
        (b"<!doctype html>", "bad_json"),
        (b'{"a": 1} <!-- cached -->', "bad_json"),
        (b"Notice: x\n{}", "bad_json"),
        (b"\xef\xbb\xbf\xef\xbb\xbf{}", "bad_json"),
        (b"NaN", "bad_json"),
        (b"[Infinity]", "bad_json"),
        (b"-Infinity", "bad_json"),
        (b"1e400", "bad_json"),
        (b"-1e400", "bad_json"),
        (b"9" * 5_000, "bad_json"),
        (b'{"a": 1, "a": 1}', "bad_json"),
        (b'{"a": {"b": 1, "b": 2}}', "bad_json"),
        (b"[" * (DEPTH_LIMIT + 1) + b"]" * (DEPTH_LIMIT + 1), "json_depth"),
        (b"[" * 200_000, "json_depth"),
        (b'{"a":' * 100_000, "json_depth"),
        (b'"unclosed' + b"[" * 100_000, "bad_json"),
        (b'"\xff"', "bad_encoding"),
        ("[1]".encode("utf-16"), "bad_encoding"),
        (b"'single'", "bad_json"),
        (b"[1,]", "bad_json"),
    ],
)
def test_what_is_none_is_refused_by_name(body: bytes, reason: str) -> None:
    with pytest.raises(BadJson) as refused:
        parse_json(body)

    assert refused.value.reason == reason


@pytest.mark.parametrize("body", [b'"\\ud800"', b'{"\\udfff": ["\\ud800x"]}', b'["\\udc00\\ud800"]'])
def test_lone_surrogates_become_something_that_can_be_encoded(body: bytes) -> None:
    assert "\ufffd" in str(parse_json(body)).encode().decode()


def test_nothing_of_the_body_stands_in_the_message() -> None:
    with pytest.raises(BadJson) as refused:
        parse_json(b'{"password": "s3cret"')

    assert "s3cret" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("depth", [DEPTH_LIMIT + 1, 2 * DEPTH_LIMIT, 2 * DEPTH_LIMIT + 1, 900])
def test_whole_levels_count_like_half_ones(depth: int) -> None:
    with pytest.raises(BadJson, match="deeper than 64"):
        parse_json(b"[[], " + b"[" * (depth - 1) + b"]" * (depth - 1) + b"]")


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf\xef\xbb\xbf\n[1]",
        b"<br />\n<b>Notice</b>: Undefined index [x] in <b>/a.php</b> on line <b>3</b>\n[1]",
        b"[1]\n<!-- Cached -->\n<!-- by x -->",
        b"Warning: {\n[1]<!-- [2] -->",
    ],
)
def test_noise_around_json_is_looked_past_where_that_is_asked_for(body: bytes) -> None:
    assert parse_json_in_noise(body) == ([1], True)
    with pytest.raises(BadJson):
        parse_json(body)


@pytest.mark.parametrize(
    "body", [b"<html>[1]</html>", b"<script>{}</script>", b"[1", b"", b"Notice: 5", b"x" * 70_000 + b"[1]"]
)
def test_json_inside_something_else_is_none(body: bytes) -> None:
    with pytest.raises(BadJson):
        parse_json_in_noise(body)


def test_json_without_noise_is_no_noise() -> None:
    assert parse_json_in_noise(b'{"a": 1}') == ({"a": 1}, False)


@pytest.mark.parametrize("text", ["1", '"\\u0041"'])
@pytest.mark.parametrize("depth", [DEPTH_LIMIT + 1, 400, 900])
def test_a_quote_in_the_noise_hides_no_depth(depth: int, text: str) -> None:
    with pytest.raises(BadJson):
        parse_json_in_noise(b'a " in front' + b"[" * depth + text.encode() + b"]" * depth)
