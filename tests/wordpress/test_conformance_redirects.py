"""Where redirects lead, and what goes along (C40, C41; B9, B27): reads on the same host, and no login but to the last."""

from typing import Any

import httpx
import pytest
from fakes import answer, raw_server
from reading import differences, read, rules

from agent.demo.wordpress import WordPress
from agent.detour import Detour
from agent.errors import AnswerNotUnderstood, SiteMoved

pytestmark = [pytest.mark.anyio, pytest.mark.wordpress]

FINAL = "https://www.shop.example"
HIDDEN = {"post_type hidden_pub label", "taxonomy hidden_tax"}

# The web server of a site that lives at https://www.: whatever comes by another way is sent there.
SENDS_HOME = """<?php
$here = ( $_SERVER['HTTP_X_FORWARDED_PROTO'] ?? 'http' ) . '://' . $_SERVER['HTTP_HOST'];
file_put_contents( dirname( getenv( 'WPSA_RULES' ) ) . '/seen.txt',
    "$here {$_SERVER['REQUEST_METHOD']} " . ( $_SERVER['HTTP_AUTHORIZATION'] ?? '-' ) . "\\n", FILE_APPEND );
if ( 'https://www.shop.example' !== $here ) {
    header( 'Location: https://www.shop.example' . $_SERVER['REQUEST_URI'], true, 301 );
    return true;
}
$_SERVER['HTTPS'] = 'on';
"""


def names_on_loopback(detour: Detour, request: httpx.Request) -> httpx.Request:
    """Stands where the detour does: both names of the shop, by both schemes, are one server here."""
    here, there = request.url, httpx.URL(detour.internal)
    assert here.host.removeprefix("www.") == "shop.example"
    headers = request.headers.copy()
    headers.update({"Host": here.netloc.decode(), "X-Forwarded-Proto": here.scheme})
    url = here.copy_with(scheme=there.scheme, host=there.host, port=there.port)
    return httpx.Request(request.method, url, headers=headers, content=request.content)


@pytest.fixture(scope="module")
def shop(module_wordpress_site: Any) -> WordPress:
    """WordPress names itself by http, as many do that moved to https by their web server alone."""
    found: WordPress = module_wordpress_site.common(
        "shop", constants={"WP_HOME": FINAL, "WP_SITEURL": "http://www.shop.example"}, rules=SENDS_HOME
    )
    return found


@pytest.fixture(scope="module")
def site(module_wordpress_site: Any) -> WordPress:
    found: WordPress = module_wordpress_site.common("redirects")
    return found


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Detour, "around", names_on_loopback)


@pytest.mark.parametrize("configured", ["http://shop.example", "http://www.shop.example", "https://shop.example", FINAL])
async def test_c40_the_site_is_read_where_its_redirects_end_and_only_there_logged_in_to(
    shop: WordPress, truth: Any, names: None, configured: str
) -> None:
    (shop.directory / "seen.txt").unlink(missing_ok=True)
    login = {"username": "administrator", "password": shop.application_password("administrator")}

    structure = await read(shop, url=configured, internal_url=shop.url, allow_insecure_http=True, **login)

    assert differences(structure, truth(shop)) == []
    assert structure.provenance["login"]["state"] == "proved"
    assert structure.provenance["rest_root"] == f"{FINAL}/wp-json/"
    seen = [line.split(" ", 2) for line in (shop.directory / "seen.txt").read_text().splitlines()]
    elsewhere = [(method, login) for where, method, login in seen if where != FINAL]
    assert set(elsewhere) <= {("GET", "-")}
    assert len(elsewhere) <= 1, "the way is learned once"


def moved(path: str, to: str) -> str:
    return f"""<?php if ( str_starts_with( $_SERVER['REQUEST_URI'], '{path}' ) ) {{
        header( 'Location: {to}', true, 302 ); return true; }}"""


async def test_c41_a_redirect_to_another_hosts_login_is_not_followed(site: WordPress, truth: Any) -> None:
    login = {"username": "administrator", "password": site.application_password("administrator")}
    async with raw_server(answer(200, "<h1>Log in</h1>")) as other:
        there = other.url.replace("127.0.0.1", "localhost")
        with rules(site, moved("/", f"{there}/login")), pytest.raises(SiteMoved) as failed:
            await read(site, **login)

        assert (failed.value.reason, failed.value.exit_code) == ("redirect_foreign", 78)
        assert there in failed.value.hint
        assert other.connections == 0


async def test_c41_where_only_one_way_to_rest_is_led_away_the_other_is_taken(site: WordPress, truth: Any) -> None:
    async with raw_server(answer(200, "<h1>Log in</h1>")) as other:
        there = other.url.replace("127.0.0.1", "localhost")
        with rules(site, moved("/wp-json", f"{there}/login")):
            structure = await read(site)

        assert differences(structure, truth(site), except_=HIDDEN) == []
        assert "rest_route" in structure.provenance["rest_root"]
        assert other.connections == 0


async def test_a_redirect_on_the_same_host_is_followed_and_its_end_remembered(site: WordPress, truth: Any) -> None:
    away = """<?php
    if ( preg_match( '~^/wp-json(/.*)$~', $_SERVER['REQUEST_URI'], $found ) ) {
        header( "Location: /index.php/wp-json$found[1]", true, 308 );
        return true;
    }"""
    with rules(site, away):
        before = len(site.requests)
        structure = await read(site)

    assert differences(structure, truth(site), except_=HIDDEN) == []
    assert structure.provenance["rest_root"] == f"{site.url}/index.php/wp-json/"
    assert sum(request["uri"].startswith("/wp-json") for request in site.requests[before:]) == 1


async def test_a_redirected_xmlrpc_is_never_followed_with_the_login(site: WordPress, truth: Any) -> None:
    login = {"username": "administrator", "password": site.application_password("administrator")}
    with rules(site, moved("/xmlrpc.php", "/xmlrpc.php?again")):
        before = len(site.requests)
        structure = await read(site, **login)

    assert structure.provenance["login"]["state"] == "proved"
    assert [r["uri"] for r in site.requests[before:] if "xmlrpc" in r["uri"]] == ["/xmlrpc.php"]


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ("/around?again", "redirect_loop"),
        ("ftp://shop.example/", "bad_redirect"),
        ("javascript:alert(1)", "bad_redirect"),
        ("https://user:secret@127.0.0.1/", "bad_redirect"),
    ],
)
async def test_a_redirect_that_leads_nowhere_is_named(site: WordPress, to: str, reason: str) -> None:
    with rules(site, moved("/", to)), pytest.raises(AnswerNotUnderstood) as failed:
        await read(site)

    assert failed.value.reason == reason
    assert "secret" not in failed.value.message
