"""What tests of logic replay (tests/recorded) is what a real WordPress answers.

RECORD=1 bash tests/run tests/wordpress/test_recorded.py     writes the recordings anew
"""

import json
import os
import re
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

import pytest
from reading import read
from recordings import FOLDER, KEPT_HEADERS, PASSWORD, SITE, recorded, request_key

from agent.demo.wordpress import WordPress
from agent.transport import Answer, Transport

# Cache keys of ours in WordPress's links, and when something was written.
_OF_THE_MOMENT = re.compile(r"(?:&|&amp;|&#038;|\\u0026)_ts=[0-9.]+|\d{4}-\d\d-\d\dT[0-9:]+(?:\+00:00|Z)")

WITHOUT_TOTALS = """<?php
header_register_callback( static function () { header_remove( 'X-WP-Total' ); header_remove( 'X-WP-TotalPages' ); } );
"""
VARIANTS = [
    ("7.1-stranger", {}),
    ("7.1-administrator", {"login": "administrator"}),
    ("7.1-wrong-password", {"login": "administrator", "password": "wrong wrong wrong"}),
    ("7.1-without-totals", {"rules": WITHOUT_TOTALS}),
    ("6.1-stranger", {}),
    ("6.1-administrator", {"login": "administrator"}),
]


class Recorder:
    """Notes every exchange of a site's transport, with what identifies the site or the moment replaced."""

    def __init__(self, site: WordPress, password: str | None) -> None:
        self.exchanges: list[dict[str, Any]] = []
        self._site, self._password = site, password

    def note(self, method: str, url: str, sent: str, answer: Answer) -> None:
        method, path, asked = request_key(method, url, sent)
        self.exchanges.append(
            {
                "method": method,
                "path": path,
                "asked": asked,
                "status": answer.status,
                "headers": {key: self._neutral(answer.headers[key]) for key in KEPT_HEADERS if key in answer.headers},
                "body": self._neutral(answer.body.decode()),
            }
        )

    def _neutral(self, text: str) -> str:
        text = _OF_THE_MOMENT.sub("", text)
        for spelling in (self._site.url, self._site.url.replace("/", "\\/"), escape(self._site.url)):
            text = text.replace(spelling, SITE.replace("/", "\\/") if "\\" in spelling else SITE)
        return text.replace(self._password, PASSWORD) if self._password else text


def in_order(exchanges: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(exchanges, key=lambda one: (one["path"], one["method"], one["asked"]))


@pytest.mark.anyio
@pytest.mark.parametrize(("name", "variant"), VARIANTS, ids=[name for name, _ in VARIANTS])
async def test_what_was_recorded_is_what_wordpress_answers(
    name: str,
    variant: dict[str, str],
    module_wordpress_site: Any,
    truth: Callable[[WordPress], dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release, login = name.split("-", 1)[0], variant.get("login")
    site = module_wordpress_site.common(f"recorded-{name}", release=release, rules=variant.get("rules", ""))
    password = variant.get("password") or (site.application_password(login) if login else None)
    recorder = Recorder(site, password)
    exchange = Transport._exchange  # noqa: SLF001 - the one place where every answer comes by

    async def noted(self: Transport, request: Any, *more: Any) -> Answer:
        answer = await exchange(self, request, *more)
        recorder.note(request.method, str(request.url), request.content.decode(), answer)
        return answer

    monkeypatch.setattr(Transport, "_exchange", noted)
    await read(site, username=login, password=password)
    told = json.loads(recorder._neutral(json.dumps(truth(site))))  # noqa: SLF001
    if os.environ.get("RECORD"):
        text = json.dumps({"truth": told, "exchanges": in_order(recorder.exchanges)}, indent=1, ensure_ascii=False)
        (FOLDER / f"{name}.json").write_text(text + "\n", "utf-8")

    recording = recorded(name)
    assert told == recording["truth"]
    assert in_order(recorder.exchanges) == in_order(recording["exchanges"])
