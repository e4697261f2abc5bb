"""Compose, Kubernetes and systemd: parsed, consistent with each other and with the settings, and closed."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from documents import ROOT

from agent.config import load
from agent.daemon import TICK_SECONDS

CONFIG = ROOT / "config"
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")


def parsed(path: Path) -> Any:
    yaml = pytest.importorskip("yaml", reason="needs PyYAML")
    return yaml.safe_load(path.read_text("utf-8"))


def health_check() -> list[str]:
    found = re.search(r"^HEALTHCHECK .*\\\n +CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert found
    command: list[str] = json.loads(found[1])
    return command


def assert_understood(environ: dict[str, str], folder: Path, **files: Path) -> Any:
    """The settings that this environment makes, its secret files being there."""
    secret = folder / "secret"
    secret.write_text("secret\n")
    return load({}, environ={n: str(secret) if n.endswith("_FILE") else v for n, v in environ.items()}, **files).settings


# --- compose ------------------------------------------------------------------------------------

COMPOSE = sorted((CONFIG / "compose").glob("*.yaml"))


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_a_composed_agent_has_no_right_that_it_does_not_need(path: Path) -> None:
    service = parsed(path)["services"]["wpsa"]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["volumes"] == ["state:/var/lib/wpsa"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert "privileged" not in service


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_a_composed_agent_understands_its_settings(path: Path, tmp_path: Path) -> None:
    whole = parsed(path)
    service = whole["services"]["wpsa"]
    given = {"WPSA_SITE_URL": "https://example.com", "WPSA_BACKEND_URL": "https://b.example", "WPSA_BACKEND_SITE_ID": "4"}

    environ = {n: given[n] if str(v).startswith("${" + n + ":?") else str(v) for n, v in service["environment"].items()}
    settings = assert_understood(environ, tmp_path)

    assert settings.all_sites[0].url == "https://example.com"
    mounted = {f"/run/secrets/{name}" for name in service.get("secrets", [])}
    assert {value for name, value in environ.items() if name.endswith("_FILE")} == mounted
    assert set(service.get("secrets", [])) == set(whole.get("secrets", {}))


# --- Kubernetes ---------------------------------------------------------------------------------

KUBERNETES = sorted((CONFIG / "kubernetes").iterdir())


def the(kind: str) -> Any:
    (found,) = [one for path in KUBERNETES if (one := parsed(path))["kind"] == kind]
    return found


def pod() -> Any:
    return the("Deployment")["spec"]["template"]["spec"]


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.name)
def test_every_manifest_names_its_kind_and_carries_the_label(path: Path) -> None:
    manifest = parsed(path)

    assert set(manifest) >= {"apiVersion", "kind", "metadata"}
    assert manifest["metadata"]["name"] == "wpsa"
    assert manifest["metadata"]["labels"] == {"app.kubernetes.io/name": "wpsa"}


def test_the_pod_has_one_owner_of_the_state_and_no_right_that_it_does_not_need() -> None:
    deployment, (container,) = the("Deployment"), pod()["containers"]
    user = re.search(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)
    assert user

    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    outer, inner = pod()["securityContext"], container["securityContext"]
    assert (outer["runAsNonRoot"], outer["runAsUser"], outer["runAsGroup"]) == (True, int(user[1]), int(user[2]))
    assert outer["seccompProfile"] == {"type": "RuntimeDefault"}
    assert inner == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert pod()["automountServiceAccountToken"] is pod()["enableServiceLinks"] is False


def test_the_pod_finds_its_settings_secrets_and_state(tmp_path: Path) -> None:
    (container,) = pod()["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    volumes = {volume.pop("name"): volume for volume in pod()["volumes"]}
    toml = tmp_path / "wpsa.toml"
    (key,) = the("Secret")["stringData"]
    toml.write_text(the("ConfigMap")["data"]["wpsa.toml"].replace(mounts["secrets"], str(tmp_path)))
    (tmp_path / key).write_text("secret\n")

    settings = assert_understood({one["name"]: one["value"] for one in container["env"]}, tmp_path, config=toml)

    assert settings.all_sites[0].called == "shop"
    assert settings.backend.api_key is not None
    assert settings.state.dir.startswith(f"{mounts['state']}/")
    assert volumes["state"]["persistentVolumeClaim"]["claimName"] == the("PersistentVolumeClaim")["metadata"]["name"]
    assert volumes["secrets"]["secret"]["secretName"] == the("Secret")["metadata"]["name"]
    assert set(mounts) == set(volumes)


def test_the_pod_is_judged_as_the_container_is() -> None:
    (container,) = pod()["containers"]
    probe = container["livenessProbe"]

    assert probe["exec"]["command"] == health_check()
    assert f"> {8 * TICK_SECONDS})" in health_check()[-1]


def test_nobody_reaches_the_pod() -> None:
    policy = the("NetworkPolicy")["spec"]

    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["ingress"] == []
    assert policy["podSelector"] == the("Deployment")["spec"]["selector"]


# --- systemd ------------------------------------------------------------------------------------

UNIT = CONFIG / "systemd" / "wpsa.service"
DROP_IN = CONFIG / "systemd" / "backend.conf"


def directives(path: Path) -> Iterator[tuple[str, str]]:
    for line in path.read_text("utf-8").splitlines():
        if line and not line.startswith(("#", "[")):
            name, value = line.split("=", 1)
            yield name, value


def test_the_service_is_not_restarted_on_what_only_a_person_can_mend() -> None:
    unit = dict(directives(UNIT))

    assert unit["Restart"] == "on-failure"
    assert unit["RestartPreventExitStatus"].split() == ["78", "2"]
    assert int(unit["TimeoutStopSec"]) >= 2


def test_the_service_understands_its_settings(tmp_path: Path) -> None:
    given = [value for path in (UNIT, DROP_IN) for name, value in directives(path) if name == "Environment"]
    environ = {**dict(pair.split("=", 1) for pair in given), "WPSA_SITE_URL": "https://example.com"}
    environ |= {"WPSA_BACKEND_URL": "https://b.example", "WPSA_BACKEND_SITE_ID": "4"}

    settings = assert_understood(environ, tmp_path)

    assert settings.state.dir == f"/var/lib/{dict(directives(UNIT))['StateDirectory']}"
    credential = dict(directives(DROP_IN))["LoadCredential"].split(":")[0]
    assert f"%d/{credential}" in environ["WPSA_BACKEND_API_KEY_FILE"]


@pytest.mark.parametrize("path", [UNIT, DROP_IN], ids=lambda path: path.name)
def test_every_group_of_directives_has_its_reason(path: Path) -> None:
    paragraphs = re.split(r"\n\n", path.read_text("utf-8").split("[Service]", 1)[1].split("[Install]")[0])

    for paragraph in paragraphs:
        lines = [line for line in paragraph.strip().splitlines() if line]
        assert not lines or any(line.startswith("# ") for line in lines) or lines[0] == "Type=exec", paragraph


def test_systemd_finds_nothing_wrong_and_little_exposed(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    # Its own check wants a command that is there.
    (tmp_path / "wpsa.service").write_text(UNIT.read_text().replace("/opt/wpsa/bin/wpsa", sys.executable))
    (tmp_path / "wpsa.service.d").mkdir()
    shutil.copy(DROP_IN, tmp_path / "wpsa.service.d")
    unit = str(tmp_path / "wpsa.service")

    verified = analyze("verify", "--man=no", unit)
    judged = analyze("security", "--offline=true", "--threshold=20", unit)

    assert (verified.returncode, verified.stderr) == (0, "")
    assert judged.returncode == 0, judged.stdout[-200:]


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False, timeout=60)
