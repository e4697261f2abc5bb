"""The settings, described from their one declaration."""

import re
import tomllib
from pathlib import Path

import pytest
from builders import ONE_SITE

from agent.config import Loaded, load
from agent.describe import effective, example
from agent.settings import Settings


def shown(loaded: Loaded) -> dict[str, tuple[str, str]]:
    return {option: (value, source) for option, value, source in effective(loaded)}


def test_every_setting_has_its_value_and_its_source(tmp_path: Path) -> None:
    toml = tmp_path / "wpsa.toml"
    toml.write_text(
        "[schedule]\nat = 03:30:00\n[structure.post_types.book]\nenabled = false\n[[sites]]\nurl = 'https://b.example'\n"
        "site_id = 8\n"
    )
    environ = {name: value for name, value in ONE_SITE.items() if name != "WPSA_BACKEND_SITE_ID"}
    environ |= {"WPSA_SITE_SITE_ID": "7"}

    rows = shown(load({"log": {"level": "debug"}}, config=toml, environ=environ))

    assert rows["log.level"] == ("debug", "argument")
    assert rows["site.url"] == ("https://shop.example", "environment")
    assert rows["schedule.at"] == ("03:30:00", str(toml))
    assert rows["sites.1.url"] == ("https://b.example", str(toml))
    assert rows["structure.post_types"] == ("book", str(toml))
    assert rows["structure.taxonomies"] == ("–", "default")
    assert rows["hub.listen"] == ("127.0.0.1:8765", "default")


def test_secrets_are_masked_and_so_is_their_length() -> None:
    rows = shown(load({}, environ=ONE_SITE | {"WPSA_SITE_USERNAME": "b", "WPSA_SITE_APPLICATION_PASSWORD": "s3cret"}))

    assert rows["backend.api_key"] == ("***", "environment")
    assert rows["site.application_password"] == ("***", "environment")
    assert rows["backend.password"] == ("–", "default")


def test_every_option_of_every_section_is_listed() -> None:
    rows = shown(load({}, environ=ONE_SITE))

    listed = {option.split(".")[0] for option in rows}
    assert listed == Settings.model_fields.keys() - {"sites"}


def test_the_example_loads_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "wpsa.toml"
    file.write_text(example(), encoding="utf-8")

    assert load({}, config=file, environ={}).settings.model_dump() == Settings().model_dump()


@pytest.mark.parametrize("section", [name for name in Settings.model_fields if name != "site"])
def test_the_example_names_every_key_in_valid_toml(section: str) -> None:
    text = example()
    [block] = re.findall(rf"^#? ?\[+{section}\]+\n((?:#.*\n?)*)", text, re.MULTILINE)
    lines = [re.sub(r"^# ?", "", line) for line in block.splitlines()]

    keys = [line.split(" = ")[0] for line in lines if " = " in line]
    kind = Settings.model_fields[section]
    model = type(kind.get_default(call_default_factory=True)) if section != "sites" else None
    if model is not None:
        assert {key.removesuffix("_file") for key in keys} == model.model_fields.keys()
    for line in lines:
        if " = " in line:
            tomllib.loads(line)
