"""Which redirects are followed."""

import httpx
import pytest

from agent.errors import AgentError, AnswerNotUnderstood, ContractBroken, SiteMoved
from agent.faults import BACKEND, SITE
from agent.redirects import next_hop

HERE = "https://shop.example/wp-json/"


def hop(location: str, *, here: str = HERE, method: str = "GET", status: int = 301) -> str | None:
    target = next_hop(httpx.Request(method, here), status, httpx.Headers({"location": location}), SITE)
    return None if target is None else str(target)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/de/wp-json/", "https://shop.example/de/wp-json/"),
        ("?lang=de", "https://shop.example/wp-json/?lang=de"),
        ("https://www.shop.example/wp-json/", "https://www.shop.example/wp-json/"),
        ("https://SHOP.example/x", "https://shop.example/x"),
        ("https://shop.example:443/x", "https://shop.example/x"),
        ("//shop.example/x#part", "https://shop.example/x"),
    ],
)
def test_a_read_follows_to_the_same_host(location: str, target: str) -> None:
    assert hop(location) == target


def test_http_may_become_https() -> None:
    assert hop("https://www.shop.example/", here="http://shop.example/") == "https://www.shop.example/"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirected_post_is_final(status: int) -> None:
    assert hop("/elsewhere/", method="POST", status=status) is None


@pytest.mark.parametrize("status", [200, 300, 304, 305, 404, 503])
def test_a_location_beside_another_status_means_nothing(status: int) -> None:
    assert hop("https://evil.example/", status=status) is None


def test_a_redirect_to_nowhere_is_final() -> None:
    assert next_hop(httpx.Request("GET", HERE), 302, httpx.Headers(), SITE) is None


@pytest.mark.parametrize(
    ("location", "kind", "reason"),
    [
        ("https://evil.example/", SiteMoved, "redirect_foreign"),
        ("https://shop.example.evil.example/", SiteMoved, "redirect_foreign"),
        ("https://shop.example:8443/", SiteMoved, "redirect_foreign"),
        ("http://shop.example/", SiteMoved, "downgrade"),
        ("http://evil.example/", SiteMoved, "downgrade"),
        ("ftp://shop.example/", AnswerNotUnderstood, "bad_redirect"),
        ("javascript:alert(1)", AnswerNotUnderstood, "bad_redirect"),
        ("file:///etc/passwd", AnswerNotUnderstood, "bad_redirect"),
        ("https://user:pw@shop.example/", AnswerNotUnderstood, "bad_redirect"),
        ("https://[::1/", AnswerNotUnderstood, "bad_redirect"),
        ("https://shop.example:99999999/", AgentError, None),
        ("https://shop.example\\@evil.example/", AgentError, None),
    ],
)
def test_any_other_redirect_is_refused_by_name(location: str, kind: type[AgentError], reason: str | None) -> None:
    with pytest.raises(kind) as refused:
        hop(location)

    assert reason is None or refused.value.reason == reason


def test_a_foreign_redirect_proposes_the_new_address_and_no_more_of_it() -> None:
    with pytest.raises(SiteMoved) as refused:
        hop("https://new.example/path?token=s3cret")

    assert "https://new.example" in refused.value.hint
    assert "s3cret" not in refused.value.hint + refused.value.message


def test_a_backend_that_redirects_breaks_the_contract() -> None:
    with pytest.raises(ContractBroken):
        next_hop(httpx.Request("GET", HERE), 302, httpx.Headers({"location": "https://other.example/"}), BACKEND)
