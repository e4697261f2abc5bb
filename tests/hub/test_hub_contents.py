"""Records of contents behind `synced_count`, and what people choose per content type."""

from typing import Any

import pytest
from hub_browser import Browser
from hub_builders import Tenant, a_document, an_entry

from agent.backend.contract import INTEGRATIONS_PATH


def change(browser: Browser, tenant: Tenant, method: str, **contents: Any) -> Any:
    path = f"{INTEGRATIONS_PATH}{tenant.integration.pk}/contents/"
    return browser.request(method, path, bearer=tenant.api_key, json=contents)


def pushed(browser: Browser, tenant: Tenant, **changes: Any) -> None:
    assert browser.post(tenant.push_path, bearer=tenant.api_key, json=a_document(**changes)).status_code == 200


def types(browser: Browser, tenant: Tenant) -> Any:
    return browser.get(tenant.read_path, bearer=tenant.api_key).json()


def test_recorded_contents_are_the_synced_count(browser: Browser, tenant: Tenant) -> None:
    pushed(browser, tenant)

    first = change(
        browser, tenant, "POST", post_types={"post": [1, 2, "3"], "page": ["a"]}, taxonomies={"category": [7]}
    )
    again = change(browser, tenant, "POST", post_types={"post": ["1", 4]})

    assert first.json() == {"post_types": {"post": 3, "page": 1}, "taxonomies": {"category": 1}}
    assert again.json() == {"post_types": {"post": 1}, "taxonomies": {}}
    shown = types(browser, tenant)
    assert [shown["post_types"][slug]["synced_count"] for slug in ("post", "page")] == [4, 1]
    assert shown["taxonomies"]["category"]["synced_count"] == 1


def test_forgotten_contents_are_counted_no_more(browser: Browser, tenant: Tenant) -> None:
    pushed(browser, tenant)
    change(browser, tenant, "POST", post_types={"post": [1, 2, 3]})

    gone = change(browser, tenant, "DELETE", post_types={"post": [2, "3", 99], "page": [1]})

    assert gone.json() == {"post_types": {"post": 2, "page": 0}, "taxonomies": {}}
    assert types(browser, tenant)["post_types"]["post"]["synced_count"] == 1


def test_thousands_of_contents_fit_one_request(browser: Browser, tenant: Tenant) -> None:
    many = list(range(10_000))

    assert change(browser, tenant, "POST", post_types={"post": many}).json()["post_types"] == {"post": 10_000}
    assert change(browser, tenant, "DELETE", post_types={"post": many}).json()["post_types"] == {"post": 10_000}


@pytest.mark.parametrize(
    "contents",
    [
        {"post_types": {"post": 1}},
        {"post_types": {"post": [True]}},
        {"post_types": {"post": [1.5]}},
        {"post_types": {"post": [""]}},
        {"post_types": {"post": ["x" * 65]}},
        {"post_types": {"": [1]}},
        {"post_types": {"post": [0] * 10_001}},
        {"post_types": {"post": [0] * 6_000, "page": [0] * 6_000}},
        {"posts": {}},
    ],
)
def test_wrong_contents_are_400_and_change_nothing(browser: Browser, tenant: Tenant, contents: Any) -> None:
    for method in ("POST", "DELETE"):
        assert change(browser, tenant, method, **contents).status_code == 400
    assert not tenant.integration.contents.exists()


def chosen(tenant: Tenant, **choice: Any) -> None:
    from agent.hub.integrations.type_settings import set_type

    set_type(tenant.integration, "post_types", "post", **{"enabled": False, "fetch_limit": 7, **choice})


def test_a_choice_is_shown_at_once_and_stands_above_what_is_pushed(browser: Browser, tenant: Tenant) -> None:
    pushed(browser, tenant)
    chosen(tenant)
    assert types(browser, tenant)["post_types"]["post"]["enabled"] is False

    pushed(browser, tenant, post_types={"post": an_entry(count=5), "page": an_entry("Pages", 12)})

    shown = types(browser, tenant)["post_types"]
    assert shown["post"] == {**an_entry(count=5), "enabled": False, "fetch_limit": 7, "synced_count": 0}
    assert shown["page"]["enabled"] is True
    detail = browser.get(f"{INTEGRATIONS_PATH}{tenant.integration.pk}/", bearer=tenant.api_key).json()
    assert detail["type_settings"] == {
        "post_types": {"post": {"enabled": False, "fetch_limit": 7}}, "taxonomies": {},
    }  # fmt: skip
    newest = tenant.integration.snapshots.order_by("-pk").first().document
    assert newest["post_types"]["post"]["enabled"] is True, "the history holds what was pushed"


def test_a_choice_that_is_taken_back_is_the_agents_word_again(browser: Browser, tenant: Tenant) -> None:
    from agent.hub.integrations.type_settings import unset_type

    pushed(browser, tenant)
    chosen(tenant)
    pushed(browser, tenant)

    unset_type(tenant.integration, "post_types", "post")

    assert types(browser, tenant)["post_types"]["post"] == an_entry(synced_count=0)
    pushed(browser, tenant, post_types={"post": an_entry(fetch_limit=3)})
    assert types(browser, tenant)["post_types"]["post"]["fetch_limit"] == 3


def test_a_choice_outlives_the_absence_of_its_type(browser: Browser, tenant: Tenant) -> None:
    pushed(browser, tenant)
    chosen(tenant)
    pushed(browser, tenant, post_types={})
    pushed(browser, tenant)

    assert types(browser, tenant)["post_types"]["post"]["fetch_limit"] == 7


def test_only_a_type_of_the_site_can_be_set_and_only_in_bounds(browser: Browser, tenant: Tenant) -> None:
    from agent.hub.integrations.type_settings import UnknownContentType, set_type

    pushed(browser, tenant)
    for family, slug in (("post_types", "nothing"), ("taxonomies", "post")):
        with pytest.raises(UnknownContentType):
            set_type(tenant.integration, family, slug, enabled=True, fetch_limit=1)
    for limit in (-1, 10**12):
        with pytest.raises(ValueError, match="fetch limit"):
            chosen(tenant, fetch_limit=limit)
    assert types(browser, tenant)["post_types"]["post"]["fetch_limit"] == 100
