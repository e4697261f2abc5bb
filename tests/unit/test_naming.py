"""Which sites a command means."""

import pytest
from builders import ONE_SITE, settings

from agent.errors import ConfigError, UsageError
from agent.naming import chosen_sites, shard_of
from agent.settings import Settings, SiteSettings

TWO = Settings(sites=[{"url": "https://a.example", "name": "a"}, {"url": "https://www.b.example/blog"}])


def called(*named: str, of: Settings = TWO) -> list[str]:
    return [site.called for site in chosen_sites(of, named)]


def test_without_a_name_all_are_meant() -> None:
    assert called() == ["a", "b.example/blog"]


@pytest.mark.parametrize("name", ["a", "https://a.example", "https://a.example/", "HTTPS://A.Example"])
def test_a_configured_site_is_meant_by_name_or_address(name: str) -> None:
    [site] = chosen_sites(TWO, [name])

    assert site is TWO.sites[0]


def test_a_site_named_twice_is_meant_once() -> None:
    assert called("a", "https://a.example", "b.example/blog", "a") == ["a", "b.example/blog"]


def test_another_address_is_a_site_of_its_own() -> None:
    assert called("https://c.example/de/") == ["c.example/de"]


@pytest.mark.parametrize("name", ["c", "a.example", ""])
def test_an_unknown_name_lists_the_known_ones(name: str) -> None:
    with pytest.raises(UsageError, match=r"configured: a, b\.example/blog") as failed:
        called(name)

    assert failed.value.exit_code == 2


@pytest.mark.parametrize("url", ["ftp://c.example", "https://", "https://bot:s3cret@c.example", "https://c.example/?a=b"])
def test_an_address_that_cannot_be_asked_is_usage(url: str) -> None:
    with pytest.raises(UsageError) as failed:
        called(url)

    assert "s3cret" not in failed.value.message + failed.value.hint


def test_without_any_site_it_is_said_how_to_name_one() -> None:
    with pytest.raises(ConfigError) as failed:
        called(of=Settings())

    assert "WPSA_SITE_URL" in failed.value.hint
    assert called(of=settings(ONE_SITE)) == ["shop.example"]


def test_every_site_is_in_one_share_and_always_in_the_same() -> None:
    sites = [SiteSettings(url=f"https://{number}.example") for number in range(200)]

    shares = [shard_of(sites, number, 4) for number in (1, 2, 3, 4)]

    assert sorted(site.url for share in shares for site in share) == sorted(site.url for site in sites)
    assert all(30 < len(share) < 70 for share in shares)
    assert [site.called for site in shard_of(sites[:12], 1, 4)] == ["1.example", "7.example"]
    assert shard_of(sites, 1, 1) == sites
