"""“Sync now” from being asked to its end, runs as agents report them, and the health that follows."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hub_browser import Browser
from hub_builders import Tenant, a_document, a_tenant

from agent.backend.contract import (
    INTEGRATIONS_PATH,
    MESSAGE_LIMIT_CHARACTERS,
    RUNS,
    SYNC_REQUESTS,
    TYPE_SETTINGS,
    Paths,
)


def path(tenant: Tenant, end: str = "") -> str:
    return f"{INTEGRATIONS_PATH}{tenant.integration.pk}/{end}"


def ask(browser: Browser, tenant: Tenant) -> Any:
    return browser.post(path(tenant, "sync-request/"), bearer=tenant.api_key)


def report(browser: Browser, tenant: Tenant, **said: Any) -> Any:
    return browser.request("PATCH", path(tenant, "sync-request/"), bearer=tenant.api_key, json=said)


def row(browser: Browser, tenant: Tenant) -> Any:
    return browser.get(path(tenant), bearer=tenant.api_key).json()


def long_ago(tenant: Tenant, hours: float) -> None:
    moment = datetime.now(UTC) - timedelta(hours=hours)
    tenant.integration.sync_requests.filter(picked_at=None).update(requested_at=moment)
    tenant.integration.sync_requests.exclude(picked_at=None).update(picked_at=moment)


def a_run(**changes: Any) -> dict[str, Any]:
    return {
        "started_at": "2026-11-21T10:00:00Z",
        "finished_at": "2026-11-21T10:00:05+00:00",
        "result": "unreadable",
        "reason": "src_refused",
        "message": "could not reach shop.example",
        "hint": "See whether the site is up.",
        **changes,
    }


def run(browser: Browser, tenant: Tenant, **changes: Any) -> Any:
    return browser.post(path(tenant, "runs/"), bearer=tenant.api_key, json=a_run(**changes))


def health(browser: Browser, tenant: Tenant) -> Any:
    return browser.get(path(tenant, "health/"), bearer=tenant.api_key).json()


def test_the_paths_are_those_of_the_contract(tenant: Tenant) -> None:
    number = str(tenant.integration.pk)
    assert Paths().integration(number) == path(tenant)
    assert Paths().sync_request(number) == path(tenant, "sync-request/")
    assert Paths().runs(number) == path(tenant, "runs/")


def test_a_row_says_what_the_hub_offers_and_that_nobody_asked(browser: Browser, tenant: Tenant) -> None:
    (listed,) = browser.get(INTEGRATIONS_PATH, bearer=tenant.api_key).json()["results"]

    assert listed["capabilities"] == [SYNC_REQUESTS, RUNS, TYPE_SETTINGS]
    assert listed["sync_request"] is None
    assert row(browser, tenant) == {**listed, "type_settings": {"post_types": {}, "taxonomies": {}}}


def test_a_request_is_asked_running_and_done(browser: Browser, tenant: Tenant) -> None:
    asked = ask(browser, tenant)
    assert asked.status_code == 202
    number = asked.json()["id"]
    assert row(browser, tenant)["sync_request"] == asked.json() == {**asked.json(), "state": "asked"}

    assert report(browser, tenant, id=number, state="running").json()["state"] == "running"
    assert row(browser, tenant)["sync_request"]["state"] == "running"

    assert report(browser, tenant, id=number, state="done", message="14 post types").status_code == 200
    assert row(browser, tenant)["sync_request"] is None
    kept = tenant.integration.sync_requests.get()
    assert (kept.state, kept.message, kept.requested_by) == ("done", "14 post types", tenant.user)
    assert kept.requested_at <= kept.picked_at <= kept.finished_at


def test_asking_twice_is_one_request(browser: Browser, tenant: Tenant) -> None:
    assert ask(browser, tenant).json() == ask(browser, tenant).json()


def test_the_database_itself_refuses_a_second_open_request(tenant: Tenant) -> None:
    from django.db import IntegrityError, transaction
    from django.utils import timezone

    from agent.hub.integrations.models import SyncRequest

    asked = {"integration": tenant.integration, "requested_at": timezone.now()}
    SyncRequest.objects.create(**asked, state="done")
    SyncRequest.objects.create(**asked, state="running")
    with pytest.raises(IntegrityError), transaction.atomic():
        SyncRequest.objects.create(**asked)


def test_one_poll_shows_the_open_requests_of_all_sites_and_no_others(browser: Browser, tenant: Tenant) -> None:
    from agent.hub.integrations.models import Site

    Site.connect(tenant.user, name="Quiet", url="https://quiet.example")
    query = f"{INTEGRATIONS_PATH}?platform=wordpress&sync_request=open"
    assert browser.get(query, bearer=tenant.api_key).json()["results"] == []

    ask(browser, tenant)

    (listed,) = browser.get(query, bearer=tenant.api_key).json()["results"]
    assert (listed["id"], listed["sync_request"]["state"]) == (tenant.integration.pk, "asked")
    assert browser.get(f"{INTEGRATIONS_PATH}?sync_request=x", bearer=tenant.api_key).status_code == 400


def test_a_repeated_report_changes_nothing_and_an_ended_request_is_409(browser: Browser, tenant: Tenant) -> None:
    number = ask(browser, tenant).json()["id"]
    report(browser, tenant, id=number, state="failed", message="first")

    assert report(browser, tenant, id=number, state="failed", message="second").status_code == 200
    assert tenant.integration.sync_requests.get().message == "first"
    assert report(browser, tenant, id=number, state="running").status_code == 409
    assert report(browser, tenant, id=number + 1_000, state="running").status_code == 409
    assert ask(browser, tenant).json()["id"] != number


@pytest.mark.parametrize("picked", [False, True])
def test_a_request_that_nobody_finishes_expires(browser: Browser, tenant: Tenant, picked: bool) -> None:
    from agent.hub.integrations.syncing import newest_request

    number = ask(browser, tenant).json()["id"]
    if picked:
        report(browser, tenant, id=number, state="running")
    long_ago(tenant, hours=1.1)

    state = newest_request(tenant.integration)
    assert state is not None
    assert (state.state, state.is_open) == ("expired", False)
    assert ("picked the request up" in state.message, "wpsa check" in state.hint) == (True, True)
    assert row(browser, tenant)["sync_request"] is None
    assert report(browser, tenant, id=number, state="done").status_code == 409
    again = ask(browser, tenant).json()
    assert (again["id"] != number, again["state"]) == (True, "asked")
    assert tenant.integration.sync_requests.get(pk=number).state == "expired"


def test_a_sync_that_takes_long_has_an_hour_from_when_it_was_picked_up(browser: Browser, tenant: Tenant) -> None:
    number = ask(browser, tenant).json()["id"]
    long_ago(tenant, hours=0.9)
    report(browser, tenant, id=number, state="running")

    assert row(browser, tenant)["sync_request"]["state"] == "running"


def test_an_agent_in_the_same_process_hears_of_it_at_once(browser: Browser, tenant: Tenant, hub_directory: Any) -> None:
    from agent.hub import embedded

    heard: list[int] = []
    embedded.prepare(
        hub_directory, sites={"first": "https://first.example"}, listen="127.0.0.1:8765", on_sync_asked=heard.append
    )
    ask(browser, tenant)
    ask(browser, tenant)

    assert heard == [tenant.integration.pk]


def test_requests_and_runs_are_kept_in_bounds(
    browser: Browser, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agent.hub.integrations import syncing

    monkeypatch.setattr(syncing, "REQUESTS_KEPT", 2)
    monkeypatch.setattr(syncing, "RUNS_KEPT", 2)
    for hour in range(4):
        report(browser, tenant, id=ask(browser, tenant).json()["id"], state="done")
        run(browser, tenant, started_at=f"2026-11-21T1{hour}:00:00Z")

    assert tenant.integration.sync_requests.count() == 2
    kept = browser.get(path(tenant, "runs/"), bearer=tenant.api_key).json()
    assert [one["started_at"][11:13] for one in kept] == ["13", "12"]


def test_a_run_is_noted_once(browser: Browser, tenant: Tenant) -> None:
    first, again = run(browser, tenant), run(browser, tenant, message="the same run, sent again")

    assert (first.status_code, again.status_code) == (201, 200)
    expected = {**a_run(), "started_at": "2026-11-21T10:00:00.000Z", "finished_at": "2026-11-21T10:00:05.000Z"}
    assert first.json() == again.json() == expected
    assert browser.get(path(tenant, "runs/"), bearer=tenant.api_key).json() == [expected]


def test_a_run_may_tell_its_time_in_any_zone(browser: Browser, tenant: Tenant) -> None:
    assert run(browser, tenant, started_at="0456-02-19T16:27:21-17:15").status_code == 201

    assert tenant.integration.runs.get().started_at == datetime(456, 2, 20, 9, 42, 21, tzinfo=UTC)


@pytest.mark.parametrize(
    "changes",
    [
        {"result": "fine"},
        {"started_at": "yesterday"},
        {"started_at": "2026-11-21T10:00:00"},
        {"started_at": "0001-01-01T00:00:00+12:00"},
        {"finished_at": None},
        {"message": "x" * (MESSAGE_LIMIT_CHARACTERS + 1)},
        {"reason": "x" * 65},
        {"integration": 1},
    ],
)
def test_a_wrong_report_is_400_and_stores_nothing(browser: Browser, tenant: Tenant, changes: dict[str, Any]) -> None:
    assert run(browser, tenant, **changes).status_code == 400
    assert not tenant.integration.runs.exists()


def test_health_is_never_then_fresh_then_stale(browser: Browser, tenant: Tenant) -> None:
    assert health(browser, tenant) == {
        "state": "never", "last_structure_fetch": None, "failing_since": None, "last_run": None,
    }  # fmt: skip

    browser.post(tenant.push_path, bearer=tenant.api_key, json=a_document())
    assert health(browser, tenant)["state"] == "fresh"

    type(tenant.integration).objects.filter(pk=tenant.integration.pk).update(
        last_structure_fetch=datetime.now(UTC) - timedelta(hours=24, minutes=1)
    )
    assert health(browser, tenant)["state"] == "stale"


def test_a_site_fails_from_its_first_failed_run_until_a_structure_comes(browser: Browser, tenant: Tenant) -> None:
    run(browser, tenant)
    run(browser, tenant, started_at="2026-11-21T11:00:00Z", finished_at="2026-11-21T11:00:05Z", message="again")

    told = health(browser, tenant)
    assert (told["state"], told["failing_since"]) == ("failing", "2026-11-21T10:00:05.000Z")
    assert (told["last_run"]["message"], told["last_run"]["hint"]) == ("again", "See whether the site is up.")

    browser.post(tenant.push_path, bearer=tenant.api_key, json=a_document())
    assert (health(browser, tenant)["state"], health(browser, tenant)["failing_since"]) == ("fresh", None)


def test_a_failed_run_that_is_told_after_a_newer_structure_speaks_not_against_it(
    browser: Browser, tenant: Tenant
) -> None:
    browser.post(tenant.push_path, bearer=tenant.api_key, json=a_document())
    run(browser, tenant, started_at="2020-01-01T00:00:00Z", finished_at="2020-01-01T00:00:09Z")

    assert health(browser, tenant)["state"] == "fresh"


def test_an_interrupted_run_is_no_failure(browser: Browser, tenant: Tenant) -> None:
    run(browser, tenant, result="interrupted")

    assert health(browser, tenant)["state"] == "never"


def test_nothing_of_a_stranger_can_be_asked_reported_or_read(browser: Browser, tenant: Tenant) -> None:
    stranger = a_tenant()
    number = ask(browser, tenant).json()["id"]
    run(browser, tenant)

    requests: list[tuple[str, str, Any]] = [
        ("GET", "", None),
        ("POST", "sync-request/", {}),
        ("PATCH", "sync-request/", {"id": number, "state": "done"}),
        ("POST", "runs/", a_run()),
        ("GET", "runs/", None),
        ("GET", "health/", None),
        ("GET", "history/", None),
        ("GET", "diff/", None),
        ("POST", "contents/", {"post_types": {"post": [1]}}),
        ("DELETE", "contents/", {"post_types": {"post": [1]}}),
    ]
    for method, end, body in requests:
        answer = browser.request(method, path(tenant, end), bearer=stranger.api_key, json=body)
        assert answer.status_code == 404, (method, end)
    assert report(browser, stranger, id=number, state="done").status_code == 409
    assert row(browser, tenant)["sync_request"]["state"] == "asked"


def test_a_key_for_one_site_opens_that_site_alone(browser: Browser, tenant: Tenant) -> None:
    from agent.hub.integrations.models import ApiKey, Site

    other = Site.connect(tenant.user, name="Other", url="https://other.example").integrations.get()
    key = ApiKey.issue(tenant.user, site=tenant.site)

    (listed,) = browser.get(INTEGRATIONS_PATH, bearer=key).json()["results"]
    assert listed["id"] == tenant.integration.pk
    assert browser.post(tenant.push_path, bearer=key, json=a_document()).status_code == 200
    path_of_other = f"{INTEGRATIONS_PATH}{other.pk}/update-structure/"
    assert browser.post(path_of_other, bearer=key, json=a_document()).status_code == 404
    assert browser.post(path_of_other, bearer=tenant.api_key, json=a_document()).status_code == 200
