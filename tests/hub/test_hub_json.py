"""Bodies that JSON libraries let pass or fall over: always 400, never 500."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest
from hub_browser import Browser
from hub_builders import Tenant, a_document, an_entry

from agent.backend.contract import BODY_LIMIT_BYTES

DOCUMENT = json.dumps(a_document(), ensure_ascii=False)
HOSTILE = {
    "empty": b"",
    "not JSON": b"{",
    "two values": b"{} {}",
    "byte order mark": b"\xef\xbb\xbf{}",
    "invalid UTF-8": DOCUMENT.replace("Posts", "XX").encode().replace(b"XX", b"\xff\xfe"),
    "UTF-16": DOCUMENT.encode("utf-16"),
    "depth bomb": b"[" * 100_000,
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "many small parts": b"[" + b"[]," * 900_000 + b"[]]",
    "NaN": DOCUMENT.replace("123", "NaN").encode(),
    "infinity": DOCUMENT.replace("123", "-Infinity").encode(),
    "too large a fraction": DOCUMENT.replace("123", "1e400").encode(),
    "endless integer": DOCUMENT.replace("123", "9" * 5_000).encode(),
    "duplicate key": DOCUMENT.replace('"site_url"', '"timestamp"', 1).encode(),
    "NUL": DOCUMENT.replace("Posts", "Po\\u0000sts").encode(),
    "NUL in a key": DOCUMENT.replace('"post"', '"po\\u0000st"').encode(),
    "lone surrogate": DOCUMENT.replace("Posts", "\\ud800").encode(),
    "a list": b"[]",
    "text": b'"x"',
    "null": b"null",
    "unclosed string": b'{"a": "' + b'\\"' * 20_000,
}


def post(browser: Browser, tenant: Tenant, body: object, media_type: str = "application/json") -> int:
    answer = browser.post(tenant.push_path, bearer=tenant.api_key, content=body, headers={"Content-Type": media_type})
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code
        assert isinstance(answer.json().get("errors", {}), dict)
    return answer.status_code


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_body_is_400(browser: Browser, tenant: Tenant, body: bytes) -> None:
    assert post(browser, tenant, body) == 400


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"[1e400]", "out of range"),
        (b"[-1e400]", "out of range"),
        (b"[" + b"9" * 20 + b"]", "out of range"),
        (b"[NaN]", "not a JSON number"),
        (b'{"a": 1, "a": 1}', "given twice"),
        (b'[{"b": {"a": 1, "\\u0061": 1}}]', "given twice"),
        (b'["\\udc00"]', "half a character"),
        (b"[" * 9 + b"]" * 9, "nested too deeply"),
        (b'["\xc3\x28"]', "UTF-8"),
    ],
)
def test_the_parser_itself_refuses_what_a_schema_might_let_pass(hub: object, body: bytes, said: str) -> None:
    from rest_framework.exceptions import ParseError

    from agent.hub.integrations.parsers import parse_json

    with pytest.raises(ParseError, match=said):
        parse_json(body)


def test_brackets_inside_a_text_are_not_counted(hub: object) -> None:
    from agent.hub.integrations.parsers import parse_json

    text = "[{" * 5_000 + '"\\'
    assert parse_json(json.dumps([text]).encode()) == [text]


def test_an_astral_character_written_as_a_pair_is_welcome(browser: Browser, tenant: Tenant) -> None:
    body = DOCUMENT.replace("Posts", "\\ud83d\\ude00").encode()

    assert post(browser, tenant, body) == 200
    read = browser.get(tenant.read_path, bearer=tenant.api_key).json()
    assert read["post_types"]["post"]["label"] == "😀"


def test_an_unclosed_string_costs_linear_time(hub: object) -> None:
    from rest_framework.exceptions import ParseError

    from agent.hub.integrations.parsers import parse_json

    started = time.perf_counter()
    with pytest.raises(ParseError):
        parse_json(b'"' + b'\\"' * 20_000)
    assert time.perf_counter() - started < 0.5


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_another_media_type_is_415(browser: Browser, tenant: Tenant, media_type: str) -> None:
    assert post(browser, tenant, DOCUMENT, media_type) == 415


def test_a_body_over_the_limit_is_413(browser: Browser, tenant: Tenant) -> None:
    assert post(browser, tenant, b" " * (BODY_LIMIT_BYTES + 1)) == 413


def test_a_chunked_body_is_read_whole(browser: Browser, tenant: Tenant) -> None:
    """Django alone reads a body without a length as empty."""

    async def chunks() -> AsyncIterator[bytes]:
        encoded = DOCUMENT.encode()
        yield encoded[:100]
        yield encoded[100:]

    assert post(browser, tenant, chunks()) == 200


def test_a_chunked_body_over_the_limit_is_413(browser: Browser, tenant: Tenant) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b" " * (BODY_LIMIT_BYTES // 4)

    assert post(browser, tenant, chunks()) == 413


def test_a_body_at_the_limit_is_judged_by_its_content(browser: Browser, tenant: Tenant) -> None:
    body = DOCUMENT.encode()
    assert post(browser, tenant, body + b" " * (BODY_LIMIT_BYTES - len(body))) == 200


def test_a_body_that_stalls_is_408(hub: object, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    from agent.hub import middleware

    monkeypatch.setattr(middleware, "BODY_DEADLINE_SECONDS", 0.01)
    sent: list[object] = []

    async def never() -> object:
        await asyncio.Event().wait()

    async def send(message: object) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": tenant.push_path, "headers": []}
    asyncio.run(hub.application(scope, never, send))  # type: ignore[attr-defined]

    assert sent[0]["status"] == 408  # type: ignore[index]


def test_the_form_takes_only_a_small_body(browser: Browser) -> None:
    assert browser.post("/sign-in/", content=b"x" * 70_000).status_code == 413


def test_a_label_survives_as_it_is(browser: Browser, tenant: Tenant) -> None:
    label = "  <b>“Käse” & \u202e\u2066 ﷺ\t</b> "
    post(browser, tenant, json.dumps(a_document(post_types={"x": an_entry(label)})))

    read = browser.get(tenant.read_path, bearer=tenant.api_key).json()
    assert read["post_types"]["x"]["label"] == label
