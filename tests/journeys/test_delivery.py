"""What reaches a backend: the truth, once in effect, however the backend behaves meanwhile."""

import json
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from backend import LIST_SHAPES, StandIn
from journey import API_KEY, PATIENCE_SECONDS, Wpsa

KEYS = [
    "site_url", "wordpress_version", "timestamp", "post_types", "taxonomies",
    "plugin_connection_enabled", "two_way_sync_enabled",
]  # fmt: skip


@pytest.mark.parametrize("shape", LIST_SHAPES)
def test_the_pushed_document_is_what_wordpress_says_of_itself(
    wpsa: Wpsa, backend: StandIn, truth: dict[str, Any], shape: str
) -> None:
    backend.shape = shape

    done = wpsa.run("sync")

    assert done.code == 0, done.stderr
    (push,) = backend.pushes
    assert push.integration == "8"
    assert sorted(push.document) == sorted(KEYS)
    assert push.document["site_url"] == truth["site_url"]
    assert push.document["wordpress_version"] == truth["wordpress_version"]
    assert push.document["timestamp"].endswith("Z")
    for family in ("post_types", "taxonomies"):
        assert push.document[family] == {
            slug: {"label": entry["label"], "count": entry["count"], "enabled": True, "fetch_limit": 100}
            for slug, entry in truth[family].items()
        }


def test_choices_of_the_operator_travel_with_the_document(wpsa: Wpsa, backend: StandIn) -> None:
    (wpsa.home / "wpsa.toml").write_text(
        "[structure]\nfetch_limit = 250\ntwo_way_sync_enabled = false\npost_types.book.enabled = false\n"
    )

    done = wpsa.run("--config", "wpsa.toml", "sync")

    assert done.code == 0, done.stderr
    (push,) = backend.pushes
    book, post = push.document["post_types"]["book"], push.document["post_types"]["post"]
    assert (book["enabled"], book["fetch_limit"], post["enabled"]) == (False, 250, True)
    assert push.document["two_way_sync_enabled"] is False


@pytest.mark.parametrize(
    ("fault", "code", "word"),
    [
        ("drop before commit", 75, "delivery pending"),
        ("html", 76, "delivery pending"),
        ("422", 65, "delivery waits for you"),
        ("401", 77, "delivery waits for you"),
    ],
)
def test_a_push_that_fails_is_no_success(wpsa: Wpsa, backend: StandIn, fault: str, code: int, word: str) -> None:
    backend.fault = fault

    done = wpsa.run("sync")

    assert done.code == code, done.stdout
    assert word in done.stdout
    assert "successfully" not in done.stdout + done.stderr
    assert backend.stored == {}


def test_a_web_page_is_no_success_although_the_site_did_not_change(wpsa: Wpsa, backend: StandIn) -> None:
    """What the backend shows is equal to what was pushed, but of the day before: its readers see an old time."""
    assert wpsa.run("sync").code == 0
    backend.fault = "html"
    # By the backend's own clock, it was fetched before the second one was owed.
    earlier = datetime.now(UTC) - timedelta(days=1)
    backend.stored["8"]["last_structure_fetch"] = earlier.isoformat()

    assert wpsa.run("sync").code == 76


def test_what_is_queued_is_delivered_once_the_backend_shows_it(wpsa: Wpsa, backend: StandIn) -> None:
    backend.fault = "202"

    done = wpsa.run("sync")

    assert done.code == 0, done.stdout + done.stderr


def test_a_rejected_document_is_never_sent_again_and_the_next_one_is(wpsa: Wpsa, backend: StandIn) -> None:
    backend.fault = "422"
    rejected = wpsa.run("sync")
    backend.heal()
    sent = backend.attempts
    [standing] = wpsa.run("status", "--json").json

    # The site is down, so nothing newer takes the place of what was rejected.
    down = wpsa.run("sync", SITE_URL="http://127.0.0.1:9")

    assert (rejected.code, down.code) == (65, 69)
    assert "not allowed here" in rejected.stdout
    assert (standing["pending"]["quarantined"], standing["pending"]["next_at"]) == (True, None)
    assert "refused; the next slot's takes its place" in wpsa.run("status").stdout
    assert backend.attempts == sent
    assert wpsa.run("sync").code == 0
    assert backend.attempts == sent + 1


def test_a_key_that_is_replaced_while_a_sync_runs_is_read_anew(wpsa: Wpsa, backend: StandIn) -> None:
    file = wpsa.home / "key"
    file.write_text(f"{API_KEY}\n")
    del wpsa.settings["BACKEND_API_KEY"]
    backend.listing_fault = "hang"  # after the old key was taken, and before the push
    with wpsa.start("--log-level", "debug", "sync", BACKEND_API_KEY_FILE=str(file)) as running:
        assert backend.listed.wait(PATIENCE_SECONDS)
        backend.api_key = "key-CANARY-of-the-next-year"
        file.write_text(backend.api_key)
        backend.released.set()
        code = running.process.wait(PATIENCE_SECONDS)

    assert code == 0
    assert len(backend.pushes) == 1
    logged = "".join(data.decode("utf-8", "replace") for name, data in wpsa.files().items() if "stderr" in name)
    assert "request.finished" in logged
    assert "CANARY" not in logged


def test_a_damaged_state_is_set_aside_and_everything_read_anew(wpsa: Wpsa, backend: StandIn) -> None:
    assert wpsa.run("sync").code == 0
    file = wpsa.state / "state.sqlite3"
    file.write_bytes(b"\0" * 4096 + file.read_bytes()[4096:])

    seen = wpsa.run("status")
    mended = wpsa.run("sync")

    assert (seen.code, len(seen.said)) == (74, 1), seen.stderr
    assert "the state is damaged" in seen.said[0]
    assert mended.code == 0, mended.stderr
    [warning] = [line for line in mended.log if line["event"] == "state.rebuilt"]
    aside = Path(warning["set_aside"])
    assert aside.read_bytes().startswith(b"\0" * 4096)
    assert aside.stat().st_mode & 0o777 == 0o600
    assert backend.pushes[1].generation > backend.pushes[0].generation
    assert wpsa.run("status").code == 0
    assert [line["event"] for line in wpsa.run("sync").log].count("state.rebuilt") == 0


def test_what_a_backend_is_owed_reaches_it_with_the_next_sync(wpsa: Wpsa, backend: StandIn) -> None:
    backend.fault = "500"

    failed = wpsa.run("sync")
    backend.heal()
    mended = wpsa.run("sync")

    assert (failed.code, mended.code) == (75, 0), failed.stdout + mended.stdout
    assert len(backend.pushes) == 1  # the second reading supersedes what waited


def test_a_push_whose_answer_was_lost_is_repeated_with_the_same_key_and_bytes(wpsa: Wpsa, backend: StandIn) -> None:
    backend.fault, backend.faults_left = "drop after commit", 1

    done = wpsa.run("sync")

    assert done.code == 0, done.stdout
    assert (len(backend.pushes), backend.effects) == (2, 1)
    assert backend.pushes[0].body == backend.pushes[1].body


def test_a_pending_document_goes_out_with_the_next_sync_even_when_the_site_is_down_by_then(
    wpsa: Wpsa, backend: StandIn
) -> None:
    backend.fault = "drop after commit"
    assert wpsa.run("sync").code == 75
    owed = wpsa.run("status", "--json").json[0]["pending"]
    backend.heal()

    down = wpsa.run("sync", SITE_URL="http://127.0.0.1:9")

    assert down.code == 69
    assert wpsa.run("status", "--json").json[0]["pending"] is None
    # What the backend had taken already came again as the same document, and changed nothing there.
    assert {push.generation for push in backend.pushes} == {owed["generation"]}
    assert backend.effects == 1


def test_a_kill_between_owing_and_sending_delivers_that_document_once_after_the_restart(
    wpsa: Wpsa, backend: StandIn
) -> None:
    backend.listing_fault = "hang"  # the look-up comes after the document is owed, and before it is sent
    with wpsa.start("sync") as killed:
        assert backend.listed.wait(PATIENCE_SECONDS)
        killed.end(signal.SIGKILL)
    owed = wpsa.run("status", "--json").json[0]["pending"]
    [snapshot] = wpsa.run("history", "shop", "--json").json
    backend.heal()

    with wpsa.start("run") as daemon:
        daemon.wait_for("run.finished", result="delivered")
        stopped = daemon.end()

    assert owed["generation"] == snapshot["generation"]
    (push,) = backend.pushes
    assert (push.generation, push.document) == (owed["generation"], snapshot["document"])
    assert stopped.code == 0


def test_a_second_sync_pushes_again_although_nothing_changed(wpsa: Wpsa, backend: StandIn) -> None:
    first, second = wpsa.run("sync"), wpsa.run("sync", "--json")

    assert (first.code, second.code) == (0, 0)
    earlier, later = backend.pushes
    assert without_time(earlier.document) == without_time(later.document)
    assert (earlier.key != later.key, earlier.generation < later.generation) == (True, True)
    assert second.json["sites"][0]["changes"] == {"structure": [], "counts": []}
    assert wpsa.run("diff", "shop").stdout.strip() == "nothing changed"
    since = wpsa.run("diff", "shop", "--since", "yesterday")
    assert (since.code, since.said) == (2, ["error: 'yesterday' is not a day — Write it as 2026-11-21."])


def without_time(document: dict[str, Any]) -> str:
    return json.dumps({key: value for key, value in document.items() if key != "timestamp"}, sort_keys=True)
