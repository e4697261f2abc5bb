"""The list of sites: found, sorted, counted and paged by the database, one owner's at a time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hub_builders import Tenant

NOW = datetime.now(UTC)


def site(tenant: Tenant, name: str, **columns: Any) -> int:
    from agent.hub.integrations.models import Site

    connected = Site.connect(tenant.user, name=name, url=columns.pop("url", f"https://{name.lower()}.example"))
    connected.integrations.update(**columns)
    return int(connected.pk)


@pytest.fixture
def owner(tenant: Tenant) -> Tenant:
    tenant.site.delete()
    return tenant


@pytest.fixture
def four(owner: Tenant) -> Tenant:
    """One site of each state."""
    site(owner, "never", posts=4)
    site(owner, "Fresh", last_structure_fetch=NOW - timedelta(hours=23), posts=3, wordpress_version="7.1")
    site(owner, "Stale", last_structure_fetch=NOW - timedelta(days=2), posts=2, terms=9, wordpress_version="6.8")
    site(owner, "Failing", last_structure_fetch=NOW - timedelta(hours=1), failing_since=NOW, posts=1)
    return owner


def names(tenant: Tenant, **options: Any) -> list[str]:
    from agent.hub.integrations.site_rows import site_rows

    return [row.name for row in site_rows(tenant.user, **options).rows]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("name", ["Failing", "Fresh", "never", "Stale"]),
        ("-name", ["Stale", "never", "Fresh", "Failing"]),
        ("fetched", ["never", "Stale", "Fresh", "Failing"]),
        ("-fetched", ["Failing", "Fresh", "Stale", "never"]),
        ("posts", ["Failing", "Stale", "Fresh", "never"]),
        ("-terms", ["Stale", "never", "Fresh", "Failing"]),
        ("-version", ["Fresh", "Stale", "never", "Failing"]),
        ("nonsense'; --", ["Failing", "Fresh", "never", "Stale"]),
    ],
)
def test_sites_are_sorted(four: Tenant, sort: str, expected: list[str]) -> None:
    assert names(four, sort=sort) == expected


def test_each_state_is_counted_and_found(four: Tenant) -> None:
    from agent.hub.integrations.site_rows import site_rows

    page = site_rows(four.user)
    assert page.number_by_state == {"fresh": 1, "stale": 1, "failing": 1, "never": 1}
    assert (page.found, page.total) == (4, 4)
    assert {row.name.lower(): row.freshness.state for row in page.rows} == {
        state: state for state in page.number_by_state
    }
    for state in page.number_by_state:
        one = site_rows(four.user, state=state)
        assert ([row.name.lower() for row in one.rows], one.found) == ([state], 1)


@pytest.mark.parametrize(
    ("search", "expected"),
    [("FRE", ["Fresh"]), ("école", ["École"]), ("SECRET.example", ["Stale"]), ("%", ["100%"]), ("_", []), ("  ", None)],
)
def test_a_search_looks_into_names_and_addresses_in_any_case(
    four: Tenant, search: str, expected: list[str] | None
) -> None:
    site(four, "École", url="https://ecole.example")
    site(four, "100%", url="https://hundred.example")
    site(four, "Stale", url="https://Secret.example")

    assert names(four, search=search) == (names(four) if expected is None else expected)


def test_pages_follow_each_other_and_numbers_out_of_range_are_the_nearest(owner: Tenant) -> None:
    from agent.hub.integrations.site_rows import site_rows

    for number in range(5):
        site(owner, f"s{number}")

    assert [names(owner, page=page, per_page=2) for page in (1, 2, 3)] == [["s0", "s1"], ["s2", "s3"], ["s4"]]
    for page, nearest in ((0, 1), (-7, 1), (4, 3), (10**9, 3)):
        assert site_rows(owner.user, page=page, per_page=2).number == nearest
    searched = site_rows(owner.user, search="nothing like it", page=2)
    assert (searched.rows, searched.number, searched.pages, searched.found, searched.total) == ((), 1, 1, 0, 5)


@pytest.mark.parametrize("sort", ["fetched", "-fetched"])
def test_by_freshness_the_pages_hold_the_never_fetched_too_each_site_once(four: Tenant, sort: str) -> None:
    for number in range(3):
        site(four, f"never {number}")

    whole = names(four, sort=sort)

    assert len(whole) == len(set(whole)) == 7
    assert [one.lower()[:5] for one in (whole if sort == "fetched" else whole[::-1])[:4]] == ["never"] * 4
    for per_page in (1, 2, 3):
        pages = [names(four, sort=sort, page=page, per_page=per_page) for page in range(1, 8 // per_page + 2)]
        assert [name for page in pages for name in page][:7] == whole


def test_nobody_sees_another_owners_sites_and_open_pages_see_all(four: Tenant) -> None:
    from hub_builders import a_tenant

    from agent.hub.integrations.site_rows import site_rows

    stranger = a_tenant(name="Stranger")

    assert names(stranger) == ["Stranger"]
    assert site_rows(None).total >= 5


def test_a_site_that_gets_another_owner_is_in_that_ones_list_alone(four: Tenant) -> None:
    from hub_builders import a_tenant

    other = a_tenant(name="Own")
    moved = four.user.sites.get(name="Stale")
    moved.owner = other.user
    moved.save()

    assert names(other, sort="-fetched") == ["Stale", "Own"]
    assert "Stale" not in names(four, sort="-fetched") + names(four)


def test_a_list_takes_two_queries_and_reads_no_document(four: Tenant) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        names(four)

    assert len(queries) == 2
    assert not any("config_json" in query["sql"] for query in queries)
