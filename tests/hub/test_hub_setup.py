"""Preparing a hub: options, files, migrations, first start and every start after it."""

import asyncio
import json
import os
import stat
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from agent.hub import embedded
from agent.hub.options import HubOptionError, HubOptions, host_of, is_loopback
from agent.hub.settings import databases


def options(tmp_path: Path, **environment: str) -> HubOptions:
    named = {f"WPSA_HUB_{name}": value for name, value in environment.items()}
    return HubOptions.from_environment({"WPSA_HUB_DIR": str(tmp_path / "hub"), **named})


def prepare_again(hub_directory: Path, **changes: Any) -> embedded.Embedded:
    given = {"sites": {"first": "https://first.example"}, "listen": "127.0.0.1:8765", **changes}
    return embedded.prepare(hub_directory, **given)


def test_preparing_again_uses_what_is_there(hub: embedded.Embedded, hub_directory: Path) -> None:
    first, second = prepare_again(hub_directory), prepare_again(hub_directory)

    assert second.api_key == first.api_key
    assert second.site_ids == hub.site_ids


def test_a_changed_url_is_taken_over_and_a_new_site_is_added(hub: embedded.Embedded, hub_directory: Path) -> None:
    from agent.hub.integrations.models import Site

    sites = {"first": "https://moved.example", "second": "https://second.example"}
    again = prepare_again(hub_directory, sites=sites)

    assert again.site_ids["first"] == hub.site_ids["first"]
    assert Site.objects.get(pk=again.site_ids["first"]).url == "https://moved.example"
    assert Site.objects.get(pk=again.site_ids["second"]).integrations.get().platform == "wordpress"


def test_a_lost_or_revoked_key_is_replaced(hub: embedded.Embedded, hub_directory: Path) -> None:
    from agent.hub.integrations.models import ApiKey

    file = hub_directory / embedded.API_KEY_FILE
    before = file.read_text()
    file.unlink()
    replaced = prepare_again(hub_directory)

    assert replaced.api_key == file.read_text().strip() != before.strip()
    assert ApiKey.find(before.strip()) is None
    assert ApiKey.find(replaced.api_key) is not None


def test_preparing_works_beside_a_running_event_loop(hub: embedded.Embedded, hub_directory: Path) -> None:
    async def inside() -> embedded.Embedded:
        return prepare_again(hub_directory)

    assert asyncio.run(inside()).site_ids == hub.site_ids


def test_the_key_is_not_in_the_repr(hub: embedded.Embedded) -> None:
    assert hub.api_key not in repr(hub)


def test_a_second_hub_in_one_process_is_refused(hub: embedded.Embedded, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="another folder"):
        prepare_again(tmp_path / "other")


def test_every_file_is_private(only_sqlite: None, hub: embedded.Embedded, hub_directory: Path) -> None:
    from django.db import connection

    with connection.cursor() as cursor:  # an open connection keeps -wal and -shm there
        cursor.execute("BEGIN IMMEDIATE")
        cursor.execute("ROLLBACK")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in hub_directory.iterdir()}

    assert stat.S_IMODE(hub_directory.stat().st_mode) == 0o700
    assert {"hub.sqlite3", "hub.sqlite3-wal", "hub.sqlite3-shm", "secret-key", "token-key"} <= modes.keys()
    assert set(modes.values()) == {0o600}


def test_the_database_is_durable(only_sqlite: None, hub: embedded.Embedded) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        values = {name: cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")}

    assert values == {"journal_mode": "wal", "synchronous": 2}


def test_migrations_are_current(hub: embedded.Embedded) -> None:
    from django.core.management import call_command

    call_command("makemigrations", check=True, dry_run=True, verbosity=0, stdout=StringIO())


def test_the_database_itself_refuses_doubles(hub: embedded.Embedded) -> None:
    from django.db import IntegrityError, transaction
    from hub_builders import a_tenant

    from agent.hub.integrations.models import Content, SiteIntegration

    tenant = a_tenant()
    content = {"integration": tenant.integration, "family": "post_type", "type": "post", "external_id": "1"}
    Content.objects.create(**content)
    for model, fields in (
        (SiteIntegration, {"site": tenant.site}),
        (Content, content),
        (Content, {**content, "family": "comment", "external_id": "2"}),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            model.objects.create(**fields)


def test_django_adds_no_log_handlers(hub: embedded.Embedded) -> None:
    import logging

    from django.conf import settings

    assert settings.LOGGING_CONFIG is None
    assert not logging.getLogger("django").handlers
    assert settings.DEBUG is False


def test_secrets_are_not_in_the_repr_of_the_options(tmp_path: Path) -> None:
    given = options(tmp_path)

    assert given.secret_key not in repr(given)
    assert given.token_key not in repr(given)
    assert given.secret_key != given.token_key
    assert options(tmp_path).secret_key == given.secret_key


def test_secrets_come_from_files_or_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("f" * 50 + "\n")

    given = options(tmp_path, SECRET_KEY_FILE=str(file), TOKEN_KEY="t" * 50)

    assert (given.secret_key, given.token_key) == ("f" * 50, "t" * 50)
    assert not (tmp_path / "hub").exists()


@pytest.mark.parametrize(
    "environment",
    [
        {"ALLOWED_HOST": "x"},
        {"ALLOWED_HOSTS": "*"},
        {"LISTEN": "8765"},
        {"LISTEN": "127.0.0.1:99999"},
        {"OPEN": "maybe"},
        {"LIST_SHAPE": "tree"},
        {"SECRET_KEY": "tooshort-but-secret"},
        {"SECRET_KEY": "s" * 50, "SECRET_KEY_FILE": "/nowhere"},
        {"SECRET_KEY_FILE": "/nowhere/at/all"},
        {"DATABASE_URL": "mysql://user:tooshort-but-secret@db/hub"},
        {"DATABASE_URL": "postgresql://db/hub", "DATABASE_URL_FILE": "/nowhere"},
        {"DATABASE_URL": "postgresql://user:tooshort-but-secret@db:port/?nonsense=1"},
        {"DATABASE_URL": "postgresql://user:tooshort-but-secret@db"},
        {"TRUSTED_PROXIES": "*"},
        {"TRUSTED_PROXIES": "10.0.0.1,proxy.example"},
        {"PUBLIC_URL": "hub.example"},
        {"DIR": ""},
    ],
)
def test_an_unsafe_option_is_refused_by_name_without_its_value(tmp_path: Path, environment: dict[str, str]) -> None:
    with pytest.raises(HubOptionError, match="WPSA_HUB_") as caught:
        databases(options(tmp_path, **environment))

    assert "tooshort-but-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("listen", "loopback"),
    [("127.0.0.1:1", True), ("[::1]:0", True), ("localhost:80", True), ("0.0.0.0:80", False), (":80", False),
     ("[::]:80", False), ("192.168.1.4:80", False), ("hub.example:80", False), ("127.0.0.1.evil.example:80", False)],
)  # fmt: skip
def test_pages_open_on_loopback_only(tmp_path: Path, listen: str, loopback: bool) -> None:
    assert is_loopback(host_of(listen)) is loopback
    assert options(tmp_path, LISTEN=listen, OPEN="1").open_pages is loopback
    assert options(tmp_path, LISTEN=listen).open_pages is False


def test_the_address_of_postgresql_is_what_libpq_understands(tmp_path: Path) -> None:
    url = "postgresql://wpsa:s%20ecret@db.example:5433/hub?sslmode=verify-full"
    given = options(tmp_path, DATABASE_URL=url)

    database = databases(given)["default"]

    assert database["ENGINE"] == "django.db.backends.postgresql"
    named = {key: database[key] for key in ("NAME", "USER", "PASSWORD", "HOST", "PORT")}
    assert named == {"NAME": "hub", "USER": "wpsa", "PASSWORD": "s ecret", "HOST": "db.example", "PORT": "5433"}
    assert database["OPTIONS"]["sslmode"] == "verify-full"
    assert "ecret" not in repr(given)


def test_the_address_of_the_database_comes_from_a_file_too(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("postgresql:///hub?host=/run/postgresql\n")

    database = databases(options(tmp_path, DATABASE_URL_FILE=str(file)))["default"]

    assert (database["NAME"], database["HOST"]) == ("hub", "/run/postgresql")


def test_over_tls_nothing_is_left_for_the_deployment_check(tmp_path: Path) -> None:
    environment = {**clean_environment(tmp_path), "WPSA_HUB_HTTPS": "1", "WPSA_HUB_ALLOWED_HOSTS": "hub.example"}
    result = manage(environment, "check", "--deploy", "--fail-level", "WARNING")

    # W008: TLS ends at the proxy in front, which also redirects. W005 and W021: subdomains are not ours to decide.
    told = {word for word in result.stderr.replace("(", " ").replace(")", " ").split() if word.startswith("security.")}
    assert told == {"security.W005", "security.W008", "security.W021"}


def test_a_standalone_hub_makes_its_administrator_once(tmp_path: Path) -> None:
    script = (
        "import json, pathlib, sys\n"
        "from agent.hub import standalone\n"
        "print(json.dumps([standalone.prepare(pathlib.Path(sys.argv[1]), '127.0.0.1:0')[1] for _ in range(2)]))\n"
    )
    environment = clean_environment(tmp_path)
    directory = environment.pop("WPSA_HUB_DIR")
    run = subprocess.run(
        [sys.executable, "-c", script, directory], env=environment, capture_output=True, text=True, check=True
    )

    first, second = json.loads(run.stdout)
    assert first[0] == "admin@localhost"
    assert len(first[1]) >= 24
    assert second is None
    assert first[1] not in run.stderr
    for file in Path(directory).iterdir():
        assert first[1].encode() not in file.read_bytes()

    environment["WPSA_HUB_DIR"] = directory
    added = manage(environment, "add_site", "Shop", "https://shop.example", "--owner", "ADMIN@localhost")
    assert added.stdout == "site_id=1 integration_id=1\n"
    assert manage(environment, "create_api_key", "--owner", "admin@localhost").stdout.startswith("wpsa_")
    assert manage(environment, "record_contents", "1", "post", "1", "50").stdout == "new=50\n"
    assert manage(environment, "record_contents", "1", "post", "41", "60").stdout == "new=10\n"


def clean_environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WPSA_", "DJANGO_"))}
    return {**kept, "WPSA_HUB_DIR": str(tmp_path / "alone")}


def manage(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agent.hub", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
