"""Manifests: by the API's schemas and as kustomize builds them, consistent with each other and the settings, closed."""

import json
import re
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from deployments import (
    KUBERNETES,
    assert_is_a_command,
    identity,
    image_user,
    kustomized,
    manifest,
    of_kind,
    pod,
    secrets_in,
    template,
    understood,
)
from documents import ROOT
from judges import of_the_machine, said_by
from reach import Party, reaches

from agent.config import load
from agent.hub.options import HubOptions

WAYS = ("daemon", "cronjob", "shards", "fleet", "hub")
OLDEST = "1.29"
"""Nobody supports an older one; the newest is the newest that the tests bring."""
CLOSED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
WRITTEN = sorted(
    f"{path.parent.name}/{path.name}" for path in KUBERNETES.rglob("*.yaml") if path.name != "kustomization.yaml"
)
SECRETS = [f"{folder}/secret.yaml.example" for folder in ("base", "fleet", "hub")]
PODS = (
    "daemon/deployment.yaml", "cronjob/cronjob.yaml", "shards/cronjob.yaml", "fleet/deployment.yaml",
    "fleet/import.yaml", "hub/deployment.yaml", "hub/postgresql.yaml",
)  # fmt: skip
OF_AN_AGENT = [(place, "base") for place in PODS[:3]] + [(place, "fleet") for place in PODS[3:5]]
"""Each with the folder of its settings and its secret."""


# --- judged by others ---------------------------------------------------------------------------


@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
def test_the_api_knows_every_field_of_every_manifest(version: str) -> None:
    for place in (*WRITTEN, *SECRETS):
        kubernetes_validate.validate(manifest(place), version, strict=True)


@pytest.mark.parametrize("way", WAYS)
def test_what_is_applied_is_what_is_written(way: str) -> None:
    kubectl = of_the_machine("kubectl", "kubernetes-client")
    if "kustomizeVersion" not in json.loads(said_by(kubectl, "version", "--client", "--output=json")):
        pytest.skip("needs a kubectl that knows patches (1.25)")

    built = list(yaml.safe_load_all(said_by(kubectl, "kustomize", KUBERNETES / way)))

    text = json.dumps(kustomized(way)).replace('"image": "wpsa"', '"image": "wpsa:latest"')
    assert sorted(built, key=identity) == json.loads(text)


# --- consistent ---------------------------------------------------------------------------------


def test_every_manifest_belongs_to_a_way_of_running() -> None:
    used = {f"{folder.name}/{name}" for folder in KUBERNETES.iterdir()
            for name in manifest(f"{folder.name}/kustomization.yaml")["resources"]}  # fmt: skip

    assert set(WRITTEN) == {place for place in used if "../" not in place}
    assert {folder.name for folder in KUBERNETES.iterdir()} == {"base", *WAYS}


@pytest.mark.parametrize("way", WAYS)
def test_every_manifest_carries_the_label_of_what_it_belongs_to(way: str) -> None:
    for made in kustomized(way):
        [label] = made["metadata"]["labels"].values()
        assert made["metadata"]["name"].startswith(label)
        assert label.startswith({"hub": "wpsa-hub", "fleet": "wpsa-fleet"}.get(way, "wpsa"))
        if "selector" in made.get("spec", {}) and made["kind"] != "Service":
            assert made["spec"]["selector"] == {"matchLabels": made["metadata"]["labels"]}
        if template(made):
            assert set(template(made)["metadata"]["labels"]) == {"app.kubernetes.io/name"}


@pytest.mark.parametrize("place", PODS)
def test_a_pod_has_no_right_that_it_does_not_need_and_what_it_mounts(place: str) -> None:
    spec, container = pod(place)
    outer = spec["securityContext"]
    claims = [claim["metadata"]["name"] for claim in manifest(place)["spec"].get("volumeClaimTemplates", [])]

    assert outer["runAsNonRoot"] is True
    assert outer["runAsUser"] == outer["runAsGroup"] == outer["fsGroup"]
    if container["image"] == "wpsa":
        assert (outer["runAsUser"], outer["runAsGroup"]) == image_user()
    assert outer["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == CLOSED
    assert spec["automountServiceAccountToken"] is spec["enableServiceLinks"] is False
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {*(volume["name"] for volume in spec["volumes"]), *claims}
    secrets = [volume["secret"] for volume in spec["volumes"] if "secret" in volume]
    assert all(secret["defaultMode"] == 0o440 for secret in secrets), "nobody else's to read"


@pytest.mark.parametrize(("place", "base"), OF_AN_AGENT)
def test_a_pod_finds_its_settings_secrets_and_state(place: str, base: str, tmp_path: Path) -> None:
    spec, container = pod(place)
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    secret, settings_map = manifest(f"{base}/secret.yaml.example"), manifest(f"{base}/configmap.yaml")
    secrets_in(tmp_path, *secret["stringData"])
    toml = tmp_path / "wpsa.toml"
    toml.write_text(settings_map["data"]["wpsa.toml"].replace(mounts["secrets"], str(tmp_path)))

    settings = understood({one["name"]: one["value"] for one in container["env"]}, tmp_path, config=toml)

    assert [site.called for site in settings.all_sites] == (["shop"] if base == "base" else [])
    assert (settings.state.url is not None) == (base == "fleet")
    assert settings.backend.api_key is not None
    assert settings.ops.token is not None
    assert settings.state.dir.startswith(f"{mounts['state']}/")
    assert mounts["settings"] == "/etc/wpsa"
    assert volumes["secrets"]["secret"]["secretName"] == secret["metadata"]["name"]
    assert volumes["settings"]["configMap"]["name"] == settings_map["metadata"]["name"]
    claim = of_kind("PersistentVolumeClaim", Path(place).parent.name)
    kept = {"persistentVolumeClaim": {"claimName": claim["metadata"]["name"]}} if claim else {"emptyDir": {}}
    assert volumes["state"].keys() >= kept.keys()
    if claim:
        assert volumes["state"].items() >= kept.items()
    if "args" in container:
        assert_is_a_command([word for word in container["args"] if not word.startswith(("/", "-"))])


@pytest.mark.parametrize(("place", "base"), [(PODS[0], "base"), (PODS[3], "fleet")])
def test_an_agent_is_asked_where_it_answers(place: str, base: str) -> None:
    _, container = pod(place)
    (port,) = container["ports"]
    probes = {name: container[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}

    assert {probe["port"] for probe in probes.values()} == {port["name"]}
    assert f'listen = "0.0.0.0:{port["containerPort"]}"' in manifest(f"{base}/configmap.yaml")["data"]["wpsa.toml"]
    routes = (ROOT / "agent" / "ops" / "endpoint.py").read_text("utf-8")
    assert all(f'Route("{probe["path"]}"' in routes for probe in probes.values())
    assert [probes[name]["path"] for name in ("livenessProbe", "readinessProbe")] == ["/livez", "/readyz"]


def test_the_hub_is_probed_where_it_answers() -> None:
    _, container = pod("hub/deployment.yaml")
    probes = {name: container[name]["httpGet"]["path"] for name in container if name.endswith("Probe")}

    assert probes == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    # Its own timeout for the database is five seconds.
    assert container["readinessProbe"]["timeoutSeconds"] > 5


# --- who runs when ------------------------------------------------------------------------------


def test_a_state_has_one_owner_at_a_time() -> None:
    for place in ("daemon/deployment.yaml", "hub/deployment.yaml"):
        assert (manifest(place)["spec"]["replicas"], manifest(place)["spec"]["strategy"]) == (1, {"type": "Recreate"})
    assert manifest("cronjob/cronjob.yaml")["spec"]["concurrencyPolicy"] == "Forbid"


@pytest.mark.parametrize("place", ["cronjob/cronjob.yaml", "shards/cronjob.yaml", "fleet/import.yaml"])
def test_a_job_is_not_tried_again_on_what_only_a_person_can_mend(place: str) -> None:
    spec = manifest(place)["spec"]
    job = spec.get("jobTemplate", {}).get("spec", spec)

    assert job["podFailurePolicy"]["rules"] == [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [2, 78]}}]
    assert job["template"]["spec"]["restartPolicy"] == "Never"


def test_the_shares_of_all_pods_are_all_sites() -> None:
    job = manifest("shards/cronjob.yaml")["spec"]["jobTemplate"]["spec"]
    shell, option, command = pod("shards/cronjob.yaml")[1]["command"]
    shares = []
    for index in range(job["completions"]):
        said = command.replace("exec wpsa", "echo")
        done = subprocess.run([shell, option, said], env={"JOB_COMPLETION_INDEX": str(index)}, capture_output=True, text=True)
        shares.append(done.stdout.split())

    assert job["completionMode"] == "Indexed"
    number = job["completions"]
    assert shares == [["sync", "--shard", f"{share}/{number}"] for share in range(1, number + 1)]


def test_workers_come_and_go_one_at_a_time() -> None:
    deployment, budget = manifest("fleet/deployment.yaml")["spec"], manifest("fleet/disruptionbudget.yaml")["spec"]
    spread = deployment["template"]["spec"]["topologySpreadConstraints"]

    assert deployment["replicas"] > 1
    assert deployment["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}
    assert (budget["maxUnavailable"], budget["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")
    labels = deployment["template"]["metadata"]["labels"]
    assert deployment["selector"] == budget["selector"] == spread[0]["labelSelector"] == {"matchLabels": labels}
    assert spread[0]["topologyKey"] == "kubernetes.io/hostname"


def test_the_example_of_the_fleets_secret_is_one_that_the_settings_take() -> None:
    environ = {"WPSA_STATE_URL": manifest("fleet/secret.yaml.example")["stringData"]["state_url"]}
    environ |= {"WPSA_BACKEND_URL": "https://b.example", "WPSA_BACKEND_API_KEY": "k"}

    assert load({}, environ=environ).settings.state.url is not None


# --- the hub and its database -------------------------------------------------------------------


def test_the_hub_understands_its_options_and_finds_its_database(tmp_path: Path) -> None:
    spec, container = pod("hub/deployment.yaml")
    given = {one["name"]: one["value"] for one in container["env"]}
    secret = manifest("hub/secret.yaml.example")["stringData"]
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
    assert manifest("hub/service.yaml")["metadata"]["name"] in options.allowed_hosts
    assert options.https
    match = re.fullmatch(r"postgresql://(\w+):([\w-]+)@([\w-]+):(\d+)/(\w+)", options.database_url)
    assert match
    user, password, host, number, name = match.groups()
    database = {one["name"]: one["value"] for one in pod("hub/postgresql.yaml")[1]["env"]}
    assert (user, name, password) == (database["POSTGRES_USER"], database["POSTGRES_DB"], secret["postgres_password"])
    service = manifest("hub/postgresql-service.yaml")
    assert (host, int(number)) == (service["metadata"]["name"], service["spec"]["ports"][0]["port"])
    assert manifest("hub/postgresql.yaml")["spec"]["serviceName"] == host


# --- who reaches whom ---------------------------------------------------------------------------


def pods_of(place: str) -> Party:
    return Party(template(manifest(place))["metadata"]["labels"])


AGENT, WORKER, IMPORT, HUB, DATABASE = (pods_of(place) for place in (PODS[0], PODS[3], PODS[4], PODS[5], PODS[6]))
DNS = Party({"k8s-app": "kube-dns"}, namespace="kube-system")
SITE, SITE_BY_IPV6 = Party(address="203.0.113.7"), Party(address="2001:db8::7")
SITE_BESIDE = Party({"app": "wordpress"}, namespace="shop")
STRANGER = Party({"app.kubernetes.io/name": "stranger"})
MONITORING, INGRESS = Party(namespace="monitoring"), Party(namespace="ingress-nginx")
POLICIES = [made for way in ("daemon", "fleet", "hub") for made in kustomized(way) if made["kind"] == "NetworkPolicy"]
REACHED = [
    *((source, target, 443) for source in (AGENT, WORKER, IMPORT) for target in (SITE, SITE_BY_IPV6)),
    (AGENT, SITE, 80), (WORKER, SITE_BESIDE, 80), (AGENT, HUB, 8765), (WORKER, HUB, 8765), (INGRESS, HUB, 8765),
    (HUB, DATABASE, 5432), (WORKER, DATABASE, 5432), (IMPORT, DATABASE, 5432), (WORKER, SITE, 5432),
    (MONITORING, AGENT, 9464), (MONITORING, WORKER, 9464),
]  # fmt: skip
OUT_OF_REACH = [
    *((source, Party(address=cloud), 80) for source in (AGENT, WORKER, HUB) for cloud in ("169.254.169.254", "fd00:ec2::254")),
    *((STRANGER, target, port) for target, port in ((AGENT, 9464), (WORKER, 9464), (HUB, 8765), (DATABASE, 5432))),
    (AGENT, DATABASE, 5432), (AGENT, WORKER, 9464), (MONITORING, AGENT, 8765), (HUB, SITE, 443), (DATABASE, SITE, 443),
]  # fmt: skip


def test_every_pod_reaches_what_it_needs() -> None:
    assert [case for case in REACHED if not reaches(POLICIES, *case)] == []
    for asking in (AGENT, WORKER, IMPORT, HUB):
        assert reaches(POLICIES, asking, DNS, 53, protocol="UDP")


def test_no_pod_reaches_or_is_reached_by_anybody_else() -> None:
    assert [case for case in OUT_OF_REACH if reaches(POLICIES, *case)] == []
