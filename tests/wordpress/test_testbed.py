"""The testbed itself: what the other tests of this folder take for granted."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.demo.errors import PhpFailed, ServerFailed
from agent.demo.wordpress import PHP_FOLDER, WordPress

Truth = Callable[[WordPress], dict[str, Any]]

EXPECTED_POSTS = {
    "post": 8, "page": 1, "attachment": 4, "book": 5, "nsbook": 4, "hidden_pub": 7, "pub_noq": 3, "nocontroller": 2,
}  # fmt: skip
EXPECTED_TERMS = {
    "category": 5, "post_tag": 3, "post_format": 2, "genre": 5, "hidden_tax": 6, "pub_noq_tax": 2,
}  # fmt: skip


def get(address: str, **options: Any) -> httpx.Response:
    return httpx.get(address, headers={"Accept": "application/json"}, trust_env=False, timeout=20, **options)


def counts(entries: dict[str, dict[str, Any]]) -> dict[str, int]:
    return {slug: entry["count"] for slug, entry in entries.items()}


def total(site: WordPress, query: str) -> int:
    return int(get(f"{site.url}/wp-json/wp/v2/search?per_page=1&{query}").headers["X-WP-Total"])


def test_the_common_fixture_has_the_numbers_that_the_cases_rely_on(common_site: WordPress, truth: Truth) -> None:
    found = truth(common_site)

    assert counts(found["post_types"]) == EXPECTED_POSTS
    assert counts(found["taxonomies"]) == EXPECTED_TERMS
    assert found["site_url"] == common_site.url
    assert found["post_types"]["book"]["label"] == "Books & “Libros” 書籍"
    assert found["post_types"]["book"]["label_raw"] == "Books &amp; “Libros” 書籍"


def test_what_is_not_published_is_there_to_be_left_out(common_site: WordPress, truth: Truth) -> None:
    statuses = truth(common_site)["post_types"]["post"]["statuses"]

    assert statuses == {"publish": 8, "draft": 4, "private": 2, "future": 1, "pending": 1, "trash": 1}


def test_search_lists_what_is_public_and_in_rest_and_sums_it(common_site: WordPress) -> None:
    index = get(f"{common_site.url}/wp-json/?_fields=routes./wp/v2/search").json()
    listed = index["routes"]["/wp/v2/search"]["endpoints"][0]["args"]["subtype"]["items"]["enum"]

    assert set(listed) == {
        "post", "page", "book", "nsbook", "pub_noq", "nocontroller",
        "category", "post_tag", "genre", "pub_noq_tax", "any",
    }  # fmt: skip
    assert total(common_site, "type=post&subtype=any") == 23
    assert total(common_site, "type=term&subtype=any") == 15
    assert total(common_site, "type=post-format") == 2
    assert total(common_site, "type=post&subtype=nocontroller") == 2


@pytest.mark.parametrize("role", ["subscriber", "contributor", "editor", "administrator"])
def test_each_role_can_log_in_with_an_application_password(common_site: WordPress, role: str) -> None:
    login = (role, common_site.application_password(role))

    answer = get(f"{common_site.url}/wp-json/wp/v2/users/me?context=edit", auth=login)

    assert answer.json()["roles"] == [role]


def test_without_tls_a_production_site_offers_no_application_passwords(wordpress_site: Any) -> None:
    site = wordpress_site("production", environment="production")

    assert get(f"{site.url}/wp-json/").json()["authentication"] == []


def test_the_front_page_names_the_rest_root(common_site: WordPress) -> None:
    page = get(f"{common_site.url}/")

    assert f'<link rel="https://api.w.org/" href="{common_site.url}/wp-json/"' in page.text
    assert page.links["https://api.w.org/"]["url"] == f"{common_site.url}/wp-json/"


def test_with_plain_permalinks_the_usual_rest_address_is_the_home_page(wordpress_site: Any) -> None:
    site = wordpress_site("plain", permalinks="")

    trap = get(f"{site.url}/wp-json/")
    assert (trap.status_code, trap.headers["Content-Type"]) == (200, "text/html; charset=UTF-8")
    assert get(f"{site.url}/?rest_route=/").json()["url"] == site.url


def test_permalinks_through_index_php_move_the_rest_root(wordpress_site: Any) -> None:
    site = wordpress_site("index", permalinks="/index.php/%postname%/")

    assert get(f"{site.url}/").links["https://api.w.org/"]["url"] == f"{site.url}/index.php/wp-json/"
    assert get(f"{site.url}/index.php/wp-json/").json()["home"] == site.url


def test_core_may_live_in_a_folder_of_its_own(wordpress_site: Any, truth: Truth) -> None:
    site = wordpress_site("core", core="wp")

    index = get(f"{site.url}/wp-json/").json()
    assert (index["home"], index["url"]) == (site.url, f"{site.url}/wp")
    assert truth(site)["site_url"] == site.core_url == f"{site.url}/wp"
    assert get(f"{site.core_url}/wp-admin/load-styles.php?load=x").headers["ETag"].startswith('W/"')


def test_a_site_in_a_folder_leaves_the_rest_of_the_host_to_others(wordpress_site: Any) -> None:
    site = wordpress_site("blog", path="/blog")

    assert get(f"{site.url}/wp-json/").json()["home"] == f"{site.host}/blog"
    assert get(f"{site.host}/wp-json/").status_code == 404


@pytest.mark.parametrize("release", ["6.1", "6.8"])
def test_an_older_release_has_the_same_content_types(wordpress_site: Any, truth: Truth, release: str) -> None:
    site = wordpress_site.common("older", release=release)

    found = truth(site)

    assert found["wordpress_version"].startswith(release)
    assert counts(found["post_types"]) == EXPECTED_POSTS
    assert counts(found["taxonomies"]) == EXPECTED_TERMS
    assert total(site, "type=post&subtype=any") == 23
    assert total(site, "type=term&subtype=any") == 15


def test_the_numbers_of_the_fixture_can_be_chosen(wordpress_site: Any, truth: Truth) -> None:
    site = wordpress_site.common("chosen", posts={"book": {"publish": 11}}, terms={"genre": 0})

    found = truth(site)

    assert found["post_types"]["book"]["count"] == 11
    assert found["taxonomies"]["genre"]["count"] == 0


def test_the_server_can_be_told_to_misbehave(wordpress_site: Any) -> None:
    site = wordpress_site("rules")
    site.set_rules("<?php header_register_callback( static fn() => header_remove( 'X-WP-Total' ) );")

    assert "X-WP-Total" not in get(f"{site.url}/wp-json/wp/v2/posts").headers
    site.set_rules("<?php http_response_code( 503 ); echo 'closed'; return true;")
    assert get(f"{site.url}/wp-json/").text == "closed"
    assert [request["uri"] for request in site.requests] == ["/wp-json/wp/v2/posts", "/wp-json/"]


def test_rubbish_that_a_plugin_prints_does_not_reach_a_script(wordpress_site: Any) -> None:
    site = wordpress_site("rubbish", mu_plugins={"noise.php": "<?php echo \"\\xEF\\xBB\\xBF<style></style>\";"})

    assert site.run_php("<?php echo wp_json_encode( 42 );") == 42


def test_a_failing_script_says_what_php_said(common_site: WordPress) -> None:
    with pytest.raises(PhpFailed, match="no such luck"):
        common_site.run_php("<?php throw new RuntimeException( 'no such luck' );")


def test_writing_a_file_of_core_leaves_the_cache_as_it_was(wordpress_site: Any, wordpress_source: Path) -> None:
    site = wordpress_site("written")
    before = (wordpress_source / "wp-includes/version.php").read_bytes()

    site.write("wp-includes/version.php", before.decode().replace("$wp_version = '", "$wp_version = '99.", 1))

    assert site.run_php("<?php echo wp_json_encode( get_bloginfo( 'version' ) );").startswith("99.")
    assert (wordpress_source / "wp-includes/version.php").read_bytes() == before


def test_stopping_frees_the_port_and_leaves_no_process(wordpress_site: Any) -> None:
    site = wordpress_site("stopped")
    group = site.process_group
    assert len(processes_of(group)) > site.blueprint.workers

    site.stop()

    assert left_of(group, within_seconds=1) == []
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", site.port))


def test_a_request_that_hangs_does_not_delay_the_stop_for_long(wordpress_site: Any) -> None:
    site = wordpress_site("hanging", mu_plugins={"hang.php": "<?php if ( PHP_SAPI === 'cli-server' ) sleep( 60 );"})
    group = site.process_group
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(site.url, timeout=0.3, trust_env=False)

    site.stop()

    assert left_of(group, within_seconds=1) == []


def test_a_killed_owner_takes_the_server_with_it(wordpress_site: Any, tmp_path: Path) -> None:
    site = wordpress_site("orphan")
    site.stop()
    script = (
        "import sys, pathlib; from agent.demo.wordpress import WordPress, Blueprint; import time; "
        "site = WordPress(pathlib.Path(sys.argv[1]), Blueprint(), port=int(sys.argv[2]), php='php'); "
        "site.start(); print(site.process_group, flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", script, site.directory, str(site.port)], stdout=subprocess.PIPE)
    assert owner.stdout is not None
    group = int(owner.stdout.readline())
    assert processes_of(group)

    owner.kill()
    owner.communicate()

    assert left_of(group, within_seconds=6) == []


def test_a_stopped_site_starts_again_with_its_content(wordpress_site: Any) -> None:
    site = wordpress_site("again")
    site.stop()

    site.start()

    assert get(f"{site.url}/wp-json/wp/v2/posts").headers["X-WP-Total"] == "1"


def test_a_port_that_is_taken_is_named(wordpress_site: Any) -> None:
    taken = wordpress_site("first").port

    with pytest.raises(ServerFailed, match=str(taken)):
        wordpress_site("second", port=taken)


def test_the_demo_shop_has_different_numbers_everywhere(wordpress_site: Any, truth: Truth) -> None:
    site = wordpress_site("demo", mu_plugins={"types.php": (PHP_FOLDER / "demo-types.php").read_text("utf-8")})
    site.run_php(PHP_FOLDER / "seed_demo.php")

    found = truth(site)

    assert "stock_note" not in found["post_types"]
    assert found["post_types"]["event"]["label"] == "Readings & Events"
    numbers = list(counts(found["post_types"]).values())
    assert len(set(numbers)) == len(numbers)
    assert all(number > 0 for number in [*numbers, *counts(found["taxonomies"]).values()])


def left_of(group: int, *, within_seconds: float) -> list[int]:
    """The processes of a group that are still there after a while."""
    deadline = time.monotonic() + within_seconds
    while processes_of(group) and time.monotonic() < deadline:
        time.sleep(0.02)
    return processes_of(group)


def processes_of(group: int) -> list[int]:
    """The living processes of a group; one that only waits to be noticed as dead does not count."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, process_group = stat.read_text("utf-8", "replace").rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(process_group) == group and state != "Z":
            found.append(int(stat.parent.name))
    return found
