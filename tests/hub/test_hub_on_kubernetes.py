"""The hub's manifests, and its probe in compose: parsed, consistent with each other and with the hub's options, closed."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.hub.options import HubOptions

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "config" / "kubernetes" / "hub"
NAMES = {"wpsa-hub", "wpsa-hub-postgresql"}


def manifest(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text("utf-8"))


def pod(name: str) -> tuple[Any, Any]:
    """(spec of the pod, its one container)."""
    spec = manifest(name)["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    return spec, container


def test_every_manifest_is_applied_and_carries_its_label() -> None:
    applied = manifest("kustomization.yaml")["resources"]

    assert {path.name for path in FOLDER.iterdir()} == {*applied, "kustomization.yaml", "secret.yaml.example"}
    for name in (*applied, "secret.yaml.example"):
        metadata = manifest(name)["metadata"]
        assert metadata["name"] in NAMES
        assert metadata["labels"] == {"app.kubernetes.io/name": metadata["name"]}


@pytest.mark.parametrize("name", ["deployment.yaml", "postgresql.yaml"])
def test_a_pod_has_no_right_that_it_does_not_need_and_what_it_mounts(name: str) -> None:
    spec, container = pod(name)
    claims = [claim["metadata"]["name"] for claim in manifest(name)["spec"].get("volumeClaimTemplates", [])]

    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is spec["enableServiceLinks"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert {mount["name"] for mount in container["volumeMounts"]} == {
        *(volume["name"] for volume in spec["volumes"]), *claims,
    }  # fmt: skip


def test_the_hub_understands_its_options_and_finds_its_database(tmp_path: Path) -> None:
    spec, container = pod("deployment.yaml")
    given = {one["name"]: one["value"] for one in container["env"]}
    secret = manifest("secret.yaml.example")["stringData"]
    (volume,) = (one["secret"] for one in spec["volumes"] if "secret" in one)
    (item,) = volume["items"]
    file = tmp_path / "database_url"
    file.write_text(secret[item["key"]])
    assert given.pop("WPSA_HUB_DATABASE_URL_FILE") == f"/run/secrets/wpsa/{item['path']}"

    options = HubOptions.from_environment(
        {**given, "WPSA_HUB_DIR": str(tmp_path / "hub"), "WPSA_HUB_DATABASE_URL_FILE": str(file)}
    )

    (port,) = container["ports"]
    assert options.listen == f"0.0.0.0:{port['containerPort']}"
    assert options.public_url == f"https://{options.allowed_hosts[0]}"
    assert options.https
    match = re.fullmatch(r"postgresql://(\w+):([\w-]+)@([\w-]+):(\d+)/(\w+)", options.database_url)
    assert match
    user, password, host, number, name = match.groups()
    database = {one["name"]: one["value"] for one in pod("postgresql.yaml")[1]["env"]}
    assert (user, name, password) == (database["POSTGRES_USER"], database["POSTGRES_DB"], secret["postgres_password"])
    service = manifest("postgresql-service.yaml")
    assert (host, int(number)) == (service["metadata"]["name"], service["spec"]["ports"][0]["port"])
    assert manifest("postgresql.yaml")["spec"]["serviceName"] == host


def test_the_hub_is_probed_where_it_answers() -> None:
    _, container = pod("deployment.yaml")
    probes = {name: container[name]["httpGet"]["path"] for name in container if name.endswith("Probe")}

    assert probes == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    # Its own timeout for the database is five seconds.
    assert container["readinessProbe"]["timeoutSeconds"] > 5


def test_nobody_reaches_the_database_but_the_hub() -> None:
    policy = manifest("postgresql-networkpolicy.yaml")["spec"]

    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert "egress" not in policy
    (ingress,) = policy["ingress"]
    assert ingress["from"] == [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "wpsa-hub"}}}]
    allowed = manifest("networkpolicy.yaml")["spec"]["egress"][1]
    assert allowed["to"] == [{"podSelector": policy["podSelector"]}]
    assert allowed["ports"] == ingress["ports"]


def test_the_composed_hub_is_asked_whether_it_is_ready() -> None:
    services = yaml.safe_load((ROOT / "config" / "compose" / "hub-postgresql.yaml").read_text("utf-8"))["services"]
    agent, check = services["wpsa"], services["wpsa"]["healthcheck"]

    port = agent["environment"]["WPSA_HUB_LISTEN"].rpartition(":")[2]
    assert f"http://127.0.0.1:{port}/readyz" in check["test"][-1]
    assert check["test"][:2] == ["CMD", "python3"]
    assert services["postgres"]["healthcheck"]["test"][1] == "pg_isready"
