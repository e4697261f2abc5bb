"""What the log is told of runs and requests."""

from io import StringIO
from typing import Any

import pytest
from builders import NOW, a_receipt, a_structure
from fakes import Logs, ManualClock

from agent.bulkhead import Bug
from agent.errors import BackendUnreachable, DeliveryRejected, SiteUnreachable
from agent.exchange import Exchange
from agent.outages import Outages, Turn, Turning
from agent.outcome import Outcome
from agent.redact import Redactor
from agent.state.records import Result
from agent.telemetry import events
from agent.telemetry.logs import BODY_LIMIT_CHARACTERS, configure
from agent.telemetry.observers import log_exchange, log_outcome


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
    log_outcome(Outcome("shop", result, 0.1, error), Turn(Turning.BEGAN, NOW, NOW))

    degraded, run = logs.lines
    assert (degraded["event"], degraded["level"]) == ("site.degraded", level)
    assert (degraded["result"], degraded["reason"], degraded["error"], degraded["hint"]) == (
        result, error.reason, error.message, error.hint
    )
    assert ("traceback" in degraded) == (result is Result.CRASHED)
    assert (run["event"], run["level"], run["result"]) == ("run.finished", "debug", result)


def test_a_site_that_fails_a_hundred_times_is_two_lines_for_an_operator(
    clock: ManualClock, redactor: Redactor, fresh_logging: None
) -> None:
    stream = StringIO()
    configure(level="info", format="json", redactor=redactor, stream=stream)
    told = Outages({}, now=clock.clock.now).tell(log_outcome)

    for _ in range(100):
        told(Outcome("shop", Result.UNREADABLE, 0.1, SiteUnreachable("down", reason="refused", hint="h")))
        clock.advance(minutes=15)
    told(Outcome("shop", Result.DELIVERED, 0.8, structure=a_structure(), receipt=a_receipt()))

    degraded, recovered, run = Logs(stream).lines
    assert (degraded["event"], degraded["level"], degraded["hint"]) == ("site.degraded", "warning", "h")
    assert (recovered["event"], recovered["degraded_for_seconds"]) == ("site.recovered", 100 * 15 * 60)
    assert (run["event"], run["level"]) == ("run.finished", "info")


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

    assert logs.lines[0]["body"] == "x" * BODY_LIMIT_CHARACTERS + "… (9999 characters)"


@pytest.mark.parametrize("shown", range(1, len("correct-horse")))
def test_a_cut_through_a_secret_shows_none_of_it(logs: Logs, redactor: Redactor, shown: int) -> None:
    redactor.add("correct-horse")
    before = "x" * (BODY_LIMIT_CHARACTERS - shown)

    log_exchange(an_exchange(answer_body=f"{before}correct-horse{before}".encode()))

    assert "c" not in logs.lines[0]["body"].removesuffix(" characters)")


def test_bytes_that_are_no_text_are_no_bug(logs: Logs) -> None:
    log_exchange(an_exchange(answer_body=b"\xff\xfe"))

    assert logs.lines[0]["body"] == "\ufffd\ufffd"


def test_above_debug_no_body_is_even_looked_at(redactor: Redactor, fresh_logging: None) -> None:
    stream = StringIO()
    configure(level="info", format="json", redactor=redactor, stream=stream)

    log_exchange(an_exchange(answer_body=b"x"))

    assert stream.getvalue() == ""
