"""Each file that operators copy loads, and says what the code understands."""

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
from documents import ROOT
from judges import ours, said_by

import agent
from agent.config import load
from agent.daemon import TICK_SECONDS
from agent.describe import example
from agent.settings import Settings, SiteSettings

EXAMPLES = ROOT / "config" / "examples"
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")


def switched_on(text: str) -> str:
    """A file of settings with every key that is switched off in it."""
    return re.sub(r"^#(?=[a-z_]+ = |\[\[|[A-Z_]+=)", "", text, flags=re.MULTILINE)


def with_secrets_in(folder: Path, text: str) -> None:
    """Every file that the text names for a secret."""
    for pair in re.findall(r"_file = \"([^\"]+)\"|_FILE=\S*/(\S+)", text):
        name = "".join(pair)
        address = "postgresql://wpsa:secret@db.example/wpsa" if name == "url" else "https://secret.example"
        (folder / name).write_text(f"{address if name.endswith('url') else 'secret'}\n")


def test_the_example_of_the_settings_is_what_the_command_writes() -> None:
    assert (EXAMPLES / "wpsa.toml").read_text("utf-8") == example(), "wpsa config init > config/examples/wpsa.toml"


def test_the_example_of_the_settings_loads_as_it_is_and_changes_nothing() -> None:
    settings = load({}, config=EXAMPLES / "wpsa.toml", environ={}).settings

    assert settings.model_dump() == Settings().model_dump()


def test_every_key_of_the_example_can_be_switched_on(tmp_path: Path) -> None:
    text = switched_on(example())
    (tmp_path / "wpsa.toml").write_text(text)
    with_secrets_in(tmp_path, text)
    values = tomllib.loads(text)

    load({}, config=tmp_path / "wpsa.toml", environ={})

    named = {name: keys_of(section) for name, section in values.items() if isinstance(section, dict)}
    known = {name: set(type(field).model_fields) for name, field in Settings() if name not in ("site", "sites")}
    assert named == known
    (site,) = values["sites"]
    assert keys_of(site) == set(SiteSettings.model_fields)


def keys_of(section: dict[str, Any]) -> set[str]:
    return {key.removesuffix("_file") for key in section}


@pytest.mark.parametrize("change", [str, switched_on], ids=["as it is", "switched on"])
def test_the_example_of_the_environment_loads(change: Any, tmp_path: Path) -> None:
    text = change((EXAMPLES / "wpsa.env").read_text("utf-8"))
    with_secrets_in(tmp_path, text)
    pairs = [line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#")]
    environ = {name: value.replace("/etc/wpsa", str(tmp_path)) for name, value in pairs}

    settings = load({}, environ=environ).settings

    assert [site.called for site in settings.all_sites] == ["shop"]
    # docker's --env-file keeps quotes, systemd's EnvironmentFile takes them away: neither may matter.
    assert all(shlex.split(value) == [value] for value in environ.values())


# --- the Dockerfile, as far as a text can tell; tests/image builds it ---------------------------


def test_nothing_in_the_dockerfile_is_a_known_mistake() -> None:
    said_by(ours("hadolint"), ROOT / "Dockerfile")


def test_the_container_is_judged_by_its_own_heartbeat() -> None:
    found = re.search(r"^HEALTHCHECK .*\\\n +CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert found
    assert f"> {8 * TICK_SECONDS})" in json.loads(found[1])[-1]


def test_the_image_is_of_this_version() -> None:
    assert f"ARG VERSION={agent.__version__}\n" in DOCKERFILE


def test_the_image_installs_locked_wheels_and_nothing_else() -> None:
    text = re.sub(r"\s*\\\n\s*", " ", DOCKERFILE)
    installs = re.findall(r"pip (?:--python \S+ )?(?:install|wheel)[^&\n]*", text)

    assert len(installs) == 4
    for install in installs:
        from_lock = "--require-hashes --only-binary :all: -r /build/" in install
        assert from_lock or ("--no-deps" in install and "--no-index" in install)


def test_the_image_holds_what_is_named_and_no_more() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]

    assert rules[0] == "*"
    assert {rule.removeprefix("!") for rule in rules if rule.startswith("!")} == {
        "agent", "config/requirements", "pyproject.toml", "README.md", "LICENSE",
    }  # fmt: skip
