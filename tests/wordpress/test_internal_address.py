"""A WordPress in the same container network: connected to by one address, known and logged in to by another (C60 too)."""

from typing import Any

import pytest
from reading import Truth, differences, read, rules

from agent.demo.wordpress import WordPress
from agent.errors import WrongSite

pytestmark = [pytest.mark.anyio, pytest.mark.wordpress]

NAME = "https://shop.example"
HIDDEN = {"post_type hidden_pub label", "taxonomy hidden_tax"}

# From the wp-config.php of the official images.
BELIEVES_ITS_PROXY = """<?php
if ( isset( $_SERVER['HTTP_X_FORWARDED_PROTO'] ) && str_contains( $_SERVER['HTTP_X_FORWARDED_PROTO'], 'https' ) ) {
    $_SERVER['HTTPS'] = 'on';
}
"""


def named(address: str) -> dict[str, str]:
    return {"WP_HOME": address, "WP_SITEURL": address}


@pytest.fixture(scope="module")
def site(module_wordpress_site: Any) -> WordPress:
    """At a name of its own, in production: application passwords need TLS there."""
    found: WordPress = module_wordpress_site.common(
        "internal", environment="production", constants=named(NAME), rules=BELIEVES_ITS_PROXY
    )
    return found


@pytest.fixture(scope="module")
def true(site: WordPress, truth: Any) -> Truth:
    # PHP without a web server knows of no TLS, and names the site by http.
    return {**truth(site), "site_url": NAME}


async def test_it_is_read_by_its_name_through_the_internal_address(site: WordPress, true: Truth) -> None:
    structure = await read(site, url=NAME, internal_url=site.url)

    assert differences(structure, true, except_=HIDDEN) == []
    assert structure.provenance["rest_root"] == f"{NAME}/wp-json/"


async def test_the_login_works_where_wordpress_believes_the_forwarded_scheme(site: WordPress, true: Truth) -> None:
    password = site.application_password("administrator")
    structure = await read(site, url=NAME, internal_url=site.url, username="administrator", password=password)

    assert differences(structure, true) == []
    assert structure.provenance["login"]["state"] == "proved"


async def test_where_wordpress_does_not_believe_it_the_hint_names_the_header(site: WordPress, true: Truth) -> None:
    password = site.application_password("administrator")
    with rules(site, "<?php // no word about the proxy"):
        structure = await read(site, url=NAME, internal_url=site.url, username="administrator", password=password)

    # Its sitemap redirects to https for ever, since it takes each request for one by http.
    assert differences(structure, true, except_={"post_type hidden_pub", "taxonomy hidden_tax"}) == []
    assert structure.provenance["login"]["reason"] == "app_passwords_unavailable"
    assert any("X-Forwarded-Proto" in text for text in structure.warnings)


async def test_without_the_name_the_internal_address_is_told_from_the_site(site: WordPress) -> None:
    with pytest.raises(WrongSite) as failed:
        await read(site)

    assert "internal_url" in failed.value.hint


async def test_an_international_name_is_one_name_however_it_is_written(wordpress_site: Any, truth: Any) -> None:
    site = wordpress_site.common("idn", constants=named("http://xn--bcher-kva.example"))
    password = site.application_password("administrator")

    structure = await read(
        site,
        url="http://bücher.example",
        internal_url=site.url,
        username="administrator",
        password=password,
        allow_insecure_http=True,
    )

    assert differences(structure, truth(site)) == []
    assert structure.provenance["login"]["state"] == "proved"
