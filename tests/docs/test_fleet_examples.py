"""What operators of a fleet copy: parsed, consistent with each other and with the settings, and closed."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from documents import ROOT

from agent.cli import cli
from agent.config import load
from agent.hub.options import KNOWN
from agent.settings import Settings

CONFIG = ROOT / "config"
MANIFESTS = CONFIG / "kubernetes" / "fleet"
UNIT = CONFIG / "systemd" / "wpsa-worker@.service"
SHARD = CONFIG / "systemd" / "shard.conf"
DAILY = CONFIG / "systemd" / "daily.conf"
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
CLOSED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
STATE_URL = "postgresql://wpsa:secret@db.example/wpsa"


def parsed(path: Path) -> Any:
    yaml = pytest.importorskip("yaml", reason="needs PyYAML")
    return yaml.safe_load(path.read_text("utf-8"))


def secrets_in(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_text(f"{STATE_URL if name in ('state_url', 'database_url') else 'secret'}\n")


def understood(environ: dict[str, str], folder: Path, **files: Path) -> Settings:
    """The settings that this environment makes, its secret files lying in this folder."""
    secrets_in(folder, *(Path(value).name for name, value in environ.items() if name.endswith("_FILE")))
    found = {n: str(folder / Path(v).name) if n.endswith("_FILE") else v for n, v in environ.items()}
    return load({}, environ=found, **files).settings


def assert_is_a_command(words: list[str]) -> None:
    done = CliRunner().invoke(cli, [*words, "--help"])
    assert done.exit_code == 0, f"wpsa {' '.join(words)}: {done.output}"


# --- compose ------------------------------------------------------------------------------------


def composed() -> Any:
    return parsed(CONFIG / "compose" / "fleet.yaml")["services"]


@pytest.mark.parametrize("name", ["worker", "import", "hub"])
def test_a_composed_service_has_no_right_that_it_does_not_need(name: str) -> None:
    service = composed()[name]

    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert ("volumes" in service, "tmpfs" in service) == (name == "hub", name != "hub")
    assert_is_a_command([word for word in service["command"] if not word.startswith(("/", "-"))])


@pytest.mark.parametrize("name", ["worker", "import"])
def test_a_composed_worker_understands_its_settings(name: str, tmp_path: Path) -> None:
    service = composed()[name]
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
    services = composed()
    worker = services["worker"]

    assert worker["deploy"]["replicas"] > 1
    assert not {"ports", "container_name"} & worker.keys()
    assert worker["depends_on"] == {
        "hub": {"condition": "service_healthy"}, "import": {"condition": "service_completed_successfully"},
    }  # fmt: skip
    hub = services["hub"]["environment"]
    assert worker["environment"]["WPSA_BACKEND_URL"] == f"http://hub:{hub['WPSA_HUB_LISTEN'].rpartition(':')[2]}"
    assert hub["WPSA_HUB_ALLOWED_HOSTS"] == "hub"
    assert hub.keys() <= KNOWN
    assert f"127.0.0.1:{hub['WPSA_HUB_LISTEN'].rpartition(':')[2]}/readyz" in services["hub"]["healthcheck"]["test"][-1]


# --- Kubernetes ---------------------------------------------------------------------------------


def manifest(name: str) -> Any:
    return parsed(MANIFESTS / name)


def pod(name: str) -> tuple[Any, Any]:
    """(spec of the pod, its one container)."""
    spec = manifest(name)["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    return spec, container


def test_every_manifest_is_applied_and_carries_its_label() -> None:
    applied = manifest("kustomization.yaml")["resources"]

    assert {path.name for path in MANIFESTS.iterdir()} == {*applied, "kustomization.yaml", "secret.yaml.example"}
    for name in (*applied, "secret.yaml.example"):
        metadata = manifest(name)["metadata"]
        assert metadata["name"].startswith("wpsa-fleet")
        assert metadata["labels"] == {"app.kubernetes.io/name": "wpsa-fleet"}


@pytest.mark.parametrize("name", ["deployment.yaml", "import.yaml"])
def test_a_pod_has_no_right_that_it_does_not_need_and_understands_its_settings(name: str, tmp_path: Path) -> None:
    spec, container = pod(name)
    user = re.search(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)
    assert user
    outer = spec["securityContext"]
    assert (outer["runAsNonRoot"], outer["runAsUser"], outer["runAsGroup"]) == (True, int(user[1]), int(user[2]))
    assert outer["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == CLOSED
    assert spec["automountServiceAccountToken"] is spec["enableServiceLinks"] is False
    assert_is_a_command(container["args"][:2])

    secret = manifest("secret.yaml.example")
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    secrets_in(tmp_path, *secret["stringData"])
    toml = tmp_path / "wpsa.toml"
    toml.write_text(manifest("configmap.yaml")["data"]["wpsa.toml"].replace(mounts["secrets"], str(tmp_path)))
    settings = understood({one["name"]: one["value"] for one in container["env"]}, tmp_path, config=toml)

    assert settings.state.url is not None
    assert settings.backend.api_key is not None
    assert settings.state.dir.startswith(f"{mounts['state']}/")
    assert set(mounts) == set(volumes)
    assert volumes["secrets"]["secret"]["secretName"] == secret["metadata"]["name"]
    assert volumes["settings"]["configMap"]["name"] == manifest("configmap.yaml")["metadata"]["name"]
    assert "emptyDir" in volumes["state"]


def test_the_example_of_the_secret_is_one_that_the_settings_take() -> None:
    environ = {"WPSA_STATE_URL": manifest("secret.yaml.example")["stringData"]["state_url"]}
    environ |= {"WPSA_BACKEND_URL": "https://b.example", "WPSA_BACKEND_API_KEY": "k"}

    assert load({}, environ=environ).settings.state.url is not None


def test_workers_come_and_go_one_at_a_time() -> None:
    deployment, budget = manifest("deployment.yaml")["spec"], manifest("disruptionbudget.yaml")["spec"]
    spread = deployment["template"]["spec"]["topologySpreadConstraints"]

    assert deployment["replicas"] > 1
    assert deployment["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}
    assert (budget["maxUnavailable"], budget["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")
    labels = deployment["template"]["metadata"]["labels"]
    assert deployment["selector"] == budget["selector"] == spread[0]["labelSelector"] == {"matchLabels": labels}
    assert spread[0]["topologyKey"] == "kubernetes.io/hostname"


def test_a_worker_is_asked_where_it_answers() -> None:
    _, container = pod("deployment.yaml")
    (port,) = container["ports"]

    probes = {name: container[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {probe["port"] for probe in probes.values()} == {port["name"]}
    assert f'listen = "0.0.0.0:{port["containerPort"]}"' in manifest("configmap.yaml")["data"]["wpsa.toml"]
    assert [probes[name]["path"] for name in ("livenessProbe", "readinessProbe")] == ["/livez", "/readyz"]


def test_nobody_reaches_a_worker_but_the_monitoring_and_it_reaches_its_database() -> None:
    policy, into = manifest("networkpolicy.yaml")["spec"], manifest("postgresql-networkpolicy.yaml")["spec"]
    labels = {manifest(name)["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"]
              for name in ("deployment.yaml", "import.yaml")}  # fmt: skip
    hub = parsed(CONFIG / "kubernetes" / "hub" / "postgresql.yaml")

    (ingress,) = policy["ingress"]
    assert [port["port"] for port in ingress["ports"]] == [9464]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert 5432 in [port["port"] for rule in policy["egress"] for port in rule["ports"]]
    for selector in (policy["podSelector"], into["ingress"][0]["from"][0]["podSelector"]):
        assert set(selector["matchExpressions"][0]["values"]) == labels
    assert into["podSelector"] == hub["spec"]["selector"]


def test_an_import_with_a_mistake_is_not_tried_again() -> None:
    job = manifest("import.yaml")["spec"]

    assert job["podFailurePolicy"]["rules"] == [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [2, 78]}}]
    assert job["template"]["spec"]["restartPolicy"] == "Never"
    assert job["ttlSecondsAfterFinished"] == 600


# --- systemd ------------------------------------------------------------------------------------


def directives(path: Path) -> list[tuple[str, str]]:
    lines = [line for line in path.read_text("utf-8").splitlines() if line and not line.startswith(("#", "["))]
    return [(name, value) for name, _, value in (line.partition("=") for line in lines)]


def test_the_unit_of_a_worker_understands_its_settings(tmp_path: Path) -> None:
    unit = dict(directives(UNIT))
    given = dict(value.split("=", 1) for name, value in directives(UNIT) if name == "Environment")
    environ = {name: value.replace("%i", "1") for name, value in given.items()}

    settings = understood({**environ, "WPSA_BACKEND_URL": "https://b.example"}, tmp_path)

    credentials = {value.split(":")[0] for name, value in directives(UNIT) if name == "LoadCredential"}
    assert {value for name, value in environ.items() if name.endswith("_FILE")} == {f"%d/{name}" for name in credentials}
    assert settings.state.dir == f"/var/lib/{unit['StateDirectory'].replace('%i', '1')}"
    assert settings.ops.listen == "127.0.0.1:9471"
    assert unit["RestartPreventExitStatus"].split() == ["78", "2"]
    assert_is_a_command(unit["ExecStart"].split()[1:])


def test_a_worker_is_as_closed_as_the_agent() -> None:
    """Whatever bounds wpsa.service bounds its sibling."""
    def bounds(path: Path) -> set[tuple[str, str]]:
        own = ("Environment", "ExecStart", "ExecReload", "LoadCredential", "Description", "StateDirectory")
        return {pair for pair in directives(path) if pair[0] not in own}

    assert bounds(UNIT) == bounds(UNIT.with_name("wpsa.service"))


@pytest.mark.parametrize("path", [UNIT, SHARD], ids=lambda path: path.name)
def test_every_group_of_directives_has_its_reason(path: Path) -> None:
    service = path.read_text("utf-8").split("[Service]", 1)[1].split("[Install]")[0]

    for paragraph in service.strip().split("\n\n"):
        assert any(line.startswith("# ") for line in paragraph.splitlines()), paragraph


@pytest.mark.parametrize(("name", "drop_ins"), [(UNIT.name, ()), ("wpsa.service", (DAILY, SHARD))], ids=["worker", "shard"])
def test_systemd_finds_nothing_wrong_and_little_exposed(tmp_path: Path, name: str, drop_ins: tuple[Path, ...]) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    unit = tmp_path / name.replace("@", "@1")
    folder = tmp_path / f"{name}.d"
    folder.mkdir()
    for path, copied in ((CONFIG / "systemd" / name, unit), *((path, folder / path.name) for path in drop_ins)):
        # Its own check wants a command that is there.
        copied.write_text(path.read_text().replace("/opt/wpsa/bin/wpsa", sys.executable))

    verified = analyze("verify", "--man=no", str(unit))
    judged = analyze("security", "--offline=true", "--threshold=20", str(unit))

    assert (verified.returncode, verified.stderr) == (0, "")
    assert judged.returncode == 0, judged.stdout[-200:]


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False, timeout=60)


def test_the_shares_of_several_machines_are_all_sites(tmp_path: Path) -> None:
    """Each machine has its own line SHARD=…; systemd puts it into the command."""
    command = dict(directives(SHARD))["ExecStart"].split()
    words = [word.replace("${SHARD}", "{share}") for word in command[1:]]
    toml = tmp_path / "wpsa.toml"
    names = [f"site-{number}" for number in range(40)]
    toml.write_text("".join(f'[[sites]]\nurl = "http://127.0.0.1:9/{name}"\nname = "{name}"\n' for name in names))
    taken = [shared(words, f"{number}/4", toml) for number in range(1, 5)]

    assert sorted(name for share in taken for name in share) == sorted(names)
    assert all(taken)


def shared(words: list[str], share: str, toml: Path) -> list[str]:
    """The names of the sites that the command takes for this share."""
    from agent.naming import chosen_sites, shard_of

    option = cli.commands["sync"].make_context("sync", [word.format(share=share) for word in words[1:]])
    settings = load({}, config=toml, environ={}).settings
    return [site.called for site in shard_of(chosen_sites(settings, ()), *option.params["shard"])]
