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
from agent.hub.options import KNOWN

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


ALONE = [path for path in COMPOSE if path.name != "fleet.yaml"]  # of that: test_fleet_examples.py


@pytest.mark.parametrize("path", ALONE, ids=lambda path: path.name)
def test_a_composed_agent_has_no_right_that_it_does_not_need(path: Path) -> None:
    service = parsed(path)["services"]["wpsa"]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["volumes"] == ["state:/var/lib/wpsa"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert "privileged" not in service


@pytest.mark.parametrize("path", ALONE, ids=lambda path: path.name)
def test_a_composed_agent_understands_its_settings(path: Path, tmp_path: Path) -> None:
    whole = parsed(path)
    service = whole["services"]["wpsa"]
    given = {"WPSA_SITE_URL": "https://example.com", "WPSA_BACKEND_URL": "https://b.example", "WPSA_BACKEND_SITE_ID": "4"}

    environ = {n: given[n] if str(v).startswith("${" + n + ":?") else str(v) for n, v in service["environment"].items()}
    settings = assert_understood(environ, tmp_path)

    [site] = settings.all_sites
    assert site.url == environ["WPSA_SITE_URL"]
    mounted = {f"/run/secrets/{name}" for name in service.get("secrets", [])}
    assert {value for name, value in environ.items() if name.endswith("_FILE")} == mounted
    assert {name for name in environ if name.startswith("WPSA_HUB_")} <= KNOWN
    used = {secret for one in whole["services"].values() for secret in one.get("secrets", [])}
    assert used == set(whole.get("secrets", {}))


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_what_a_composition_names_is_there(path: Path) -> None:
    whole = parsed(path)
    services = whole["services"]
    volumes = {mount.split(":")[0] for one in services.values() for mount in one.get("volumes", [])}
    networks = {network for one in services.values() for network in one.get("networks", [])}
    waited_for = {name for one in services.values() for name in one.get("depends_on", {})}

    assert volumes == set(whole.get("volumes", {}))
    assert networks == set(whole.get("networks", {}))
    assert waited_for <= services.keys()
    for service in services.values():
        for name, wanted in service.get("depends_on", {}).items():
            assert (wanted["condition"] == "service_healthy") == ("healthcheck" in services[name])
    assert all(port.startswith("127.0.0.1:") for one in services.values() for port in one.get("ports", []))


def test_the_example_of_a_wordpress_is_the_site_that_the_agent_reads() -> None:
    services = parsed(CONFIG / "compose" / "demo.yaml")["services"]
    agent, site = services["wpsa"]["environment"], services["wordpress"]

    assert agent["WPSA_SITE_INTERNAL_URL"] == "http://wordpress"
    assert site["ports"] == [f"127.0.0.1:{agent['WPSA_SITE_URL'].rpartition(':')[2]}:80"]
    assert f"--url={agent['WPSA_SITE_URL']} " in services["setup"]["command"][0]
    assert site["environment"]["WORDPRESS_DB_PASSWORD"] == services["mariadb"]["environment"]["MARIADB_PASSWORD"]


def test_the_hubs_database_is_reached_by_the_agent_alone() -> None:
    whole = parsed(CONFIG / "compose" / "hub-postgresql.yaml")

    assert whole["networks"]["database"] == {"internal": True}
    assert whole["services"]["postgres"]["networks"] == ["database"]
    assert "ports" not in whole["services"]["postgres"]


# --- Kubernetes ---------------------------------------------------------------------------------

KUBERNETES = CONFIG / "kubernetes"
VARIANTS = ("daemon", "cronjob", "shards")
MANIFESTS = [  # those of the hub: tests/hub/test_hub_on_kubernetes.py; those of a fleet: test_fleet_examples.py
    path for path in sorted(KUBERNETES.rglob("*.y*ml*"))
    if path.name != "kustomization.yaml" and path.parent.name not in ("hub", "fleet")
]  # fmt: skip


def kustomized(variant: str) -> dict[str, Any]:
    """By kind, what `kubectl apply -k` of this folder would make."""
    found: dict[str, Any] = {}
    for folder in ("base", variant):
        named = parsed(KUBERNETES / folder / "kustomization.yaml")
        for resource in named["resources"]:
            if resource != "../base":
                manifest = parsed(KUBERNETES / folder / resource)
                found[manifest["kind"]] = manifest
        for patch in named.get("patches", []):
            del found[parsed_text(patch["patch"])["kind"]]
    return found


def parsed_text(text: str) -> Any:
    yaml = pytest.importorskip("yaml", reason="needs PyYAML")
    return yaml.safe_load(text)


SECRET = parsed(KUBERNETES / "base" / "secret.yaml.example")


def template(variant: str) -> Any:
    made = kustomized(variant)
    if variant == "daemon":
        return made["Deployment"]["spec"]["template"]
    return made["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_manifest_names_its_kind_and_carries_the_label(path: Path) -> None:
    manifest = parsed(path)

    assert set(manifest) >= {"apiVersion", "kind", "metadata"}
    assert manifest["metadata"]["name"] == "wpsa"
    assert manifest["metadata"]["labels"] == {"app.kubernetes.io/name": "wpsa"}


def test_every_manifest_belongs_to_a_way_of_running() -> None:
    used = {f"{folder}/{name}" for folder in ("base", *VARIANTS)
            for name in parsed(KUBERNETES / folder / "kustomization.yaml")["resources"]}  # fmt: skip

    written = {f"{path.parent.name}/{path.name}" for path in MANIFESTS}
    assert written - {"base/secret.yaml.example"} == used - {f"{variant}/../base" for variant in VARIANTS}
    assert {folder.name for folder in KUBERNETES.iterdir()} == {"base", "hub", "fleet", *VARIANTS}


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_pod_has_no_right_that_it_does_not_need(variant: str) -> None:
    pod = template(variant)["spec"]
    (container,) = pod["containers"]
    user = re.search(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)
    assert user

    outer, inner = pod["securityContext"], container["securityContext"]
    assert (outer["runAsNonRoot"], outer["runAsUser"], outer["runAsGroup"]) == (True, int(user[1]), int(user[2]))
    assert outer["seccompProfile"] == {"type": "RuntimeDefault"}
    assert inner == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert pod["automountServiceAccountToken"] is pod["enableServiceLinks"] is False
    assert template(variant)["metadata"]["labels"] == {"app.kubernetes.io/name": "wpsa"}


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_pod_finds_its_settings_secrets_and_state(variant: str, tmp_path: Path) -> None:
    made, pod = kustomized(variant), template(variant)["spec"]
    (container,) = pod["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    toml = tmp_path / "wpsa.toml"
    toml.write_text(made["ConfigMap"]["data"]["wpsa.toml"].replace(mounts["secrets"], str(tmp_path)))
    for key in SECRET["stringData"]:
        (tmp_path / key).write_text("secret\n")

    settings = assert_understood({one["name"]: one["value"] for one in container["env"]}, tmp_path, config=toml)

    assert settings.all_sites[0].called == "shop"
    assert settings.backend.api_key is not None
    assert settings.ops.token is not None
    assert settings.state.dir.startswith(f"{mounts['state']}/")
    assert volumes["secrets"]["secret"]["secretName"] == SECRET["metadata"]["name"]
    assert volumes["settings"]["configMap"]["name"] == made["ConfigMap"]["metadata"]["name"]
    assert set(mounts) == set(volumes)
    claim = made.get("PersistentVolumeClaim")
    if claim:
        assert volumes["state"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    else:
        assert "emptyDir" in volumes["state"]


def test_the_state_has_one_owner_at_a_time() -> None:
    deployment, pass_of_a_day = kustomized("daemon")["Deployment"], kustomized("cronjob")["CronJob"]

    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    assert pass_of_a_day["spec"]["concurrencyPolicy"] == "Forbid"


def test_the_pod_is_asked_where_it_answers(tmp_path: Path) -> None:
    (container,) = template("daemon")["spec"]["containers"]
    (port,) = container["ports"]
    toml = kustomized("daemon")["ConfigMap"]["data"]["wpsa.toml"]

    probes = {name: container[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {probe["port"] for probe in probes.values()} == {port["name"]}
    assert f'listen = "0.0.0.0:{port["containerPort"]}"' in toml
    routes = (ROOT / "agent" / "ops" / "endpoint.py").read_text("utf-8")
    assert all(f'Route("{probe["path"]}"' in routes for probe in probes.values())
    assert [probes[name]["path"] for name in ("livenessProbe", "readinessProbe")] == ["/livez", "/readyz"]


@pytest.mark.parametrize("variant", ["cronjob", "shards"])
def test_a_pass_of_a_day_is_not_tried_again_on_what_only_a_person_can_mend(variant: str) -> None:
    job = kustomized(variant)["CronJob"]["spec"]["jobTemplate"]["spec"]
    (container,) = job["template"]["spec"]["containers"]

    assert job["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"] == [2, 78]
    assert job["template"]["spec"]["restartPolicy"] == "Never"
    assert "sync" in " ".join([*container.get("args", []), *container.get("command", [])])


def test_the_shares_of_all_pods_are_all_sites() -> None:
    job = kustomized("shards")["CronJob"]["spec"]["jobTemplate"]["spec"]
    (container,) = job["template"]["spec"]["containers"]
    shell, option, command = container["command"]
    shares = []
    for index in range(job["completions"]):
        said = command.replace("exec wpsa", "echo")
        done = subprocess.run([shell, option, said], env={"JOB_COMPLETION_INDEX": str(index)}, capture_output=True, text=True)
        shares.append(done.stdout.split()[-1])

    assert job["completionMode"] == "Indexed"
    assert shares == [f"{number}/{job['completions']}" for number in range(1, job["completions"] + 1)]


def test_nobody_reaches_the_pod_but_the_monitoring_its_metrics() -> None:
    policy = kustomized("daemon")["NetworkPolicy"]["spec"]

    assert policy["policyTypes"] == ["Ingress", "Egress"]
    (ingress,) = policy["ingress"]
    (container,) = template("daemon")["spec"]["containers"]
    assert [port["port"] for port in ingress["ports"]] == [port["containerPort"] for port in container["ports"]]
    assert len(ingress["from"]) == 1
    assert policy["podSelector"] == kustomized("daemon")["Deployment"]["spec"]["selector"]


def test_the_container_is_judged_by_its_own_heartbeat() -> None:
    assert f"> {8 * TICK_SECONDS})" in health_check()[-1]


# --- systemd ------------------------------------------------------------------------------------

UNIT = CONFIG / "systemd" / "wpsa.service"
DROP_IN = CONFIG / "systemd" / "backend.conf"
DAILY = CONFIG / "systemd" / "daily.conf"
TIMER = CONFIG / "systemd" / "wpsa.timer"


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


def test_a_reload_is_the_signal_that_the_agent_knows() -> None:
    assert dict(directives(UNIT))["ExecReload"] == "/bin/kill -HUP $MAINPID"


def test_a_pass_a_day_is_begun_by_its_timer_and_pending_is_no_failure() -> None:
    daily, timer = dict(directives(DAILY)), dict(directives(TIMER))

    assert daily["ExecStart"].endswith("wpsa sync")
    assert (daily["Type"], daily["Restart"], daily["SuccessExitStatus"]) == ("oneshot", "no", "75")
    assert (timer["OnCalendar"], timer["Persistent"]) == ("daily", "yes")


@pytest.mark.parametrize("path", [UNIT, DROP_IN, DAILY], ids=lambda path: path.name)
def test_every_group_of_directives_has_its_reason(path: Path) -> None:
    paragraphs = re.split(r"\n\n", path.read_text("utf-8").split("[Service]", 1)[1].split("[Install]")[0])

    for paragraph in paragraphs:
        lines = [line for line in paragraph.strip().splitlines() if line]
        assert not lines or any(line.startswith("# ") for line in lines) or lines[0] == "Type=exec", paragraph


@pytest.mark.parametrize("drop_ins", [(), (DROP_IN,), (DROP_IN, DAILY)], ids=["alone", "with a backend", "once a day"])
def test_systemd_finds_nothing_wrong_and_little_exposed(tmp_path: Path, drop_ins: tuple[Path, ...]) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    # Its own check wants a command that is there.
    shutil.copy(TIMER, tmp_path)
    (tmp_path / "wpsa.service.d").mkdir()
    for path, copied in ((UNIT, tmp_path / UNIT.name), *((path, tmp_path / "wpsa.service.d" / path.name) for path in drop_ins)):
        copied.write_text(path.read_text().replace("/opt/wpsa/bin/wpsa", sys.executable))
    unit, timer = str(tmp_path / UNIT.name), str(tmp_path / TIMER.name)

    verified = analyze("verify", "--man=no", unit, timer)
    judged = analyze("security", "--offline=true", "--threshold=20", unit)

    assert (verified.returncode, verified.stderr) == (0, "")
    assert judged.returncode == 0, judged.stdout[-200:]


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False, timeout=60)
