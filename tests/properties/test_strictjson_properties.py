"""Whatever the bytes are: a value that can be encoded, or BadJson."""

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from agent.strictjson import BadJson, parse_json

VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)
FRAGMENTS = st.sampled_from(
    [b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\\u", b"d800", b"1e999", b"NaN", b"-", b"0", b"true", b" ",
     b"\xef\xbb\xbf", b"\xff", b"9" * 5_000, b"[" * 70, b'"a":', b"\x00"]
)  # fmt: skip


@given(st.binary() | st.lists(FRAGMENTS, max_size=12).map(b"".join))
@example(b'{"\\ud800": 1, "\\ud801": 2}')
def test_bytes_are_a_value_or_bad_json(body: bytes) -> None:
    try:
        value = parse_json(body)
    except BadJson as error:
        assert error.reason in ("bad_json", "bad_encoding", "json_depth")
    else:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()


@given(VALUES, st.booleans())
def test_what_json_writes_is_read_back(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    try:
        body = text.encode()
    except UnicodeEncodeError:
        return

    assert json.dumps(parse_json(body)) == json.dumps(json.loads(text))
