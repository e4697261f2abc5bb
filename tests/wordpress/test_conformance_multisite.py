"""C47, C48, and C58 within one host: a network of sites in folders."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from reading import LATEST_AND_NIGHTLY, differences, read, slugs

from agent.demo.wordpress import WordPress
from agent.errors import SiteSuspended, WrongSite
from agent.structure.model import Family

pytestmark = [pytest.mark.wordpress, pytest.mark.anyio]

FOLDER = Path(__file__).parent
# Each site of the network has a type of its own.
OWN_TYPES = """<?php
add_action( 'init', static fn() => register_post_type(
    is_main_site() ? 'offer' : 'angebot',
    array( 'label' => is_main_site() ? 'Offers' : 'Angebote', 'public' => true, 'show_in_rest' => true )
) );
"""
SUBSITE = """<?php
// Older releases take the colon before the port out of a new site's domain.
add_filter( 'wp_normalize_site_data', static fn( $data ) => array( 'domain' => $arguments['domain'] ) + $data, 20 );
$place = array( 'domain' => $arguments['domain'], 'path' => $arguments['path'], 'network_id' => 1 );
$id    = wp_insert_site( $place + array( 'user_id' => 1, 'title' => 'A subsite' ) );
if ( is_wp_error( $id ) ) {
    throw new RuntimeException( $id->get_error_message() );
}
"""
CONTENT = """<?php
for ( $i = 1; $i <= $arguments['number']; $i++ ) {
    wp_insert_post( array( 'post_type' => $arguments['type'], 'post_title' => "item $i", 'post_status' => 'publish' ), true );
}
"""
SUSPEND = """<?php
[ $subsite ] = get_sites( array( 'path' => $arguments['path'] ) );
foreach ( array( 'archived', 'spam', 'deleted' ) as $status ) {
    update_blog_status( $subsite->blog_id, $status, (int) ( $status === $arguments['status'] ) );
}
"""


@dataclass(frozen=True)
class Network:
    site: WordPress

    def url(self, folder: str = "") -> str:
        return f"{self.site.url}{folder}"

    def truth(self, folder: str = "") -> Any:
        return self.site.run_php(FOLDER / "truth.php", {"url": self.url(folder)})

    def subsite(self, folder: str) -> None:
        # What a web server's rewrite rules do for core's own files, such as /de/xmlrpc.php.
        (self.site.home / folder.strip("/")).symlink_to(".")
        self.site.run_php(SUBSITE, {"domain": self._domain, "path": f"{folder}/"})

    def make(self) -> None:
        self.site.run_php(FOLDER / "fixtures" / "network.php", {"domain": self._domain})
        constants = {
            "MULTISITE": "true", "SUBDOMAIN_INSTALL": "false", "DOMAIN_CURRENT_SITE": f"'{self._domain}'",
            "PATH_CURRENT_SITE": "'/'", "SITE_ID_CURRENT_SITE": "1", "BLOG_ID_CURRENT_SITE": "1",
        }  # fmt: skip
        defined = "".join(f"define( '{name}', {value} );\n" for name, value in constants.items())
        config = (self.site.core / "wp-config.php").read_text("utf-8")
        self.site.write("wp-config.php", config.replace("<?php", f"<?php\n{defined}", 1))

    @property
    def _domain(self) -> str:
        return f"127.0.0.1:{self.site.port}"


@pytest.fixture(scope="module", params=LATEST_AND_NIGHTLY)
def network(request: pytest.FixtureRequest, module_wordpress_site: Any) -> Network:
    network = Network(module_wordpress_site("network", release=request.param))
    network.make()
    network.site.write("wp-content/mu-plugins/own.php", OWN_TYPES)
    network.subsite("/de")
    network.subsite("/closed")
    network.site.run_php(CONTENT, {"url": network.url("/de"), "type": "angebot", "number": 3})
    network.site.run_php(CONTENT, {"type": "offer", "number": 2})
    return network


@pytest.mark.parametrize(("folder", "own", "others"), [("/de", "angebot", "offer"), ("", "offer", "angebot")])
async def test_c47_each_site_of_a_network_is_read_by_itself(
    network: Network, folder: str, own: str, others: str
) -> None:
    structure = await read(network.site, url=network.url(folder))

    assert differences(structure, network.truth(folder)) == []
    assert structure.provenance["home"] == network.url(folder)
    assert own in slugs(structure, Family.POST_TYPE)
    assert others not in slugs(structure, Family.POST_TYPE)


async def test_c47_a_login_to_a_subsite_opens_that_subsite(network: Network) -> None:
    password = network.site.application_password()

    structure = await read(network.site, url=network.url("/de"), username="admin", password=password)

    assert differences(structure, network.truth("/de")) == []
    assert structure.provenance["coverage"]["completeness"] == "full"


@pytest.mark.parametrize("folder", ["/xx", "/de/xx"])
async def test_c47_a_folder_without_a_site_is_an_error_and_not_the_main_site(network: Network, folder: str) -> None:
    with pytest.raises(WrongSite):
        await read(network.site, url=network.url(folder))


@pytest.mark.parametrize("status", ["archived", "spam", "deleted"])
async def test_c48_a_suspended_subsite_says_so(network: Network, status: str) -> None:
    network.site.run_php(SUSPEND, {"path": "/closed/", "status": status})

    with pytest.raises(SiteSuspended):
        await read(network.site, url=network.url("/closed"))
