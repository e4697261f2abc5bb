"""A REST API that is closed, wholly or in part (C27–C29, C45, C62): opened by the login, or shown and never pushed."""

from typing import Any

import pytest
from fakes import FakeBackend, ManualClock, ports
from hostility import Hostility
from reading import Truth, coverage, differences, plugin, read, rules, slugs, source

from agent.bootstrap import site_reader
from agent.config import load
from agent.demo.wordpress import WordPress
from agent.errors import AnswerNotUnderstood, LoginRefused, RestClosed
from agent.outcome import Outcome
from agent.state.ledger import Ledger
from agent.state.records import Result, Trigger
from agent.structure.label import label_from_slug
from agent.structure.model import CountSource, Family
from agent.sync import Task, sync_site

pytestmark = [pytest.mark.anyio, pytest.mark.wordpress]

HIDDEN = {"post_type hidden_pub label", "taxonomy hidden_tax"}

CLOSED = """<?php add_filter( 'rest_authentication_errors', static fn( $error ) => $error ?: ( is_user_logged_in() ? null
    : new WP_Error( 'rest_not_logged_in', 'Log in.', array( 'status' => 401 ) ) ), 10 );"""

CLOSED_FOR_ALL = """<?php add_filter( 'rest_authentication_errors', static fn() =>
    new WP_Error( 'rest_disabled', 'No.', array( 'status' => 403 ) ), 99 );"""

LISTINGS_CLOSED = """<?php add_filter( 'rest_pre_dispatch', static fn( $result, $server, $request ) =>
    in_array( $request->get_route(), array( '/wp/v2/types', '/wp/v2/taxonomies' ), true ) && ! is_user_logged_in()
        ? new WP_Error( 'itsec_rest_api_access_restricted', 'No.', array( 'status' => 401 ) ) : $result, 10, 3 );"""

NO_SEARCH = """<?php add_filter( 'rest_endpoints', static fn( $endpoints ) =>
    array_diff_key( $endpoints, array( '/wp/v2/search' => 1 ) ) );"""

CHALLENGES = {
    "SiteGround": """<?php header( 'SG-Captcha: challenge', true, 202 );
        echo '<meta http-equiv="refresh" content="0;/.well-known/sgcaptcha/">'; return true;""",
    "Cloudflare": """<?php header( 'cf-mitigated: challenge', true, 403 );
        echo '<title>Just a moment...</title>'; return true;""",
}


@pytest.fixture(scope="module")
def site(module_wordpress_site: Any) -> WordPress:
    found: WordPress = module_wordpress_site.common("closed")
    return found


@pytest.fixture(scope="module")
def admin(site: WordPress) -> dict[str, str]:
    return {"username": "administrator", "password": site.application_password("administrator")}


async def test_c27_closed_to_strangers_it_is_shown_from_the_sitemap_and_says_why(site: WordPress, true: Truth) -> None:
    with plugin(site, CLOSED):
        structure = await read(site)

    assert coverage(structure) == ("fallback", {"rest_not_logged_in"})
    read_counts = {entry.content_type.slug: entry.count.value for entry in structure.of(Family.POST_TYPE)}
    # Only what has an address of its own stands in a sitemap.
    assert read_counts.items() <= {slug: said["count"] for slug, said in true["post_types"].items()}.items()
    assert {"post", "page", "book", "hidden_pub"} <= read_counts.keys()
    assert slugs(structure, Family.TAXONOMY) == set()
    assert structure.wordpress_version == true["wordpress_version"]
    assert any("nothing of it is pushed" in text for text in structure.warnings)


async def test_c27_the_login_opens_all_of_it(site: WordPress, true: Truth, admin: dict[str, str]) -> None:
    with plugin(site, CLOSED):
        structure = await read(site, **admin)

    assert differences(structure, true) == []
    assert coverage(structure) == ("full", set())


async def test_c27_closed_to_everybody_xmlrpc_tells_an_administrator_all_of_it(
    site: WordPress, true: Truth, admin: dict[str, str]
) -> None:
    with plugin(site, CLOSED_FOR_ALL):
        structure = await read(site, **admin)

    assert differences(structure, true) == []
    assert coverage(structure) == ("full", set())
    assert structure.provenance["login"]["state"] == "proved_by_xmlrpc"
    assert {entry.count.source for entry in structure.entries} == {CountSource.XMLRPC}
    assert structure.provenance["title"] == site.blueprint.title


async def test_c28_where_only_the_listings_are_closed_the_search_tells_what_there_is(
    site: WordPress, true: Truth
) -> None:
    with plugin(site, LISTINGS_CLOSED):
        structure = await read(site)

    assert differences(structure, true, except_={"taxonomy hidden_tax", *labels_that_slugs_do_not_give(true)}) == []
    assert "types_closed" in coverage(structure)[1]
    assert source(structure, "book")["label_source"] == "slug"


def labels_that_slugs_do_not_give(true: Truth) -> set[str]:
    builtin = {"attachment": "Media", "post_format": "Formats"}
    return {
        f"{family} {slug} label"
        for family, key in (("post_type", "post_types"), ("taxonomy", "taxonomies"))
        for slug, said in true[key].items()
        if slug != "hidden_tax" and said["label"] != builtin.get(slug, label_from_slug(slug))
    }


async def test_c28_the_login_opens_the_listings(site: WordPress, true: Truth, admin: dict[str, str]) -> None:
    with plugin(site, LISTINGS_CLOSED):
        structure = await read(site, **admin)

    assert differences(structure, true) == []


async def test_c29_without_the_search_route_what_is_not_certain_is_flagged(site: WordPress, true: Truth) -> None:
    with plugin(site, NO_SEARCH):
        structure = await read(site)

    assert "no_search_route" in coverage(structure)[1]
    found = differences(structure, true)
    # Nobody can tell these from public ones; what only the search counts is left out.
    invented = {"post_type priv_rest", "post_type q_nopub", "taxonomy priv_tax"}
    lost = {"post_type nocontroller", "taxonomy post_format", "taxonomy hidden_tax", "post_type hidden_pub label"}
    assert {text.split(":")[0] for text in found} <= invented | lost
    assert source(structure, "priv_rest")["public"] is None
    assert source(structure, "post")["public"] is True


async def test_c29_an_administrator_knows_exactly_without_it(
    site: WordPress, true: Truth, admin: dict[str, str]
) -> None:
    with plugin(site, NO_SEARCH):
        structure = await read(site, **admin)

    assert differences(structure, true) == []


# --- what is pushed, and what is not ------------------------------------------------------------


class Synced:
    """One site, synced again and again, with a backend that remembers."""

    def __init__(self, site: WordPress, ledger: Ledger, **options: Any) -> None:
        settings = load({"site": {"url": site.url, "name": "shop", **options}}, environ={}).settings
        assert settings.site is not None
        self.clock = ManualClock()
        self.backend = FakeBackend()
        self._site = settings.site.as_site()
        reader = site_reader(settings, [settings.site], clock=self.clock.clock)
        self._ports = ports(reader, self.backend, ledger, self.clock)  # type: ignore[arg-type]  # a real reader

    async def again(self) -> Outcome:
        at = self.clock.advance(days=1)
        return await sync_site(Task(self._site, at.date(), Trigger.SCHEDULE), self._ports)


@pytest.fixture
def synced(site: WordPress, ledger: Ledger, admin: dict[str, str], hostility: Hostility) -> Synced:
    return Synced(site, ledger)


async def test_c62_a_site_that_closes_its_rest_keeps_the_structure_it_had(site: WordPress, synced: Synced) -> None:
    assert (await synced.again()).result is Result.DELIVERED
    before = dict(synced.backend.holds)
    with plugin(site, CLOSED):
        closed = await synced.again()

    assert closed.result is Result.UNREADABLE
    assert isinstance(closed.error, RestClosed)
    assert (closed.error.reason, closed.error.exit_code) == ("rest_not_logged_in", 77)
    assert synced.backend.holds == before
    assert len(synced.backend.asked) == 1
    assert (await synced.again()).result is Result.DELIVERED


@pytest.mark.parametrize("whose", CHALLENGES)
async def test_c45_a_challenge_is_named_asked_once_and_nothing_is_pushed(
    site: WordPress, synced: Synced, whose: str
) -> None:
    assert (await synced.again()).result is Result.DELIVERED
    before = len(site.requests)
    with rules(site, CHALLENGES[whose]):
        blocked = await synced.again()

    assert blocked.result is Result.UNREADABLE
    assert isinstance(blocked.error, AnswerNotUnderstood)
    assert blocked.error.reason == "challenge"
    assert not blocked.error.transient, "so the next try comes in an hour"
    assert len(site.requests) - before == 1
    assert len(synced.backend.asked) == 1


async def test_a_login_that_stops_working_does_not_push_the_lesser_view(
    site: WordPress, ledger: Ledger, admin: dict[str, str]
) -> None:
    login = {"username": admin["username"], "application_password": admin["password"]}
    synced = Synced(site, ledger, **login)
    assert (await synced.again()).result is Result.DELIVERED
    with plugin(site, "<?php add_filter( 'wp_is_application_passwords_available', '__return_false' );"):
        refused = await synced.again()

    assert refused.result is Result.UNREADABLE
    assert isinstance(refused.error, LoginRefused)
    assert len(synced.backend.asked) == 1
    assert (await synced.again()).result is Result.DELIVERED


async def test_c44_a_count_that_cannot_be_learned_is_the_last_known_one_and_marked(
    site: WordPress, synced: Synced, true: Truth
) -> None:
    broken = """<?php if ( preg_match( '~/wp/v2/libros|subtype=book|posts-book~', $_SERVER['REQUEST_URI'] ) ) {
        http_response_code( 500 ); echo '<p>There has been a critical error on this website.</p>'; return true; }"""
    assert (await synced.again()).result is Result.DELIVERED
    with rules(site, broken):
        outcome = await synced.again()

    assert outcome.result is Result.DELIVERED
    assert outcome.structure is not None
    assert source(outcome.structure, "book") | {"stale": True, "exact": False} == source(outcome.structure, "book")
    assert synced.backend.holds["shop"]["post_types"]["book"]["count"] == true["post_types"]["book"]["count"]
    assert any("post type book" in text and "last known" in text for text in outcome.structure.warnings)
