"""Settings from where operators keep them: layers, twins, and every problem at once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from builders import ONE_SITE

from agent import config
from agent.config import load
from agent.errors import ConfigError

SECRET_NAMES = (
    "WPSA_SITE_APPLICATION_PASSWORD", "WPSA_SITE_HTTP_PASSWORD", "WPSA_BACKEND_API_KEY", "WPSA_BACKEND_PASSWORD",
    "WPSA_OPS_TOKEN", "WPSA_SITE_PING_URL", "WPSA_NOTIFY_PING_URL", "WPSA_NOTIFY_WEBHOOK_URL", "WPSA_NOTIFY_WEBHOOK_SECRET",
    "WPSA_STATE_URL",
)  # fmt: skip


def problems(environ: Mapping[str, str] = ONE_SITE, *, toml: Path | None = None, **arguments: Any) -> str:
    with pytest.raises(ConfigError) as failed:
        load(arguments, config=toml, environ=environ)
    assert failed.value.exit_code == 78
    assert failed.value.hint
    assert failed.value.__context__ is None or failed.value.__suppress_context__
    return failed.value.message


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    return tmp_path / "wpsa.toml"


def written(file: Path, text: str) -> Path:
    file.write_text(text, encoding="utf-8")
    return file


# --- layers -------------------------------------------------------------------------------------


def test_arguments_rule_over_the_environment_over_files_over_defaults(tmp_path: Path, toml: Path) -> None:
    written(toml, '[log]\nlevel = "error"\nformat = "json"\n[schedule]\ntimezone = "Europe/Berlin"\n'
                  '[backend]\napi_key = "toml-key"\npassword = "toml-password"\n')  # fmt: skip
    key = written(tmp_path / "key", "file-key\n")
    environ = {name: value for name, value in ONE_SITE.items() if name != "WPSA_BACKEND_API_KEY"}
    environ |= {"WPSA_LOG_LEVEL": "warning", "WPSA_LOG_FORMAT": "console", "WPSA_BACKEND_API_KEY_FILE": str(key)}
    environ |= {"WPSA_BACKEND_EMAIL": "a@b.example"}

    loaded = load({"log": {"level": "debug"}}, config=toml, environ=environ)

    read = loaded.settings
    assert (read.log.level, read.log.format) == ("debug", "console")
    assert (read.schedule.timezone, read.hub.listen) == ("Europe/Berlin", "127.0.0.1:8765")
    assert dict(read.secrets()) == {None: "file-key", "a@b.example": "toml-password"}
    assert loaded.sources["log.level"] == "argument"
    assert loaded.sources["log.format"] == "environment"
    assert loaded.sources["backend.api_key"] == "secret file"
    assert loaded.sources["schedule.timezone"] == str(toml)
    assert "hub.listen" not in loaded.sources


def test_without_anything_the_defaults_stand() -> None:
    read = load({}, environ={}).settings

    assert read.all_sites == ()
    assert read.backend.url is None


def test_an_empty_variable_is_none() -> None:
    assert load({}, environ={"WPSA_LOG_LEVEL": "", "WPSA_BACKEND_URL": ""}).settings.log.level == "info"


VALUES = {
    "WPSA_SITE_URL": "https://a.example", "WPSA_SITE_NAME": "a", "WPSA_SITE_USERNAME": "u",
    "WPSA_SITE_APPLICATION_PASSWORD": "p", "WPSA_SITE_SITE_ID": "8", "WPSA_SITE_INTEGRATION_ID": "9",
    "WPSA_SITE_ALLOW_INSECURE_HTTP": "true", "WPSA_SITE_REST_ROOT": "https://a.example/api/",
    "WPSA_SITE_PING_URL": "https://p.example/a", "WPSA_NOTIFY_PING_URL": "https://p.example/b",
    "WPSA_NOTIFY_WEBHOOK_URL": "https://h.example/c", "WPSA_NOTIFY_WEBHOOK_SECRET": "w",
    "WPSA_NOTIFY_COUNT_CHANGE_PERCENT": "20", "WPSA_NOTIFY_ALLOW_INSECURE_HTTP": "true",
    "WPSA_SITE_INTERNAL_URL": "http://wordpress", "WPSA_SITE_HTTP_USERNAME": "h", "WPSA_SITE_HTTP_PASSWORD": "p",
    "WPSA_BACKEND_URL": "https://b.example", "WPSA_BACKEND_API_KEY": "k", "WPSA_BACKEND_EMAIL": "e@b.example",
    "WPSA_BACKEND_PASSWORD": "p", "WPSA_BACKEND_SITE_ID": "7", "WPSA_BACKEND_INTEGRATION_ID": "6",
    "WPSA_BACKEND_VERIFY": "true", "WPSA_BACKEND_ALLOW_INSECURE_HTTP": "true", "WPSA_BACKEND_LOGIN_PATH": "/l/",
    "WPSA_BACKEND_REFRESH_PATH": "/r/", "WPSA_BACKEND_INTEGRATIONS_PATH": "/i/",
    "WPSA_BACKEND_POLL_SECONDS": "30",
    "WPSA_STRUCTURE_ENABLED": "false", "WPSA_STRUCTURE_FETCH_LIMIT": "5",
    "WPSA_STRUCTURE_PLUGIN_CONNECTION_ENABLED": "false", "WPSA_STRUCTURE_TWO_WAY_SYNC_ENABLED": "false",
    "WPSA_SCHEDULE_AT": "03:30", "WPSA_SCHEDULE_TIMEZONE": "Europe/Berlin",
    "WPSA_READING_CONNECTIONS": "2", "WPSA_READING_DEADLINE_SECONDS": "9.5", "WPSA_READING_SITES_AT_ONCE": "3",
    "WPSA_STATE_DIR": "/srv/wpsa", "WPSA_STATE_ALLOW_NETWORK_DISK": "true", "WPSA_STATE_URL": "postgresql://u:pw@db.example/w",
    "WPSA_LOG_LEVEL": "debug", "WPSA_LOG_FORMAT": "json",
    "WPSA_OPS_LISTEN": "127.0.0.1:1", "WPSA_OPS_TOKEN": "t", "WPSA_HUB_LISTEN": "127.0.0.1:2",
}  # fmt: skip


def test_every_option_has_its_variable_and_the_table_here_is_whole() -> None:
    assert {name for name, _, _ in config._variables()} == VALUES.keys()  # noqa: SLF001
    assert {name for name, _, secret in config._variables() if secret} == set(SECRET_NAMES)  # noqa: SLF001


@pytest.mark.parametrize("name", VALUES)
def test_a_variable_sets_its_option(name: str) -> None:
    loaded = load({}, environ=ONE_SITE | VALUES)

    _, section, key = name.lower().split("_", 2)
    value = getattr(getattr(loaded.settings, section), key)
    shown = value.get_secret_value() if name in SECRET_NAMES else str(value)
    assert shown.lower().removesuffix(":00") == VALUES[name].lower()
    assert loaded.sources[f"{section}.{key}"] == "environment"


# --- problems -----------------------------------------------------------------------------------


def test_all_problems_are_named_at_once() -> None:
    said = problems(
        ONE_SITE
        | {"WPSA_LOG_LEVEL": "loud", "WPSA_SCHEDULE_TIMEZONE": "Mars", "WPSA_TYPO": "1", "WPSA_HUB_LISTEN": "x",
           "WPSA_READING_CONNECTIONS": "many"}
    )  # fmt: skip

    for name in ("WPSA_LOG_LEVEL", "WPSA_SCHEDULE_TIMEZONE", "WPSA_TYPO", "WPSA_READING_CONNECTIONS"):
        assert name in said


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"WPSA_SITE_URl": "x"}, "WPSA_SITE_URl is not a setting"),
        ({"WPSA_BACKEND": "x"}, "WPSA_BACKEND is not a setting"),
        ({"WPSA_LOG_LEVEL_FILE": "/x"}, "WPSA_LOG_LEVEL_FILE is not a setting: WPSA_LOG_LEVEL is no secret"),
        ({"WPSA_BACKEND_API_KEY_FILE": "/nowhere"}, "WPSA_BACKEND_API_KEY and WPSA_BACKEND_API_KEY_FILE are both set"),
        ({"WPSA_BACKEND_PASSWORD_FILE": "/nowhere", "WPSA_BACKEND_EMAIL": "a"}, "cannot be read (No such file"),
        ({"WPSA_BACKEND_PASSWORD_FILE": "/", "WPSA_BACKEND_EMAIL": "a"}, "cannot be read (Is a directory"),
        ({"WPSA_LOG_LEVEL": "loud"}, "WPSA_LOG_LEVEL is wrong: input should be 'debug', 'info', 'warning' or 'error'"),
        ({"WPSA_BACKEND_LOGIN_PATH": "/login"}, "WPSA_BACKEND_LOGIN_PATH is not a path such as /api/v1/auth/login/"),
        ({"WPSA_BACKEND_INTEGRATION_ID": "a/b"}, "WPSA_BACKEND_INTEGRATION_ID is too long, or holds a character"),
        ({"WPSA_SITE_URL": "shop.example"}, "WPSA_SITE_URL is not an address such as https://example.com"),
        ({"WPSA_SITE_USERNAME": "bot"}, "username and application_password go together"),
        ({"WPSA_SITE_APPLICATION_PASSWORD": "abcd"}, "username and application_password go together"),
        ({"WPSA_BACKEND_EMAIL": "a@b"}, "WPSA_BACKEND_EMAIL and WPSA_BACKEND_PASSWORD go together"),
        ({"WPSA_BACKEND_URL": ""}, "WPSA_BACKEND_URL is missing beside its credentials"),
        ({"WPSA_BACKEND_API_KEY": ""}, "is missing beside WPSA_BACKEND_URL"),
        ({"WPSA_BACKEND_SITE_ID": ""}, "its site_id at the backend is missing"),
        ({"WPSA_BACKEND_URL": "http://backend.example"}, "credentials over plain http"),
        ({"WPSA_BACKEND_URL": "HTTP://backend.example"}, "credentials over plain http"),
        ({"WPSA_SITE_URL": "http://shop.example", "WPSA_SITE_USERNAME": "bot", "WPSA_SITE_APPLICATION_PASSWORD": "abcd"},
         "a login over plain http"),
        ({"WPSA_SITE_URL": "Http://shop.example", "WPSA_SITE_USERNAME": "bot", "WPSA_SITE_APPLICATION_PASSWORD": "abcd"},
         "a login over plain http"),
    ],
)  # fmt: skip
def test_a_contradiction_is_refused_by_name(environ: dict[str, str], said: str) -> None:
    assert said in problems(ONE_SITE | environ)


@pytest.mark.parametrize(
    "environ",
    [
        {"WPSA_BACKEND_URL": "http://127.0.0.1:8000"},
        {"WPSA_BACKEND_URL": "http://localhost:8000"},
        {"WPSA_BACKEND_URL": "http://backend.example", "WPSA_BACKEND_ALLOW_INSECURE_HTTP": "true"},
        {"WPSA_SITE_URL": "http://127.0.0.1", "WPSA_SITE_USERNAME": "bot", "WPSA_SITE_APPLICATION_PASSWORD": "abcd"},
        {"WPSA_SITE_URL": "http://shop.example"},
        {"WPSA_BACKEND_SITE_ID": "", "WPSA_BACKEND_INTEGRATION_ID": "42"},
        {"WPSA_HUB_LISTEN": "127.0.0.1:1", "WPSA_HUB_SECRET": "of the hub", "WPSA_DEMO_CACHE": "/x", "WPSA_REQUIRE_X": "1"},
        {"OTHER": "x", "WP_SITE": "y"},
    ],
)
def test_what_is_no_contradiction_is_taken(environ: dict[str, str]) -> None:
    assert load({}, environ=ONE_SITE | environ).settings.site


CANARY = "s3cret-canary\u2028 \x1b[31m"


@pytest.mark.parametrize("name", sorted(VALUES.keys() - {"WPSA_SITE_NAME"}))  # which exists to be shown
def test_no_message_shows_a_value(name: str) -> None:
    said = problems(ONE_SITE | {"WPSA_TYPO": CANARY, "WPSA_SITE_USERNAME": "bot", name: CANARY})

    assert "s3cret" not in said


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_no_message_shows_a_secret_from_a_file(name: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"s3cret\xff\n")

    said = problems(ONE_SITE | {"WPSA_BACKEND_API_KEY": "", f"{name}_FILE": str(file)})

    assert "s3cret" not in said
    assert f"{name}_FILE: the file cannot be read (not UTF-8)" in said


@pytest.mark.parametrize("name", ["WPSA_SITE_PING_URL", "WPSA_NOTIFY_PING_URL", "WPSA_NOTIFY_WEBHOOK_URL"])
@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://p.example/s3cret-of-the-ping", "over plain http"),
        ("https://bot:s3cret@p.example/", "must not contain a user"),
        ("https://p.example/s3cret#x", "without spaces and #"),
        ("https://p.example/s3 cret", "must be an address without spaces"),
        ("https://p.example/s3cret?a=\u00e4", "must be an address without spaces"),
        ("s3cret", "is not an address"),
    ],
)
def test_an_address_that_is_a_secret_is_checked_without_being_shown(name: str, url: str, problem: str) -> None:
    said = problems(ONE_SITE | {name: url})

    assert problem in said
    assert "s3cret" not in said
    assert ("ping_url" if name == "WPSA_SITE_PING_URL" and "plain" in problem else name) in said


@pytest.mark.parametrize("more", [{"WPSA_NOTIFY_PING_URL": "http://127.0.0.1:1/ping"},
                                  {"WPSA_NOTIFY_PING_URL": "http://hc/ping", "WPSA_NOTIFY_ALLOW_INSECURE_HTTP": "1"}])  # fmt: skip
def test_a_key_in_an_address_goes_over_plain_http_where_nobody_listens_or_it_is_allowed(more: dict[str, str]) -> None:
    assert load({}, environ=ONE_SITE | more).settings.notify.ping_url


def test_a_signature_without_a_webhook_is_a_problem() -> None:
    assert "WPSA_NOTIFY_WEBHOOK_URL is missing" in problems(ONE_SITE | {"WPSA_NOTIFY_WEBHOOK_SECRET": "x"})


# --- secret files -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SECRET_NAMES)
@pytest.mark.parametrize("content", ["s3cret", "s3cret\n", "s3cret\r\n"])
def test_every_secret_may_come_from_a_file(name: str, content: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    url = VALUES[name].rpartition("/")[0] + "/" if name.endswith("_URL") else ""
    file.write_bytes(f"{url}{content}".encode())
    full = ONE_SITE | {other: VALUES[other] for other in SECRET_NAMES}
    full |= {"WPSA_SITE_USERNAME": "bot", "WPSA_SITE_HTTP_USERNAME": "gate", "WPSA_BACKEND_EMAIL": "e@b.example"}
    environ = {key: value for key, value in full.items() if key != name} | {f"{name}_FILE": str(file)}

    loaded = load({}, environ=environ)

    assert f"{url}s3cret" in [secret for _, secret in loaded.settings.secrets()]
    assert "secret file" in loaded.sources.values()


@pytest.mark.parametrize("content", ["", "\n", " \n"])
def test_an_empty_secret_file_is_a_problem(content: str, tmp_path: Path) -> None:
    file = written(tmp_path / "secret", content)

    said = problems(ONE_SITE | {"WPSA_BACKEND_API_KEY": "", "WPSA_BACKEND_API_KEY_FILE": str(file)})

    assert "empty" in said


# --- TOML ---------------------------------------------------------------------------------------

SITES = """
[backend]
url = "https://backend.example"
api_key_file = "keys/backend"

[[sites]]
url = "https://a.example"
name = "a"
site_id = 1

[[sites]]
url = "https://b.example/blog/"
integration_id = "b-2"
username = "bot"
application_password_file = "keys/b"
structure = { fetch_limit = 5, post_types = { book = { enabled = false } } }
"""


@pytest.fixture
def many(toml: Path) -> Path:
    (toml.parent / "keys").mkdir()
    written(toml.parent / "keys/backend", "key-from-file\n")
    written(toml.parent / "keys/b", "abcd efgh\n")
    return written(toml, SITES)


def test_many_sites_come_from_toml_and_paths_start_at_its_folder(many: Path) -> None:
    loaded = load({}, config=many, environ={})

    sites = loaded.settings.all_sites
    assert [(site.called, site.url, site.site_id) for site in sites] == [
        ("a", "https://a.example", "1"), ("b.example/blog", "https://b.example/blog", None)
    ]
    assert loaded.settings.secrets() == [("bot", "abcd efgh"), (None, "key-from-file")]
    assert loaded.sources["sites"] == str(many)


def test_the_site_of_the_environment_joins_those_of_toml(many: Path) -> None:
    environ = {"WPSA_SITE_URL": "https://c.example", "WPSA_SITE_SITE_ID": "3"}

    sites = load({}, config=many, environ=environ).settings.all_sites

    assert [site.called for site in sites] == ["c.example", "a", "b.example/blog"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[backend]\nurl = ", "is not TOML"),
        ("a = 1", "a is not a setting"),
        ("[backend]\nurll = 'x'", "WPSA_BACKEND_URLL is not a setting"),
        ("backend = 5", "backend is wrong"),
        ("sites = 5", "sites is wrong"),
        ("[[sites]]\nname = 'x'", "[[sites]] 1: url is wrong: field required"),
        ("[[sites]]\nurl = 'https://a.example'\n[[sites]]\nurl = 'x'", "[[sites]] 2: url is not an address"),
        ("[[sites]]\nurl = 'https://a.example'\ntypo = 1", "[[sites]] 1: typo is not a setting"),
        ("[[sites]]\nurl = 'https://a.example'\nstructure = {fetch_limit = 0}", "[[sites]] 1: structure.fetch_limit"),
        ("[[sites]]\nurl = 'https://a.example'\n[[sites]]\nurl = 'https://a.example/'", "two sites have the address"),
        ("[[sites]]\nurl = 'https://a.example'\n[[sites]]\nurl = 'https://www.a.example'", "two sites have the name"),
        ("[structure.post_types.book]\nenabled = 'perhaps'", "structure.post_types.book.enabled is wrong"),
        ("[backend]\napi_key = 'a'\napi_key_file = 'b'", "api_key and api_key_file are both set"),
        ("[backend]\napi_key_file = 5", "api_key_file is no path"),
        ("[backend]\napi_key_file = 'nowhere'", "the file cannot be read"),
        ("[backend]\nurl_file = 'x'", "url"),
        ("[schedule]\nat = 03:00:00\ntimezone = 'Mars'", "WPSA_SCHEDULE_TIMEZONE is not a time zone"),
    ],
)
def test_a_mistake_in_toml_is_named(toml: Path, text: str, said: str) -> None:
    assert said in problems({}, toml=written(toml, text))


def test_a_secret_in_broken_toml_is_not_shown(toml: Path) -> None:
    for text in ("[backend]\napi_key = s3cret-key", "api_key = 's3cret\n", "[backend]\napi_key = ['s3cret']",
                 "[backend]\napi_key = {s3cret = 's3cret'}", "s3cret-key"):  # fmt: skip
        assert "s3cret" not in problems({}, toml=written(toml, text))


def test_many_sites_cannot_share_one_id_at_the_backend(many: Path) -> None:
    assert "are for one site" in problems({"WPSA_BACKEND_SITE_ID": "7"}, toml=many)


def test_a_local_time_of_toml_is_a_daily_time(toml: Path) -> None:
    read = load({}, config=written(toml, "[schedule]\nat = 03:30:00"), environ={}).settings

    assert str(read.schedule.at) == "03:30:00"


# --- which file ---------------------------------------------------------------------------------


def test_a_named_file_has_to_exist(tmp_path: Path) -> None:
    for environ, named in (({}, tmp_path / "none.toml"), ({"WPSA_CONFIG": str(tmp_path / "none.toml")}, None)):
        assert "none.toml: cannot be read (No such file or directory)" in problems(environ, toml=named)


def test_the_flag_rules_over_the_variable_over_the_home(own_home: Path, tmp_path: Path, toml: Path) -> None:
    home = own_home / ".config/wpsa/wpsa.toml"
    home.parent.mkdir(parents=True)
    written(home, "[log]\nlevel = 'error'")
    variable = written(tmp_path / "variable.toml", "[log]\nlevel = 'warning'")
    written(toml, "[log]\nlevel = 'debug'")
    environ = {"WPSA_CONFIG": str(variable)}

    levels = [
        load({}, environ={}).settings.log.level,
        load({}, environ=environ).settings.log.level,
        load({}, config=toml, environ=environ).settings.log.level,
    ]

    assert levels == ["error", "warning", "debug"]


def test_the_systems_file_is_the_last_resort(monkeypatch: pytest.MonkeyPatch, toml: Path) -> None:
    monkeypatch.setattr(config, "SYSTEM_CONFIG", written(toml, "[log]\nlevel = 'error'"))

    assert load({}, environ={}).settings.log.level == "error"


def test_a_file_behind_a_closed_door_is_named_and_no_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(type(Path())):  # type: ignore[misc]
        def stat(self, **_: object) -> Any:
            raise PermissionError(13, "Permission denied")

        def read_text(self, **_: object) -> Any:
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(config, "SYSTEM_CONFIG", Closed("/etc/wpsa/wpsa.toml"))

    assert "/etc/wpsa/wpsa.toml: cannot be read (Permission denied)" in problems({})
