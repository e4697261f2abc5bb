"""Compositions: by the specification's schema, consistent with each other and with the settings, and closed."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from deployments import CONFIG, STATE_URL, assert_is_a_command, image_user, understood
from documents import ROOT, parsed
from judges import ours, said_by

from agent.hub.options import KNOWN

COMPOSE = sorted((CONFIG / "compose").glob("*.yaml"))
ALONE = [path for path in COMPOSE if path.name != "fleet.yaml"]
OF_A_FLEET = CONFIG / "compose" / "fleet.yaml"
USER_OF_POSTGRES = 70
"""In the image that is made of Alpine."""


def services(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = parsed(path)["services"]
    return found


def our_own() -> list[Any]:
    return [
        pytest.param(service, id=f"{path.name}:{name}")
        for path in COMPOSE for name, service in services(path).items() if service["image"] == "wpsa"
    ]  # fmt: skip


def test_compose_understands_every_file() -> None:
    said_by(ours("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", *COMPOSE)


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_what_a_composition_names_is_there(path: Path) -> None:
    whole = parsed(path)
    services = whole["services"]
    volumes = {mount.split(":")[0] for one in services.values() for mount in one.get("volumes", [])}
    networks = {network for one in services.values() for network in one.get("networks", [])}
    secrets = {secret for one in services.values() for secret in one.get("secrets", [])}
    waited_for = {name for one in services.values() for name in one.get("depends_on", {})}

    assert volumes == set(whole.get("volumes", {}))
    assert networks == set(whole.get("networks", {}))
    assert secrets == set(whole.get("secrets", {}))
    assert waited_for <= services.keys()
    for service in services.values():
        for name, wanted in service.get("depends_on", {}).items():
            assert (wanted["condition"] == "service_healthy") == ("healthcheck" in services[name])
    assert all(port.startswith("127.0.0.1:") for one in services.values() for port in one.get("ports", []))


@pytest.mark.parametrize("service", our_own())
def test_a_composed_service_has_no_right_that_it_does_not_need(service: Any) -> None:
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    [place] = service.get("volumes", []) + service.get("tmpfs", [])
    assert re.search(r"(^|:)/var/lib/wpsa(:|$)", place)
    assert_is_a_command([word for word in service.get("command", ["run"]) if not word.startswith(("/", "-"))])


@pytest.mark.parametrize("service", our_own())
def test_an_image_of_our_name_is_never_asked_of_a_registry(service: Any) -> None:
    built = service.get("build")

    assert service["pull_policy"] == ("build" if built else "never")
    if built:
        assert (CONFIG / "compose" / built).resolve() == ROOT


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_what_runs_for_a_year_is_there_again_after_the_machine_was_off(path: Path) -> None:
    """`on-failure` would not do: the engine ends its containers properly before the machine goes off."""
    again = {name: service.get("restart", "no") for name, service in services(path).items()}

    if path.name == "demo.yaml":
        assert "unless-stopped" not in again.values(), "its WordPress would not be there, either"
    else:
        assert {name for name, policy in again.items() if policy != "unless-stopped"} <= {"import"}


@pytest.mark.parametrize("path", ALONE, ids=lambda path: path.name)
def test_a_composed_agent_understands_its_settings(path: Path, tmp_path: Path) -> None:
    service = services(path)["wpsa"]
    given = {"WPSA_SITE_URL": "https://example.com", "WPSA_BACKEND_URL": "https://b.example", "WPSA_BACKEND_SITE_ID": "4"}

    environ = {n: given[n] if str(v).startswith("${" + n + ":?") else str(v) for n, v in service["environment"].items()}
    settings = understood(environ, tmp_path)

    [site] = settings.all_sites
    assert site.url == environ["WPSA_SITE_URL"]
    mounted = {f"/run/secrets/{name}" for name in service.get("secrets", [])}
    assert {value for name, value in environ.items() if name.endswith("_FILE")} == mounted
    assert {name for name in environ if name.startswith("WPSA_HUB_")} <= KNOWN


@pytest.mark.parametrize("name", ["worker", "import"])
def test_a_composed_worker_understands_its_settings(name: str, tmp_path: Path) -> None:
    service = services(OF_A_FLEET)[name]
    environ = service["environment"]

    settings = understood(environ, tmp_path)

    assert settings.state.url is not None
    assert settings.state.url.get_secret_value() == STATE_URL
    assert settings.all_sites == ()
    mounted = {f"/run/secrets/{secret}" for secret in service["secrets"]}
    named = {value for key, value in environ.items() if key.endswith("_FILE")}
    assert mounted - named == ({"/run/secrets/sites.csv"} if name == "import" else set())
    assert named <= mounted


def test_any_number_of_workers_begin_when_the_sites_are_known_and_the_hub_takes_structures() -> None:
    fleet = services(OF_A_FLEET)
    worker, hub = fleet["worker"], fleet["hub"]["environment"]

    assert worker["deploy"]["replicas"] > 1
    assert not {"ports", "container_name"} & worker.keys()
    assert worker["depends_on"] == {
        "hub": {"condition": "service_healthy"}, "import": {"condition": "service_completed_successfully"},
    }  # fmt: skip
    assert worker["environment"]["WPSA_BACKEND_URL"] == f"http://hub:{hub['WPSA_HUB_LISTEN'].rpartition(':')[2]}"
    assert hub["WPSA_HUB_ALLOWED_HOSTS"] == "hub"
    assert hub.keys() <= KNOWN


@pytest.mark.parametrize(("name", "service"), [("fleet.yaml", "hub"), ("hub-postgresql.yaml", "wpsa")])
def test_a_hub_with_a_database_is_asked_whether_it_is_ready(name: str, service: str) -> None:
    """Here by a socket that nobody answers; by a hub that does: tests/image."""
    asked = services(CONFIG / "compose" / name)[service]
    listen, [shell, *command] = asked["environment"]["WPSA_HUB_LISTEN"], asked["healthcheck"]["test"]
    address = f'("127.0.0.1", {listen.rpartition(":")[2]}, '

    assert (shell, command[:2]) == ("CMD", ["python3", "-ISc"])
    assert address in command[2]
    assert 'request("GET", "/readyz")' in command[2]
    done = subprocess.run([*command[:2], command[2].replace(address, '("127.0.0.1", 9, ')], capture_output=True, text=True)
    assert "ConnectionRefusedError" in done.stderr


@pytest.mark.parametrize("path", [path for path in COMPOSE if "secrets" in parsed(path)], ids=lambda path: path.name)
def test_the_first_lines_make_secrets_that_only_the_user_of_their_container_can_read(path: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("openssl") is None:
        pytest.skip("needs root, to give files away, and openssl")
    comment = "".join(line.removeprefix("#") for line in path.read_text().splitlines(keepends=True) if line.startswith("#"))
    commands = [line for line in re.sub(r"\\\n", "", comment).splitlines() if " install " in f" {line}"]
    (tmp_path / "my-key").write_text("key\n")
    subprocess.run(["bash", "-euo", "pipefail", "-c", "\n".join(["hub='echo key'", *commands])], cwd=tmp_path, check=True)

    for secret, place in parsed(path)["secrets"].items():
        file = tmp_path / "config" / "compose" / place["file"]
        images = {one["image"] for one in services(path).values() if secret in one.get("secrets", [])}
        owner = {"wpsa": image_user()[0], "postgres:17-alpine": USER_OF_POSTGRES}[images.pop()]
        assert (images, file.stat().st_uid, oct(file.stat().st_mode & 0o777)) == (set(), owner, "0o400")
        assert file.read_text().strip()


def test_the_example_of_a_wordpress_is_the_site_that_the_agent_reads() -> None:
    demo = services(CONFIG / "compose" / "demo.yaml")
    agent, site = demo["wpsa"]["environment"], demo["wordpress"]

    assert agent["WPSA_SITE_INTERNAL_URL"] == "http://wordpress"
    assert site["ports"] == [f"127.0.0.1:{agent['WPSA_SITE_URL'].rpartition(':')[2]}:80"]
    assert f"--url={agent['WPSA_SITE_URL']} " in demo["setup"]["command"][0]
    assert site["environment"]["WORDPRESS_DB_PASSWORD"] == demo["mariadb"]["environment"]["MARIADB_PASSWORD"]


@pytest.mark.parametrize("name", ["hub-postgresql.yaml", "fleet.yaml"])
def test_the_database_reaches_nobody_and_is_reached_from_within_alone(name: str) -> None:
    whole = parsed(CONFIG / "compose" / name)

    assert whole["networks"]["database"] == {"internal": True}
    assert whole["services"]["postgres"]["networks"] == ["database"]
    assert "ports" not in whole["services"]["postgres"]
    assert whole["services"]["postgres"]["healthcheck"]["test"][1] == "pg_isready"
