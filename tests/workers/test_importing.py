"""Sites for a fleet's table: all of a file or none of it, whatever its kind, and no secret in what is said of it."""

import json

import pytest

from agent.clock import SYSTEM
from agent.config import load
from agent.errors import ConfigError
from agent.settings import Settings
from agent.state.fleet_store import FleetStore
from agent.state.sites import Change, Sites
from agent.workers.importing import NAMED_MOST, import_sites
from agent.workers.standing import fleet_standing

SECRET = "abcd efgh ijkl mnop"
CSV = f"""\
url,name,site_id,username,application_password
https://shop.example,shop,1,joe,{SECRET}
https://blog.example,,2,,
"""
JSONL = (
    f'{{"url": "https://shop.example", "name": "shop", "site_id": "1", "username": "joe", "application_password": "{SECRET}"}}\n'
    '\n{"url": "https://blog.example", "site_id": "2"}\n'
)
TOML = f"""\
[[sites]]
url = "https://shop.example"
name = "shop"
site_id = "1"
username = "joe"
application_password = "{SECRET}"

[[sites]]
url = "https://blog.example"
site_id = "2"
"""
BOTH = {"csv": CSV, "jsonl": JSONL, "toml": TOML}


@pytest.fixture
def settings(state_url: str) -> Settings:
    environ = {"WPSA_STATE_URL": state_url, "WPSA_BACKEND_URL": "https://hub.example", "WPSA_BACKEND_API_KEY": "k"}
    return load({}, config=None, environ=environ).settings


def known(settings: Settings) -> dict[str, dict[str, str]]:
    assert settings.state.url
    store = FleetStore(settings.state.url.get_secret_value())
    rows = store.rows("SELECT name, settings FROM site ORDER BY name")
    store.close()
    return {row["name"]: json.loads(row["settings"]) for row in rows}


def refusal(settings: Settings, text: str, kind: str) -> str:
    with pytest.raises(ConfigError) as refused:
        import_sites(settings, text, kind=kind, replace=False)
    assert refused.value.exit_code == 78
    assert refused.value.hint
    return refused.value.message


@pytest.mark.parametrize("kind", BOTH)
def test_every_kind_of_file_brings_the_same_sites_and_a_second_time_nothing(settings: Settings, kind: str) -> None:
    assert import_sites(settings, BOTH[kind], kind=kind, replace=False) == Change(2, 0, 0, 0)
    for again, text in BOTH.items():
        assert import_sites(settings, text, kind=again, replace=True) == Change(0, 0, 2, 0)

    shop = {"url": "https://shop.example", "name": "shop", "site_id": "1", "username": "joe", "application_password": SECRET}
    assert known(settings) == {"shop": shop, "blog.example": {"url": "https://blog.example", "site_id": "2"}}


def test_what_is_new_or_has_changed_is_due_and_what_is_left_out_stays_unless_it_is_replaced(settings: Settings) -> None:
    import_sites(settings, CSV, kind="csv", replace=False)
    assert settings.state.url
    store = FleetStore(settings.state.url.get_secret_value())
    Sites(store).set_next("shop", SYSTEM.now().replace(year=2999))
    Sites(store).set_next("blog.example", SYSTEM.now().replace(year=2999))
    store.close()
    assert fleet_standing(settings, at=SYSTEM.now()).census.due == 0

    change = import_sites(settings, CSV.replace(SECRET, "another password").replace("blog", "news"), kind="csv", replace=False)

    assert change == Change(1, 1, 0, 0)
    census = fleet_standing(settings, at=SYSTEM.now()).census
    assert (census.sites, census.due) == (3, 2)
    assert import_sites(settings, TOML, kind="toml", replace=True) == Change(0, 1, 1, 1)
    assert list(known(settings)) == ["blog.example", "shop"]


def test_every_mistake_is_named_by_its_line_no_value_is_and_nothing_is_taken(settings: Settings) -> None:
    text = (
        "url,name,site_id,application_password,colour,connect\n"
        "https://good.example,good,1,,,\n"
        f"https://a.example,a,,{SECRET},,\n"
        f"gopher://b.example,b,3,{SECRET},,\n"
        f"https://c.example,c,4,,{SECRET},\n"
        "https://good.example,good,5,,,\n"
    )

    said = refusal(settings, text, "csv")

    for line, what in ((3, "site_id"), (3, "username"), (4, "url"), (5, "colour"), (6, "good")):
        assert any(f"line {line}: " in part and what in part for part in said.split("; ")), (line, what, said)
    assert "line 2" not in said
    assert SECRET not in said and "gopher" not in said
    with pytest.raises(ConfigError, match="no fleet in this database"):
        fleet_standing(settings, at=SYSTEM.now())


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("csv", 'url,name\n\n"https://a.example","a\nb"\n\nnonsense,c\n'),
        ("csv", "url,name\r\n\r\n\r\n\r\n\r\nnonsense,c\r\n"),
        ("jsonl", '{"url": "https://a.example", "site_id": "1", "name": "a\u2028b"}\n\n\n\n\n{"url": "nonsense"}'),
    ],
)
def test_a_mistake_is_found_where_an_editor_shows_it(settings: Settings, kind: str, text: str) -> None:
    assert "line 6: url " in refusal(settings, text, kind)


def test_of_very_many_mistakes_the_first_are_named_and_the_others_counted(settings: Settings) -> None:
    said = refusal(settings, "url,site_id\n" + "nonsense,1\n" * 1_000, "csv")

    assert said.count("line ") == NAMED_MOST
    assert said.endswith("990 more")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("jsonl", '{"url": "https://shop.example", "application_password": "abcd efgh ijkl mnop"\n'),
        ("jsonl", "[" * 100_000),
        ("jsonl", '{"url": "https://shop.example", "application_password": "abcd efgh ijkl mnop", "site_id": ' + "9" * 5_000 + "}"),
        ("jsonl", '"abcd efgh ijkl mnop"\n'),
        ("toml", 'application_password = "abcd efgh ijkl mnop\n'),
        ("toml", 'sites = "abcd efgh ijkl mnop"\n'),
        ("csv", 'url,application_password\n"https://shop.example,abcd efgh ijkl mnop\n'),
        ("csv", "url,site_id\nhttps://shop.example,1,abcd efgh ijkl mnop\n"),
        ("csv", "url;site_id\nhttps://shop.example;abcd efgh ijkl mnop\n"),
        ("xlsx", CSV),
    ],
)
def test_a_file_that_is_not_of_its_kind_is_refused_without_its_text(settings: Settings, kind: str, text: str) -> None:
    assert SECRET not in refusal(settings, text, kind)


@pytest.mark.parametrize(("kind", "text"), [("csv", "url,site_id\n"), ("jsonl", ""), ("toml", "")])
def test_a_file_without_sites_is_a_mistake_and_removes_nothing(settings: Settings, kind: str, text: str) -> None:
    import_sites(settings, CSV, kind="csv", replace=False)

    with pytest.raises(ConfigError, match="names no site"):
        import_sites(settings, text, kind=kind, replace=True)
    assert len(known(settings)) == 2
