"""Values for people and for programs."""

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from builders import NOW, a_post_type, a_receipt, a_structure, a_taxonomy, counted, uncounted

from agent import report
from agent.asjson import error_json, outcome_json
from agent.diagnosis import Finding, Level
from agent.errors import BackendUnreachable, DeliveryRejected, SiteUnreachable
from agent.outcome import Outcome
from agent.state.records import Result
from agent.structure.diff import Changes
from agent.structure.model import Family

HOSTILE = "a\x1b[31mb\rc\nd\u202ee\x9bf\x07g\u2028h"


def error(kind: Any = SiteUnreachable, message: str = "what happened") -> Any:
    return kind(message, reason="refused", hint="Do it.")


def clean(text: str) -> bool:
    return not any(c in text for c in "\x1b\r\u202e\x9b\x07\u2028")


def test_a_structure_is_two_plain_tables_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    known = {(Family.POST_TYPE, "film"): 1_234_567}
    report.print_structure(
        a_structure(
            (a_post_type("book", "Books"), counted(7)), (a_post_type("film"), uncounted()),
            (a_taxonomy("genre"), uncounted()), last_known=known,
        )
    )  # fmt: skip

    out, err = capsys.readouterr()
    assert clean(out + err)
    assert "Books" in out
    assert "1,234,567" in out
    assert "last_known (stale)" in out
    assert "WordPress 6.9 (by etag)" in out
    assert "genre: the count could not be learned (http_500); the entry is left out" in err


def test_nothing_a_stranger_wrote_moves_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    structure = a_structure(
        (a_post_type("book", HOSTILE), counted(1)), title=HOSTILE, site_url=f"https://x/{HOSTILE}", warnings=(HOSTILE,)
    )
    failed = error(message=HOSTILE)
    report.print_structure(structure)
    outcomes = [Outcome(HOSTILE, Result.UNREADABLE, 1.0, failed), Outcome("b", Result.DELIVERED, 1.0, structure=structure)]
    report.print_outcomes([outcome_json(outcome) for outcome in outcomes])
    report.print_findings([Finding(HOSTILE, "WordPress", HOSTILE), Finding("s", "w", HOSTILE, Level.FAILED, hint=HOSTILE)])
    report.print_changes(Changes((HOSTILE,), (HOSTILE,)))
    report.print_rows("a", ("b",), [(HOSTILE, HOSTILE)])
    report.print_error(failed)

    out, err = capsys.readouterr()
    assert clean(out + err)


def test_an_error_is_one_line_with_its_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    report.print_error(error(message="two\nlines " + "x" * 300))

    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("error: two lines ")
    assert err.endswith("— Do it.\n")


def test_outcomes_are_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = [
        Outcome("a", Result.DELIVERED, 1.25, structure=a_structure(), receipt=a_receipt("42")),
        Outcome("b", Result.DELIVERED, 1.0, receipt=a_receipt("43")),
        Outcome("c", Result.PENDING, 1.0, error(BackendUnreachable)),
        Outcome("d", Result.HELD, 1.0, error(DeliveryRejected)),
        Outcome("e", Result.UNREADABLE, 1.0, error()),
    ]

    report.print_outcomes([outcome_json(outcome) for outcome in outcomes])

    assert capsys.readouterr().out.splitlines() == [
        "a: structure synced successfully · integration 42 · 2 post types, 1 taxonomy, 135 items · 1.2 s",
        "b: structure synced successfully · integration 43",
        "c: delivery pending: what happened",
        "  hint: Do it.",
        "d: delivery waits for you: what happened",
        "  hint: Do it.",
        "e: failed: what happened",
        "  hint: Do it.",
    ]


def test_an_outcome_is_a_document_for_programs() -> None:
    outcome = Outcome("a", Result.DELIVERED, 1.25, structure=a_structure(), receipt=a_receipt())

    said = outcome_json(outcome)

    assert said | {"structure": None} == {
        "site": "a", "result": "delivered", "exit_code": 0, "integration_id": "42", "duration_ms": 1250,
        "changes": {"structure": [], "counts": []}, "structure": None, "error": None,
    }  # fmt: skip
    assert said["structure"]["post_types"]["post"]["count"] == 123
    assert "provenance" in said["structure"]
    json.dumps(said, default=str)


def test_an_error_is_a_document_for_programs() -> None:
    assert error_json(error()) == {
        "error": "SiteUnreachable", "reason": "refused", "message": "what happened", "hint": "Do it.", "exit_code": 69
    }  # fmt: skip


def test_json_keeps_letters_and_ends_with_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    report.print_json({"a": "Käse 😀", "at": NOW})

    out = capsys.readouterr().out
    assert "Käse 😀" in out
    assert out.endswith("}\n")
    assert json.loads(out)["a"] == "Käse 😀"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 seconds ago"), (1, "1 second ago"), (59, "59 seconds ago"), (60, "1 minute ago"),
        (3_600, "1 hour ago"), (7_300, "2 hours ago"), (86_400, "1 day ago"), (30 * 86_400, "30 days ago"),
        (-1, "in 1 second"), (-7_200, "in 2 hours"),
    ],
)  # fmt: skip
def test_how_long_ago(seconds: int, said: str) -> None:
    assert report.ago(NOW - timedelta(seconds=seconds), now=NOW) == said


def test_never_is_never() -> None:
    assert report.ago(None, now=NOW) == "never"


def test_what_a_check_found_has_its_remedy_below(capsys: pytest.CaptureFixture[str]) -> None:
    report.print_findings([
        Finding("shop", "WordPress", "fine"),
        Finding("shop", "login", "so so", Level.NOTE),
        Finding("shop", "integration", "bad", Level.FAILED, hint="Do it."),
    ])

    assert capsys.readouterr().out.splitlines() == [
        "ok      shop · WordPress: fine",
        "note    shop · login: so so",
        "FAILED  shop · integration: bad",
        "        hint: Do it.",
    ]


# --- progress on a terminal ---------------------------------------------------------------------


def a_terminal(monkeypatch: pytest.MonkeyPatch) -> StringIO:
    """A terminal, for stdout and stderr alike; no fixture, for pytest puts its own streams back after those."""

    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    shown = Terminal()
    monkeypatch.setattr("sys.stdout", shown)
    monkeypatch.setattr("sys.stderr", shown)
    monkeypatch.setenv("TERM", "xterm")
    return shown


def test_who_waits_for_several_sites_sees_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = a_terminal(monkeypatch)
    with report.progress(3) as heard:
        for site in ("a", HOSTILE, "c"):
            heard({"site": site})

    assert "3/3" in terminal.getvalue()
    assert "\u202e" not in terminal.getvalue()


@pytest.mark.parametrize("total", [0, 1, 2])
def test_of_one_site_or_two_it_is_soon_seen_how_they_went(monkeypatch: pytest.MonkeyPatch, total: int) -> None:
    terminal = a_terminal(monkeypatch)
    with report.progress(total) as heard:
        heard({"site": "a"})

    assert terminal.getvalue() == ""


def test_in_a_pipe_nothing_moves(capsys: pytest.CaptureFixture[str]) -> None:
    with report.progress(100) as heard:
        heard({"site": "a"})

    assert capsys.readouterr() == ("", "")
