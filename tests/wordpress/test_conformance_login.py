"""Logging in: what it opens, how it fails, and that a run costs one failed attempt at most (C30–C34, C54, C55)."""

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from reading import Truth, coverage, differences, plugin, read, rules, source

from agent.demo.wordpress import WordPress
from agent.errors import SiteError
from agent.structure.model import Structure

pytestmark = [pytest.mark.anyio, pytest.mark.wordpress]

HIDDEN = {"post_type hidden_pub label", "taxonomy hidden_tax"}
"""In what a stranger's reading of the common fixture differs."""

# Every failed application password fires this once, in REST and in XML-RPC, whatever else follows.
COUNTS_ATTEMPTS = """<?php
add_action( 'application_password_failed_authentication', static fn() =>
    file_put_contents( ABSPATH . '../attempts.txt', "1\\n", FILE_APPEND ) );
"""

# The least that lists and counts everything here: it may edit nobody's content and publish nothing.
STRUCTURE_READER = """<?php
add_action( 'init', static function () {
    add_role( 'structure_reader', 'Structure reader', array(
        'read' => true, 'edit_posts' => true, 'edit_pages' => true, 'upload_files' => true ) );
    if ( ! username_exists( 'structure_reader' ) ) {
        wp_insert_user( array(
            'user_login' => 'structure_reader', 'user_pass' => 'password', 'role' => 'structure_reader' ) );
    }
} );
"""

XMLRPC_OFF = "<?php add_filter( 'xmlrpc_enabled', '__return_false' );"
STRIPPED = "<?php unset( $_SERVER['HTTP_AUTHORIZATION'], $_SERVER['PHP_AUTH_USER'], $_SERVER['PHP_AUTH_PW'] );"
GATE = """<?php
file_put_contents( dirname( getenv( 'WPSA_RULES' ) ) . '/seen.txt', ( $_SERVER['HTTP_AUTHORIZATION'] ?? '' ) . "\\n", FILE_APPEND );
if ( 'staging' !== ( $_SERVER['PHP_AUTH_USER'] ?? '' ) || 'let me in' !== $_SERVER['PHP_AUTH_PW'] ) {
    header( 'WWW-Authenticate: Basic realm="Staging"', true, 401 );
    echo '<h1>Authorization required</h1>';
    return true;
}
"""
GATE_LOGIN = {"http_username": "staging", "http_password": "let me in"}


@pytest.fixture(scope="module")
def site(module_wordpress_site: Any) -> WordPress:
    found: WordPress = module_wordpress_site.common(
        "login", mu_plugins={"attempts.php": COUNTS_ATTEMPTS, "reader.php": STRUCTURE_READER}
    )
    found.run_php("<?php echo 1;")  # lets the role and its user be made
    found.application_password("editor")  # until there is one, WordPress tries none
    return found


@pytest.fixture(scope="module")
def passwords(site: WordPress) -> Mapping[str, str]:
    roles = ("subscriber", "contributor", "editor", "administrator", "structure_reader")
    return {role: site.application_password(role) for role in roles}


@pytest.fixture
def admin(passwords: Mapping[str, str]) -> dict[str, str]:
    return {"username": "administrator", "password": passwords["administrator"]}


WRONG = {"username": "administrator", "password": "abcd efgh ijkl mnop qrst uvwx"}


@contextmanager
def failed_attempts(site: WordPress, expected: int) -> Iterator[None]:
    """That many logins fail inside of WordPress while the block runs."""
    file = site.directory / "attempts.txt"
    file.unlink(missing_ok=True)
    yield
    assert (file.read_text().count("1") if file.exists() else 0) == expected


def login(structure: Structure) -> tuple[str, str | None]:
    said = structure.provenance["login"]
    return said["state"], said["reason"]


# --- roles (section 8.4) ------------------------------------------------------------------------


async def test_an_administrator_sees_exactly_what_php_says(site: WordPress, true: Truth, admin: dict[str, str]) -> None:
    structure = await read(site, **admin)

    assert differences(structure, true) == []
    assert (login(structure), coverage(structure)) == (("proved", None), ("full", set()))
    assert source(structure, "hidden_tax")["count_source"] == "xmlrpc"


@pytest.mark.parametrize(
    ("role", "missing"),
    [
        ("structure_reader", set()),
        ("editor", set()),
        ("contributor", set()),
        ("subscriber", {"taxonomy hidden_tax", "post_type hidden_pub label"}),
    ],
)
async def test_a_lesser_role_sees_what_it_may_and_says_that_it_may_not_be_all(
    site: WordPress, true: Truth, passwords: Mapping[str, str], role: str, missing: set[str]
) -> None:
    structure = await read(site, username=role, password=passwords[role])

    assert differences(structure, true, except_=missing) == []
    assert login(structure) == ("proved", None)
    assert "role_too_weak" in coverage(structure)[1]
    assert structure.provenance["login"]["roles"] == [role]
    assert structure.provenance["wordpress_version"]["source"] == "xmlrpc"


async def test_an_administrator_who_may_not_edit_every_type_is_not_said_to_see_all(
    site: WordPress, true: Truth, admin: dict[str, str]
) -> None:
    less = """<?php add_filter( 'user_has_cap', static function ( $may ) { unset( $may['edit_pages'] ); return $may; } );"""
    with plugin(site, less):
        structure = await read(site, **admin)

    assert differences(structure, true) == []
    assert "role_too_weak" in coverage(structure)[1]
    assert coverage(structure)[0] != "full"


# --- wrong logins (section 8.1) -----------------------------------------------------------------


@pytest.mark.parametrize("username", ["administrator", "nobody-of-that-name"])
async def test_a_wrong_login_is_named_costs_one_attempt_and_the_site_is_read_as_by_a_stranger(
    site: WordPress, true: Truth, username: str
) -> None:
    before = len(site.requests)
    with failed_attempts(site, 1):
        structure = await read(site, username=username, password=WRONG["password"])

    assert differences(structure, true, except_=HIDDEN) == []
    assert login(structure) == ("failed", "auth")
    assert "login_failed" in coverage(structure)[1]
    assert not [request for request in site.requests[before:] if request["authorized"]]
    assert any("is wrong; the site is read as a stranger sees it" in text for text in structure.warnings)


async def test_without_xmlrpc_a_wrong_login_costs_one_attempt_too(site: WordPress, true: Truth) -> None:
    with plugin(site, XMLRPC_OFF), failed_attempts(site, 1):
        structure = await read(site, **WRONG)

    assert differences(structure, true, except_=HIDDEN) == []
    assert login(structure) == ("failed", "auth")
    assert any("Either the password is wrong, or the web server strips" in text for text in structure.warnings)


async def test_a_site_that_answers_401_to_a_wrong_login_everywhere_is_still_read(site: WordPress, true: Truth) -> None:
    """As WordPress before 6.3.2 does, and as every site with WooCommerce."""
    refuses = """<?php add_filter( 'rest_authentication_errors', static fn( $error ) =>
        isset( $_SERVER['PHP_AUTH_USER'] ) && ! is_user_logged_in()
            ? new WP_Error( 'incorrect_password', 'Wrong.', array( 'status' => 401 ) ) : $error );"""
    with plugin(site, refuses), plugin(site, XMLRPC_OFF, name="second.php"), failed_attempts(site, 1):
        structure = await read(site, **WRONG)

    assert differences(structure, true, except_=HIDDEN) == []
    assert login(structure) == ("failed", "auth")
    assert any("WordPress says incorrect_password" in text for text in structure.warnings)


async def test_a_wrong_login_in_a_language_of_its_own_is_recognised(site: WordPress) -> None:
    speaks = """<?php add_filter( 'xmlrpc_login_error', static fn() =>
        new IXR_Error( 403, 'Неверное имя пользователя или пароль.' ) );"""
    with plugin(site, speaks), failed_attempts(site, 1):
        structure = await read(site, **WRONG)

    assert login(structure) == ("failed", "auth")


@pytest.mark.parametrize("by", ["WordPress", "a firewall"])
async def test_where_the_multicall_is_forbidden_a_wrong_login_still_costs_one_attempt(site: WordPress, by: str) -> None:
    refusal = NO_MULTICALL if by == "WordPress" else at_multicall("http_response_code( 403 );")
    with rules(site, refusal), failed_attempts(site, 1):
        structure = await read(site, **WRONG)

    assert login(structure) == ("failed", "auth")


# --- logins that cannot arrive ------------------------------------------------------------------


async def test_a_stripped_header_is_told_from_a_wrong_password_and_xmlrpc_is_used(
    site: WordPress, true: Truth, admin: dict[str, str]
) -> None:
    with rules(site, STRIPPED), failed_attempts(site, 0):
        structure = await read(site, **admin)

    assert differences(structure, true) == []
    assert (login(structure), coverage(structure)) == (("proved_by_xmlrpc", None), ("full", set()))
    assert any("strips the Authorization header" in text for text in structure.warnings)


async def test_a_stripped_header_without_xmlrpc_names_both_causes(
    site: WordPress, true: Truth, admin: dict[str, str]
) -> None:
    with rules(site, STRIPPED), plugin(site, XMLRPC_OFF), failed_attempts(site, 0):
        structure = await read(site, **admin)

    assert differences(structure, true, except_=HIDDEN) == []
    assert any("Either the password is wrong, or the web server strips" in text for text in structure.warnings)


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ("production", "<?php define( 'WP_ENVIRONMENT_TYPE', 'production' );"),
        ("plugin", "<?php add_filter( 'wp_is_application_passwords_available', '__return_false' );"),
    ],
)
async def test_where_wordpress_takes_no_application_passwords_none_is_sent(
    site: WordPress, true: Truth, admin: dict[str, str], where: str, text: str
) -> None:
    before = len(site.requests)
    with (rules if where == "production" else plugin)(site, text), failed_attempts(site, 0):
        structure = await read(site, **admin)

    assert differences(structure, true, except_=HIDDEN) == []
    assert login(structure) == ("failed", "app_passwords_unavailable")
    assert not [r for r in site.requests[before:] if r["authorized"] or r["method"] == "POST"]


# --- a password of the web server's own (C34) ---------------------------------------------------


def seen_at_the_gate(site: WordPress) -> set[str]:
    """Who showed what to the web server."""
    file = site.directory / "seen.txt"
    headers = {line for line in file.read_text().splitlines() if line} if file.exists() else set()
    file.unlink(missing_ok=True)
    return {base64.b64decode(header.removeprefix("Basic ")).decode() for header in headers}


async def test_a_site_behind_the_web_servers_password_is_closed_without_it(site: WordPress) -> None:
    with rules(site, GATE), pytest.raises(SiteError) as failed:
        await read(site)

    assert (failed.value.reason, failed.value.exit_code) == ("forbidden", 77)


async def test_the_web_servers_password_opens_what_strangers_see(site: WordPress, true: Truth) -> None:
    with rules(site, GATE):
        structure = await read(site, **GATE_LOGIN)

    assert differences(structure, true, except_=HIDDEN) == []
    assert seen_at_the_gate(site) == {"staging:let me in"}


async def test_behind_the_gate_the_wordpress_login_goes_by_xmlrpc_and_is_never_shown_to_the_gate(
    site: WordPress, true: Truth, admin: dict[str, str]
) -> None:
    with rules(site, GATE):
        structure = await read(site, **admin, **GATE_LOGIN)

    assert differences(structure, true) == []
    assert (login(structure), coverage(structure)) == (("proved_by_xmlrpc", None), ("full", set()))
    assert seen_at_the_gate(site) == {"staging:let me in"}


async def test_behind_the_gate_and_without_xmlrpc_the_login_cannot_be_used_and_is_not_shown(
    site: WordPress, true: Truth, admin: dict[str, str]
) -> None:
    with rules(site, GATE), plugin(site, XMLRPC_OFF):
        structure = await read(site, **admin, **GATE_LOGIN)

    assert differences(structure, true, except_=HIDDEN) == []
    assert any("the web server's own password takes the header, and XML-RPC does not work" in text
               for text in structure.warnings)  # fmt: skip
    assert seen_at_the_gate(site) == {"staging:let me in"}


# --- XML-RPC that is not there (C54), or odd (C55) ----------------------------------------------

def at_multicall(text: str) -> str:
    return f"<?php if ( str_contains( file_get_contents( 'php://input' ), 'system.multicall' ) ) {{ {text} return true; }}"


NO_MULTICALL = at_multicall(
    "echo '<?xml version=\"1.0\"?><methodResponse><fault><value><struct>"
    "<member><name>faultCode</name><value><int>-32601</int></value></member>"
    "<member><name>faultString</name><value><string>no such method</string></value></member>"
    "</struct></value></fault></methodResponse>';"
)


def for_xmlrpc(text: str) -> str:
    return f"<?php if ( str_starts_with( $_SERVER['REQUEST_URI'], '/xmlrpc.php' ) ) {{ {text} return true; }}"


@pytest.mark.parametrize(
    "how",
    {
        "switched off": XMLRPC_OFF,
        "403": for_xmlrpc("http_response_code( 403 ); echo '<h1>Forbidden</h1>';"),
        "405": for_xmlrpc("http_response_code( 405 );"),
        "a page": for_xmlrpc("echo '<!doctype html><title>Nothing here</title>';"),
        "no methods": "<?php add_filter( 'xmlrpc_methods', '__return_empty_array' );",
        "a firewall with a challenge": for_xmlrpc("header( 'cf-mitigated: challenge', true, 403 );"),
        "a redirect": for_xmlrpc("header( 'Location: /', true, 301 );"),
    }.items(),
    ids=lambda how: how[0],
)
async def test_without_xmlrpc_the_login_works_by_rest_and_what_may_be_missing_is_said(
    site: WordPress, true: Truth, admin: dict[str, str], how: tuple[str, str]
) -> None:
    _, text = how
    with (plugin if "add_filter" in text else rules)(site, text), failed_attempts(site, 0):
        structure = await read(site, **admin)

    assert differences(structure, true, except_=HIDDEN) == []
    assert login(structure) == ("proved", None)
    assert coverage(structure)[0] == "partial"
    assert "xmlrpc_unavailable" in coverage(structure)[1]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("<?php if ( defined( 'XMLRPC_REQUEST' ) ) { echo \"\\n\\xEF\\xBB\\xBF<style></style>\"; }", id="dirty"),
        pytest.param(NO_MULTICALL, id="no multicall"),
        pytest.param(at_multicall("http_response_code( 403 );"), id="a firewall against multicalls"),
    ],
)
async def test_xmlrpc_with_rubbish_before_it_or_without_multicall_is_as_good(
    site: WordPress, true: Truth, admin: dict[str, str], text: str
) -> None:
    with (rules if "system.multicall" in text else plugin)(site, text), failed_attempts(site, 0):
        structure = await read(site, **admin)

    assert differences(structure, true) == []
    assert coverage(structure) == ("full", set())
