"""One pipeline for every line, with the redactor as its last step."""

import json
import logging
from io import StringIO

import pytest
import structlog
from fakes import Logs
from hypothesis import given
from hypothesis import strategies as st

from agent.redact import Redactor, redactor_of
from agent.telemetry.logs import configure, visible

HOSTILE = "a\x1b[31mred\x1b[0m\nforged line\r\x07\x9b2J\u202ereversed\u2066"


def log() -> structlog.stdlib.BoundLogger:
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger("agent")
    return logger


def test_a_line_is_one_json_document_with_time_level_and_event(logs: Logs) -> None:
    log().info("run.finished", message="done", site="shop", items=3)

    [line] = logs.lines
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "run.finished", "level": "info", "message": "done", "site": "shop", "items": 3}


def test_lines_of_libraries_come_through_the_same_pipeline(logs: Logs, redactor: Redactor) -> None:
    redactor.add("s3cret-key")

    logging.getLogger("some.library").warning("it said %s", "s3cret-key")

    [line] = logs.lines
    assert (line["event"], line["level"]) == ("it said ***", "warning")


@pytest.mark.parametrize("library", ["httpx", "httpcore.http11", "apscheduler.scheduler", "stamina", "django.request"])
def test_libraries_that_log_whole_urls_are_quiet(logs: Logs, library: str) -> None:
    logging.getLogger(library).info("GET https://shop.example/?key=s3cret")

    assert logs.text == ""


def test_what_strangers_garble_is_no_line_and_what_an_application_breaks_is(logs: Logs) -> None:
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    logging.getLogger("uvicorn.error").error("Exception in ASGI application")

    assert [line["event"] for line in logs.lines] == ["Exception in ASGI application"]


def test_a_secret_is_hidden_wherever_it_stands(logs: Logs, redactor: Redactor) -> None:
    secret = 'pä"ss\\wörd'
    redactor.add(secret, username="bot")

    log().info(f"event {secret}", message=secret, payload=json.dumps({"password": secret}), deep={"a": [secret]})
    try:
        raise ValueError(f"could not use {secret}")
    except ValueError as error:
        log().error("bug", exc_info=error)
        logging.getLogger("library").exception("it failed: %s", secret)

    assert len(logs.lines) == 3
    for form in ("pä", "p\\u00e4", "wörd", "w\\u00f6rd"):
        assert form not in logs.text
    assert "ValueError: could not use ***" in logs.lines[1]["exception"]


def test_a_traceback_shows_no_locals(logs: Logs) -> None:
    def fails() -> None:
        local = "s3cret-local"
        raise ValueError(len(local))

    try:
        fails()
    except ValueError as error:
        log().error("bug", exc_info=error)

    assert "s3cret" not in logs.text.replace('local = "s3cret-local"', "")
    assert "ValueError: 12" in logs.lines[0]["exception"]


@pytest.mark.parametrize("format", ["json", "console"])
def test_nothing_in_a_line_moves_the_cursor_or_reverses_it(format: str, fresh_logging: None) -> None:
    stream = StringIO()
    configure(level="debug", format=format, redactor=Redactor(), stream=stream)  # type: ignore[arg-type]

    log().info("run.finished", message=HOSTILE, site=HOSTILE)
    logging.getLogger("library").warning(HOSTILE)

    assert not set("\x1b\r\x07\x9b\u202e\u2066") & set(stream.getvalue())
    assert len(stream.getvalue().splitlines()) == 2


def test_on_a_terminal_only_our_own_colours_remain(fresh_logging: None) -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    configure(level="debug", format="auto", redactor=Redactor(), stream=stream)

    log().info("run.finished", message="a\x1b[31mred\nforged", site="b\x1b[31mred")

    said = stream.getvalue()
    assert "\x1b[" in said
    assert "\x1b[31mred" not in said
    assert said.count("\n") == 1


def test_a_line_cannot_be_forged_in_json(logs: Logs) -> None:
    log().info("event", message='x"}\n{"event": "forged"}')

    assert len(logs.lines) == 1


def test_people_read_the_sentence_first(fresh_logging: None) -> None:
    stream = StringIO()
    configure(level="info", format="console", redactor=Redactor(), stream=stream)

    log().info("run.finished", message="structure synced successfully", site="shop")

    said = stream.getvalue()
    assert "structure synced successfully" in said
    assert said.index("structure synced") < said.index("run.finished") < said.index("\n")


def test_auto_is_json_where_nobody_watches(fresh_logging: None) -> None:
    stream = StringIO()
    configure(level="info", format="auto", redactor=Redactor(), stream=stream)

    log().info("event")

    assert json.loads(stream.getvalue())["event"] == "event"


@pytest.mark.parametrize(
    ("level", "seen"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)]
)
def test_a_level_leaves_out_what_is_below_it(level: str, seen: int, fresh_logging: None) -> None:
    stream = StringIO()
    configure(level=level, format="json", redactor=Redactor(), stream=stream)  # type: ignore[arg-type]

    for name in ("debug", "info", "warning", "error"):
        getattr(log(), name)("event")

    assert len(stream.getvalue().splitlines()) == seen


def test_a_closed_stream_is_no_reason_to_print_anything_elsewhere(
    fresh_logging: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """The standard library would write the record's raw arguments to stderr, past every filter."""
    stream = StringIO()
    configure(level="info", format="json", redactor=redactor_of([(None, "s3cret-key")]), stream=stream)
    stream.close()

    logging.getLogger("library").warning("it said %s", "s3cret-key")

    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("Käse 😀 كتب\ttab\nline", "Käse 😀 كتب\ttab\nline"),
        ("\x00\x1b\x7f\x85\x9b", "\ufffd" * 5),
        ("\u202e\u2066\u200f\u061c", "\ufffd" * 4),
    ],
)
def test_what_can_be_seen_is_kept(text: str, seen: str) -> None:
    assert visible(text) == seen


@given(st.text())
def test_no_text_keeps_a_control_character(text: str) -> None:
    left = set(visible(text)) - {"\n", "\t"}

    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in left)
