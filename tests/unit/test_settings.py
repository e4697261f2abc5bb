"""Every option: its form, its bounds, and that no secret shows."""

from datetime import time
from typing import Any

import pytest
from builders import ONE_SITE, a_post_type, a_taxonomy, settings
from pydantic import ValidationError

from agent.config import _variables
from agent.settings import (
    BackendSettings,
    HubSettings,
    ReadingSettings,
    ScheduleSettings,
    Settings,
    SiteSettings,
    is_loopback,
    name_of,
)
from agent.structure.model import Choice


def the_error(kind: Any, **values: Any) -> str:
    with pytest.raises(ValidationError) as failed:
        kind(**values)
    return str(failed.value.errors(include_input=False)[0]["msg"])


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://shop.example", "https://shop.example"),
        ("https://shop.example/", "https://shop.example"),
        (" https://shop.example/blog/ ", "https://shop.example/blog"),
        ("HTTPS://Shop.Example/Blog", "https://shop.example/Blog"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("https://[::1]:8443/", "https://[::1]:8443"),
        ("https://käse.example", "https://käse.example"),
    ],
)
def test_an_address_is_kept_in_one_form(given: str, kept: str) -> None:
    assert SiteSettings(url=given).url == kept


@pytest.mark.parametrize(
    "url",
    [
        "", "shop.example", "//shop.example", "ftp://shop.example", "https://", "https:///path", "javascript:alert(1)",
        "https://shop.example:port", "https://shop.example:0", "https://shop.example:70000", "https://[::1",
        "https://shop.example/?a=b", "https://shop.example/#a", "https://sh op.example", "https://shop.example/a\nb",
        "https://shop.example/\x1b[31m", "https://shop.example/\u202e",
    ],
)  # fmt: skip
def test_what_is_no_plain_address_is_refused(url: str) -> None:
    assert the_error(SiteSettings, url=url)


@pytest.mark.parametrize("url", ["https://bot:pw@shop.example", "https://bot@shop.example", "https://:pw@shop.example"])
def test_a_login_in_an_address_is_refused_without_showing_it(url: str) -> None:
    said = the_error(SiteSettings, url=url)

    assert "must not contain a user or password" in said
    assert "pw" not in said.replace("password", "")


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1", True), ("http://127.9.9.9:80/x", True), ("http://[::1]:8000", True),
        ("http://localhost", True), ("http://backend.localhost", True),
        ("http://localhost.evil.example", False), ("http://127.0.0.1.evil.example", False), ("http://10.0.0.1", False),
        ("http://shop.example", False), ("http://0.0.0.0", False), ("http://[fe80::1]", False), ("http://2130706433", False),
    ],
)  # fmt: skip
def test_only_what_never_leaves_the_machine_is_loopback(url: str, local: bool) -> None:
    assert is_loopback(url) is local


@pytest.mark.parametrize(
    ("listen", "fine"),
    [
        ("127.0.0.1:0", True), ("0.0.0.0:9464", True), ("[::1]:80", True), ("localhost:1", True),
        ("9464", False), (":9464", False), ("127.0.0.1:", False), ("127.0.0.1:70000", False), ("a:-1", False),
        ("a:٣", False), ("a:1e3", False),
    ],
)  # fmt: skip
def test_where_to_listen_is_host_and_port(listen: str, fine: bool) -> None:
    if fine:
        assert HubSettings(listen=listen).listen == listen
    else:
        assert "host:port" in the_error(HubSettings, listen=listen)


@pytest.mark.parametrize("at", ["03:30", "23:59:59", time(3, 30)])
def test_a_daily_time_is_a_wall_time(at: Any) -> None:
    assert ScheduleSettings(at=at).at is not None


@pytest.mark.parametrize("at", ["3", "25:00", "noon", "03:00Z", "03:00+01:00", time.fromisoformat("03:00+00:00")])
def test_a_time_with_a_zone_of_its_own_or_none_at_all_is_refused(at: Any) -> None:
    assert the_error(ScheduleSettings, at=at)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "CEST", "", "../UTC", "/etc/localtime"])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    assert "is not a time zone" in the_error(ScheduleSettings, timezone=zone)


@pytest.mark.parametrize("key", ["", "  ", "two words", "line\nbreak", "tökén", "tab\there", "nul\0"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(key: str) -> None:
    said = the_error(BackendSettings, api_key=key)

    assert not key.strip() or key not in said


def test_a_key_loses_the_space_around_it() -> None:
    key = BackendSettings(api_key=" key \n").api_key
    assert key is not None
    assert key.get_secret_value() == "key"


@pytest.mark.parametrize("path", ["api/v1/login/", "/api/v1/login", "https://x/", "/a b/", "/a?b/"])
def test_a_path_of_the_api_is_one(path: str) -> None:
    assert the_error(BackendSettings, login_path=path)


@pytest.mark.parametrize("integration_id", ["../x", "a/b", "", "x" * 65, "a b", "42\n"])
def test_a_configured_integration_has_to_fit_into_a_path(integration_id: str) -> None:
    assert the_error(SiteSettings, url="https://x.example", integration_id=integration_id)


@pytest.mark.parametrize(
    "values",
    [{"connections": 0}, {"connections": 17}, {"deadline_seconds": 0}, {"deadline_seconds": 301}, {"sites_at_once": 0}],
)
def test_manners_have_bounds(values: Any) -> None:
    assert the_error(ReadingSettings, **values)


def test_nothing_can_be_changed_after_reading() -> None:
    read = settings()

    with pytest.raises(ValidationError):
        read.backend.url = "https://evil.example"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        read.site = None  # type: ignore[misc]


SECRETS = {
    "WPSA_SITE_USERNAME": "bot",
    "WPSA_SITE_APPLICATION_PASSWORD": "s3cret-application-password",
    "WPSA_SITE_HTTP_USERNAME": "gate",
    "WPSA_SITE_HTTP_PASSWORD": "s3cret-of-the-gate",
    "WPSA_BACKEND_API_KEY": "s3cret-key",
    "WPSA_BACKEND_EMAIL": "bot@shop.example",
    "WPSA_BACKEND_PASSWORD": "s3cret-password",
}


def test_no_secret_shows_in_any_rendering() -> None:
    read = settings(ONE_SITE | SECRETS)

    shown = f"{read!r} {read} {read.model_dump()} {read.model_dump_json()} {read.site!r} {vars(read.backend)}"
    assert "s3cret" not in shown


def test_all_secrets_are_known_to_whoever_hides_them() -> None:
    assert set(settings(ONE_SITE | SECRETS).secrets()) == {
        ("bot", "s3cret-application-password"),
        ("gate", "s3cret-of-the-gate"),
        (None, "s3cret-key"),
        ("bot@shop.example", "s3cret-password"),
    }


def test_no_secret_option_is_forgotten_there() -> None:
    secret = [name for name, _, is_secret in _variables() if is_secret]

    addresses = [name for name in secret if name.endswith("_URL")]
    values = {name: f"value-of-{name}" for name in secret} | {name: f"https://p.example/value-of-{name}" for name in addresses}
    values["WPSA_STATE_URL"] = "postgresql://wpsa:value-of-WPSA_STATE_URL@db.example/wpsa"

    known = {value for _, value in settings(ONE_SITE | SECRETS | values).secrets()}

    assert known == {*values.values(), *(f"value-of-{name}" for name in secret)}


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("https://hc-ping.com/eb095278-f28d-448d-87fb", {"eb095278-f28d-448d-87fb"}),
        ("https://hooks.example/services/T01/B02/abcdefghijkl", {"services/T01/B02/abcdefghijkl", "abcdefghijkl"}),
        ("https://up.example/push?token=abcdefghijkl&status=up", {"abcdefghijkl"}),
        ("https://p.example/short/", set()),
    ],
)
def test_what_in_an_address_is_the_key_is_secret_by_itself(url: str, secrets: set[str]) -> None:
    found = {value for _, value in settings(ONE_SITE | {"WPSA_NOTIFY_PING_URL": url}).secrets()}

    assert found - {ONE_SITE["WPSA_BACKEND_API_KEY"]} == secrets | {url}


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://www.shop.example", "shop.example"),
        ("https://shop.example/blog", "shop.example/blog"),
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
    ],
)
def test_a_site_without_a_name_is_called_by_its_address(url: str, name: str) -> None:
    assert name_of(url) == name
    assert SiteSettings(url=url).called == name
    assert SiteSettings(url=url, name=" Shop ").called == "Shop"


def test_a_sites_own_choices_replace_the_general_ones_and_exceptions_inherit() -> None:
    read = Settings(
        structure={"fetch_limit": 50, "post_types": {"book": {"enabled": False}}},
        sites=[
            {"url": "https://a.example"},
            {"url": "https://b.example", "structure": {"taxonomies": {"genre": {"fetch_limit": 7}}}},
        ],
    )
    first, second = (read.choices_for(site) for site in read.all_sites)

    assert first.about(a_post_type("book")) == Choice(enabled=False, fetch_limit=50)
    assert first.about(a_post_type("page")) == Choice(enabled=True, fetch_limit=50)
    assert first.about(a_taxonomy("book")) == Choice(enabled=True, fetch_limit=50)
    assert second.about(a_taxonomy("genre")) == Choice(enabled=True, fetch_limit=7)
    assert second.about(a_post_type("book")) == Choice(enabled=True, fetch_limit=100)
