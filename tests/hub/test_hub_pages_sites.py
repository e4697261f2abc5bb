"""The list of sites: what it shows, and what its address may ask for."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hub_browser import Browser, sign_in
from hub_builders import Tenant, a_tenant


def names_in(page: str) -> list[str]:
    return re.findall(r'<a class="label" href="/sites/\d+/"><bdi>(.*?)</bdi>', page)


@pytest.fixture
def fleet(hub: object) -> Tenant:
    """Four sites, one of each health."""
    from agent.hub.integrations.models import Site

    owner, now = a_tenant(name="Fresh one", url="https://fresh.example"), datetime.now(UTC)
    changes: dict[str, dict[str, Any]] = {
        "Fresh one": {"last_structure_fetch": now, "posts": 5, "post_types": 2, "wordpress_version": "7.1.4"},
        "äpfel": {"last_structure_fetch": now - timedelta(days=2), "posts": 5_000, "post_types": 3},
        "Broken": {"last_structure_fetch": now - timedelta(hours=2), "failing_since": now, "posts": 70},
        "Never": {},
    }
    for name, columns in changes.items():
        site = Site.connect(owner.user, name=name, url=f"https://{name.split()[0].lower()}.example")
        site.integrations.update(**columns)
    return owner


@pytest.fixture
def reader(browser: Browser, fleet: Tenant, closed_pages: None) -> Browser:
    sign_in(browser, fleet)
    return browser


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("", ["Broken", "Fresh one", "Never", "äpfel"]),
        ("?sort=-name", ["äpfel", "Never", "Fresh one", "Broken"]),
        ("?sort=-posts", ["äpfel", "Broken", "Fresh one", "Never"]),
        ("?sort=-fetched", ["Fresh one", "Broken", "äpfel", "Never"]),
        ("?state=failing", ["Broken"]),
        ("?state=fresh", ["Fresh one"]),
        ("?state=stale", ["äpfel"]),
        ("?state=never", ["Never"]),
        ("?search=ÄPF", ["äpfel"]),
        ("?search=FRESH.exa", ["Fresh one"]),
        ("?search=%00", ["Broken", "Fresh one", "Never", "äpfel"]),
        ("?sort=password&state=unheard&page=nonsense", ["Broken", "Fresh one", "Never", "äpfel"]),
        ("?page=99999999999999999999", ["Broken", "Fresh one", "Never", "äpfel"]),
        ("?page=٣", ["Broken", "Fresh one", "Never", "äpfel"]),
    ],
)
def test_the_address_says_which_sites_and_in_which_order(reader: Browser, asked: str, names: list[str]) -> None:
    answer = reader.get(f"/{asked}")

    assert answer.status_code == 200
    assert names_in(answer.text) == names


def test_each_health_is_counted_and_named(reader: Browser) -> None:
    page = reader.get("/").text

    for state, words in (("fresh", "Fresh"), ("stale", "Stale"), ("failing", "Failing"), ("never", "Never fetched")):
        assert f'<span class="badge {state}">{words}</span>' in page
        assert re.search(rf'href="\?state={state}">{words} <span class="number">1</span>', page)


def test_the_sorted_column_says_so_and_turns_round_at_the_next_click(reader: Browser) -> None:
    page = reader.get("/?sort=-posts&search=e").text

    assert 'aria-sort="descending"><a class="sort" href="?search=e&amp;sort=posts">Content' in page
    assert page.count("aria-sort") == 1


def test_what_fits_nothing_says_how_to_see_all_again(reader: Browser) -> None:
    page = reader.get("/?search=<script>&state=never").text

    assert "No site fits" in page
    assert "<bdi>&lt;script&gt;</bdi>" in page
    assert 'href="/?state="' in page


def test_many_sites_come_in_pages_that_keep_what_was_asked(
    browser: Browser, tenant: Tenant, closed_pages: None
) -> None:
    from agent.hub.integrations.models import Site, SiteIntegration

    sites = [
        Site(owner=tenant.user, name=f"s{n:03}", sort_name=f"s{n:03}", url="https://s.example") for n in range(250)
    ]
    SiteIntegration.objects.bulk_create(
        SiteIntegration(site=site, owner=tenant.user) for site in Site.objects.bulk_create(sites)
    )
    sign_in(browser, tenant)

    page = browser.get("/?search=s0&page=1").text

    assert len(names_in(page)) == 100
    second = browser.get("/?sort=-name&page=2").text
    assert names_in(second)[0] == "s150"
    assert 'rel="prev" href="?sort=-name"' in second
    assert 'rel="next" href="?sort=-name&amp;page=3"' in second


def test_the_only_site_is_shown_at_once(browser: Browser, tenant: Tenant, closed_pages: None) -> None:
    sign_in(browser, tenant)

    assert "No structure yet" in browser.get("/").text
    assert names_in(browser.get("/?state=").text) == ["Shop"]


def test_an_owner_without_sites_is_told_how_to_begin(browser: Browser, closed_pages: None) -> None:
    newcomer = a_tenant()
    newcomer.site.delete()
    sign_in(browser, newcomer)
    page = browser.get("/").text

    assert "No sites yet" in page
    assert 'href="/connect/"' in page


def test_a_list_of_sites_takes_the_same_few_questions_to_the_database_however_many_they_are(
    reader: Browser, fleet: Tenant
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from agent.hub.integrations.site_rows import site_rows

    with CaptureQueriesContext(connection) as queries:
        page = site_rows(fleet.user)

    assert page.total == 4
    assert len(queries) <= 3
    assert not [query for query in queries if "config_json" in query["sql"]]
