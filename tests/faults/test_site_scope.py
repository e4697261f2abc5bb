"""Whatever a site says of where things are: nobody but the site is asked, and nobody else sees the login (S18, S38, P7)."""

import httpx
import pytest
from fake_wordpress import COUNTS, PASSWORD
from fakes import Asked, Said, answer, raw_server
from wire_site import counts, read, wire_site

from agent.errors import SiteError
from agent.structure.model import Site
from agent.wordpress.login import FrontGate
from agent.wordpress.root import RestRoot
from agent.wordpress.xmlrpc import Login

pytestmark = pytest.mark.anyio

ALL = COUNTS | {"hidden": 6}
LOGIN = Login("joe", PASSWORD)


@pytest.mark.parametrize("how", ["link", "header", "rsd"])
async def test_a_rest_root_on_another_host_is_not_asked(how: str) -> None:
    async with raw_server(answer(200)) as other:
        elsewhere = other.url.replace("127.0.0.1", "localhost")
        rsd = f'<rsd><api name="WP-API" apiLink="{elsewhere}/wp-json/" /></rsd>'

        def announces(asked: Asked) -> Said:
            if asked.target == "/xmlrpc.php?rsd" and how == "rsd":
                return answer(200, rsd)
            if how == "header":
                return answer(404, "<html>", Link=f'<{elsewhere}/wp-json/>; rel="https://api.w.org/"')
            if how == "link":
                return answer(200, f'<html><link rel="https://api.w.org/" href="{elsewhere}/wp-json/">')
            return answer(404, "<html>")

        async with wire_site(announces) as site:
            with pytest.raises(SiteError) as failed:
                await read(site, login=LOGIN)

        assert failed.value.reason == "no_rest"
        assert other.connections == 0


async def test_a_wordpress_address_on_another_host_gets_neither_login_nor_question() -> None:
    async with raw_server(answer(200)) as other:
        elsewhere = other.url.replace("127.0.0.1", "localhost")

        def lies(asked: Asked) -> Said | None:
            if not asked.target.startswith("/wp-json/?"):
                return None
            own, foreign = (f'"url": "{url}"'.encode() for url in (site.url, elsewhere))
            body = site.say_healthy(asked).split(b"\r\n\r\n", 1)[1].replace(own, foreign)
            return answer(200, body)

        async with wire_site(lies) as site:
            answers = await read(site, login=LOGIN)

        assert answers.site_url == elsewhere
        assert answers.login.state == "proved_by_xmlrpc"
        assert counts(answers) == ALL
        assert other.connections == 0


async def test_a_sitemap_that_names_another_host_is_not_followed() -> None:
    async with raw_server(answer(200)) as other:
        elsewhere = other.url.replace("127.0.0.1", "localhost")

        def names(asked: Asked) -> Said | None:
            if asked.target != "/wp-sitemap.xml":
                return None
            return answer(200, f"<loc>{elsewhere}/wp-sitemap-posts-hidden-1.xml</loc>")

        async with wire_site(names) as site:
            answers = await read(site)

        assert counts(answers) == COUNTS
        assert other.connections == 0


def test_a_root_is_where_its_index_was_found() -> None:
    asked = RestRoot("http://shop.example/wp-json/", "7")

    found = asked.found_at("https://www.shop.example/wp-json/?_fields=name&lang=en&_ts=7")

    assert found.url == "https://www.shop.example/wp-json/?lang=en"
    assert found.route("wp/v2/types") == "https://www.shop.example/wp-json/wp/v2/types?lang=en&_ts=7"


@pytest.mark.parametrize(
    ("address", "beside"),
    [
        ("http://shop.example/wp", "https://www.shop.example/wp"),
        ("https://www.shop.example/", "https://www.shop.example"),
        ("https://evil.example/wp", None),
        ("https://shop.example:8443/wp", None),
    ],
)
def test_an_address_is_taken_as_its_root_is_reached(address: str, beside: str | None) -> None:
    assert RestRoot("https://www.shop.example/wp-json/").beside(address) == beside


@pytest.mark.parametrize(
    ("site", "url", "shown"),
    [
        ("https://shop.example", "https://shop.example/wp-json/", True),
        ("https://shop.example", "https://www.shop.example/", True),
        ("https://shop.example", "http://shop.example/", False),
        ("http://shop.example", "http://shop.example/", True),
        ("https://shop.example", "https://evil.example/", False),
        ("https://shop.example", "https://shop.example:8443/", False),
    ],
)
def test_the_web_servers_password_is_shown_to_its_own_host_alone(site: str, url: str, shown: bool) -> None:
    request = httpx.Request("GET", url)
    next(FrontGate(Site("shop", site), Login("staging", "let me in")).auth_flow(request))

    assert ("authorization" in request.headers) == shown
