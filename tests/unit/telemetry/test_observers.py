"""What the log is told of runs and requests."""

from io import StringIO
from typing import Any

import pytest
from builders import a_receipt, a_structure
from fakes import Logs

from agent.errors import BackendUnreachable, DeliveryRejected
from agent.exchange import Exchange
from agent.fleet import Bug
from agent.outcome import Outcome
from agent.redact import Redactor
from agent.state.records import Result
from agent.telemetry import events
from agent.telemetry.logs import configure
from agent.telemetry.observers import BODY_LIMIT_CHARACTERS, log_exchange, log_outcome


def test_a_run_is_one_line_that_a_person_can_read(logs: Logs) -> None:
    log_outcome(Outcome("shop", Result.DELIVERED, 0.8124, structure=a_structure(), receipt=a_receipt("42")))

    [line] = logs.lines
    del line["timestamp"]
    assert line == {
        "event": "run.finished", "level": "info", "message": "structure synced successfully", "site": "shop",
        "result": "delivered", "integration_id": "42", "post_types": 2, "taxonomies": 1, "items": 135, "changes": 0,
        "warnings": [], "http_requests": 7, "duration_ms": 812,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("result", "error", "level"),
    [
        (Result.PENDING, BackendUnreachable("m", reason="be_5xx", hint="h"), "warning"),
        (Result.HELD, DeliveryRejected("m", reason="be_rejected", hint="h"), "error"),
        (Result.CRASHED, Bug(KeyError("x")), "error"),
    ],
)
def test_a_failure_says_whether_somebody_has_to_act(logs: Logs, result: Result, error: Any, level: str) -> None:
    log_outcome(Outcome("shop", result, 0.1, error))

    [line] = logs.lines
    assert (line["level"], line["reason"], line["error"], line["hint"]) == (
        level, error.reason, error.message, error.hint
    )
    assert ("traceback" in line) == (result is Result.CRASHED)


def test_every_result_that_ends_a_run_has_its_sentence() -> None:
    assert events.SENTENCES.keys() == set(Result) - {Result.INTERRUPTED}


def an_exchange(**fields: Any) -> Exchange:
    values = {"peer": "backend", "method": "POST", "url": "https://b.example/x/", "status": 200, "duration_seconds": 0.1}
    return Exchange(**(values | fields))


def test_at_debug_a_request_is_told_with_payload_and_answer(logs: Logs, redactor: Redactor) -> None:
    redactor.add("s3cret-key")

    log_exchange(an_exchange(request_body=b'{"password": "s3cret-key"}', answer_body=b'{"access": "eyJ.new"}'))

    [line] = logs.lines
    assert (line["peer"], line["method"], line["status"], line["duration_ms"]) == ("backend", "POST", 200, 100.0)
    assert line["payload"] == '{"password": "***"}'
    assert line["body"] == '{"access": "***"}'


def test_a_request_without_an_answer_says_why(logs: Logs) -> None:
    log_exchange(an_exchange(status=None, error=BackendUnreachable("down", reason="refused", hint="h")))

    assert (logs.lines[0]["status"], logs.lines[0]["error"]) == (None, "down")


def test_a_long_body_is_cut_and_its_length_told(logs: Logs) -> None:
    log_exchange(an_exchange(answer_body=b"x" * 9_999))

    assert logs.lines[0]["body"] == "x" * BODY_LIMIT_CHARACTERS + "… (9999 bytes)"


def test_bytes_that_are_no_text_are_no_bug(logs: Logs) -> None:
    log_exchange(an_exchange(answer_body=b"\xff\xfe"))

    assert logs.lines[0]["body"] == "\ufffd\ufffd"


def test_above_debug_no_body_is_even_looked_at(redactor: Redactor, fresh_logging: None) -> None:
    stream = StringIO()
    configure(level="info", format="json", redactor=redactor, stream=stream)

    log_exchange(an_exchange(answer_body=b"x"))

    assert stream.getvalue() == ""
