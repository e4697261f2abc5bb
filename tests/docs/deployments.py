"""What compositions, manifests and units have in common: the image's user, and settings that are understood."""

import re
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner
from documents import ROOT, parsed

from agent.cli import cli
from agent.config import load
from agent.settings import Settings

CONFIG = ROOT / "config"
KUBERNETES = CONFIG / "kubernetes"
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
STATE_URL = "postgresql://wpsa:secret@db.example/wpsa"


def image_user() -> tuple[int, int]:
    """(user, group) of the image, which everything else has to name as well."""
    found = re.search(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)
    assert found
    return int(found[1]), int(found[2])


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


# --- Kubernetes ---------------------------------------------------------------------------------


def manifest(place: str) -> Any:
    """A file below config/kubernetes, such as `hub/deployment.yaml`."""
    return parsed(KUBERNETES / place)


def kustomized(way: str) -> list[Any]:
    """The manifests that `kubectl apply -k` of this folder makes, as they are written, by kind and name."""
    made: list[Any] = []
    whole = manifest(f"{way}/kustomization.yaml")
    for name in whole["resources"]:
        made += kustomized(Path(way, name).name) if name.startswith("../") else [manifest(f"{way}/{name}")]
    gone = [identity(yaml.safe_load(patch["patch"])) for patch in whole.get("patches", [])]
    return sorted((one for one in made if identity(one) not in gone), key=identity)


def identity(made: Any) -> tuple[str, str]:
    return made["kind"], made["metadata"]["name"]


def of_kind(kind: str, way: str) -> Any:
    """The one manifest of this kind; None where there is none."""
    found = [one for one in kustomized(way) if one["kind"] == kind]
    assert len(found) < 2, f"{way}: several of {kind}"
    return found[0] if found else None


def template(made: Any) -> Any:
    """The template of a manifest's pods; None where it makes none."""
    spec = made.get("spec", {})
    return spec.get("jobTemplate", made)["spec"].get("template") if spec else None


def pod(place: str) -> tuple[Any, Any]:
    """(spec of the pod, its one container) of a file below config/kubernetes."""
    spec = template(manifest(place))["spec"]
    (container,) = spec["containers"]
    return spec, container
