"""The release workflow: pinned, with least rights, and with a list of what was built; and that list itself."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from documents import ROOT, parsed
from judges import ours, said_by

import agent

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.y*ml"))
RELEASE = ROOT / ".github" / "workflows" / "release.yaml"
RUN_LOCK = ROOT / "config" / "requirements" / "run.txt"

RIGHTS_TO_WRITE = {
    "test": set(),
    "package": {"id-token", "attestations"},
    "image": {"packages", "id-token", "attestations"},
    "publish": {"contents"},
}


def jobs() -> dict[str, Any]:
    found: dict[str, Any] = parsed(RELEASE)["jobs"]
    return found


def steps(job: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = jobs()[job]["steps"]
    return found


def test_github_understands_every_workflow() -> None:
    said_by(ours("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)


def test_nobody_finds_a_way_into_a_workflow() -> None:
    said_by(ours("zizmor"), "--offline", "--persona", "pedantic", "--min-severity", "low", *WORKFLOWS)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_its_commit_with_its_version_beside(path: Any) -> None:
    text = path.read_text("utf-8")
    used = re.findall(r"uses: (.*)", text)

    assert used
    assert [line for line in used if not re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []
    assert len({line.split("@")[0] for line in used}) == len(set(used)), "one action, one version"


def test_nobody_has_a_right_that_his_job_does_not_need() -> None:
    whole = parsed(RELEASE)

    assert whole["permissions"] == {}
    granted = {name: {right for right, level in job["permissions"].items() if level == "write"} for name, job in jobs().items()}
    assert granted == RIGHTS_TO_WRITE
    assert all(job["timeout-minutes"] <= 60 for job in jobs().values())
    checkouts = [step for job in jobs() for step in steps(job) if step.get("uses", "").startswith("actions/checkout@")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_nothing_that_somebody_else_named_is_pasted_into_a_shell() -> None:
    scripts = [step["run"] for job in jobs() for step in steps(job) if "run" in step]

    assert scripts
    assert [script for script in scripts if "${{" in script] == []


def test_nothing_is_published_that_was_not_tested() -> None:
    needs = {name: job.get("needs", []) for name, job in jobs().items()}

    assert needs == {"test": [], "package": "test", "image": "test", "publish": ["package", "image"]}
    done = [line for step in steps("test") for line in step.get("run", "").splitlines()]
    assert {"bash tests/run", "sudo --set-home WPSA_REQUIRE_IMAGE=1 bash tests/run tests/image -m image -n 0", ".venv/bin/mypy agent"} <= set(done)
    [audit] = [line.split() for line in done if "pip-audit" in line]
    assert {"--strict", "--require-hashes", "config/requirements/run.txt"} <= set(audit)
    assert not {"||", "&", ";"} & set(audit)
    assert not [step for step in steps("test") if "continue-on-error" in step or "if" in step]


@pytest.mark.parametrize("job", ["package", "image"])
def test_what_is_built_says_what_it_is_made_of_and_where_it_was_built(job: str) -> None:
    used = [step.get("uses", "").split("@")[0] for step in steps(job)]
    listed = [step["run"] for step in steps(job) if "config/sbom" in step.get("run", "")]

    assert {"actions/attest-build-provenance", "actions/attest-sbom"} <= set(used)
    assert len(listed) == 1
    assert "config/requirements/run.txt" in listed[0]


def test_the_image_of_a_release_names_its_base_by_digest_and_its_commit() -> None:
    [build] = [step["with"] for step in steps("image") if "build-push-action" in step.get("uses", "")]
    arguments = dict(line.split("=", 1) for line in build["build-args"].splitlines())

    assert arguments == {"BASE": "${{ steps.base.outputs.pinned }}", "REVISION": "${{ github.sha }}"}
    assert set(arguments) <= set(re.findall(r"^ARG (\w+)", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE))
    assert (build["provenance"], build["sbom"]) == ("mode=max", True)
    used = [step.get("uses", "").split("@")[0] for step in steps("image")]
    assert used.index("docker/setup-qemu-action") < used.index("docker/build-push-action"), "another architecture's stages run, too"
    assert build["platforms"] == "linux/amd64,linux/arm64"


@pytest.mark.nightly
def test_the_same_source_gives_the_same_wheel(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir"]
    made = []
    for umask, folder in ((0o022, tmp_path / "one"), (0o077, tmp_path / "two")):
        subprocess.run([*build, folder, ROOT], env={"SOURCE_DATE_EPOCH": "1700000000"}, umask=umask, check=True)
        made.append(next(folder.glob("*.whl")).read_bytes())

    assert made[0] == made[1]


# --- the list -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def listed() -> dict[str, Any]:
    done = subprocess.run([sys.executable, ROOT / "config" / "sbom", RUN_LOCK], capture_output=True, text=True, check=True)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_the_list_names_every_locked_package_with_its_hashes(listed: dict[str, Any]) -> None:
    locked = dict(re.findall(r"^([\w.-]+)(?:\[.*\])?==([^\s;\\]+)", RUN_LOCK.read_text("utf-8"), re.MULTILINE))

    assert {one["name"]: one["version"] for one in listed["components"]} == locked
    for component in listed["components"]:
        [files] = component["externalReferences"]
        assert files["hashes"]
        assert all(re.fullmatch("[0-9a-f]{64}", one["content"]) for one in files["hashes"])
    assert RUN_LOCK.read_text("utf-8").count("--hash=") == sum(len(one["externalReferences"][0]["hashes"]) for one in listed["components"])


def test_the_list_is_a_cyclonedx_document_of_this_version(listed: dict[str, Any]) -> None:
    assert (listed["bomFormat"], listed["specVersion"]) == ("CycloneDX", "1.6")
    assert listed["metadata"]["component"]["version"] == agent.__version__
    [ours] = listed["dependencies"]
    refs = [one["bom-ref"] for one in listed["components"]]
    assert ours["dependsOn"] == refs
    assert len(set(refs)) == len(refs)
