"""The README's tables are the code's: who changes one changes the other."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from documents import NAME, README, ROOT, blocks, code, for_operators, table_under
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from agent import errors, outcome
from agent.backend.contract import DOCUMENT_KEYS, ENTRY_KEYS
from agent.cli import INTERNAL_ERROR, cli
from agent.config import OTHER_VARIABLES, _section_in, _variables, load
from agent.hub.options import KNOWN
from agent.settings import Settings

DEMO_AND_TESTS = {"WPSA_DEMO_CACHE", "WPSA_REQUIRE_WORDPRESS"}


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Defaults as they are for somebody without folders of their own choice."""
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)


# --- settings -----------------------------------------------------------------------------------


def test_every_variable_is_in_the_table_with_its_key_and_default() -> None:
    documented = {code(variable): (code(key), code(default)) for variable, key, default, _ in settings_rows()}

    expected = {name: (toml_key(*path), shown(default_of(*path))) for name, path, _ in _variables()}
    assert documented == expected | {"WPSA_CONFIG": ("–", "–")}


def test_what_is_secret_is_marked_and_nothing_else() -> None:
    marked = {code(row[0]) for row in settings_rows() if "**secret**" in row[3]}

    assert marked == {name for name, _, secret in _variables() if secret}


def test_what_only_toml_can_say_is_in_the_table_too() -> None:
    documented = {code(key) for variable, key, *_ in table_under("Settings") if variable == "in TOML only"}
    by_environment = {toml_key(*path) for _, path, _ in _variables()}

    assert documented == set(all_keys()) - by_environment


def test_the_options_of_the_hub_are_in_their_table() -> None:
    documented = {code(row[0]) for row in table_under("Settings", which=1)}
    twins = {name for name in KNOWN if name.endswith("_FILE")}

    assert documented == KNOWN - twins - {"WPSA_HUB_LISTEN"}
    assert all(twin in README for twin in twins)


# The demo talks to PHP by variables of its own.
OUR_CODE = [path for path in sorted((ROOT / "agent").rglob("*.py")) if "demo" not in path.parts]


@pytest.mark.parametrize("path", [*for_operators(), *OUR_CODE], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_text_names_a_variable_that_does_not_exist(path: Path) -> None:
    known = {name for name, _, _ in _variables()}
    secret = {f"{name}_FILE" for name, _, is_secret in _variables() if is_secret}
    others = {*OTHER_VARIABLES, *KNOWN, *DEMO_AND_TESTS, "WPSA_SECTION_KEY"}
    # Django's own settings, which the hub names alike.
    others |= {"WPSA_HUB_OPEN_PAGES"}

    assert set(NAME.findall(path.read_text("utf-8"))) <= known | secret | others


def settings_rows() -> list[list[str]]:
    return [row for row in table_under("Settings") if row[0] != "in TOML only"]


def toml_key(section: str, key: str) -> str:
    return f"[[sites]] {key}" if section == "site" else f"[{section}] {key}"


def all_keys() -> Iterator[str]:
    for section, model in sections():
        yield from (toml_key(section, key) for key in model.model_fields)


def sections() -> Iterator[tuple[str, type[BaseModel]]]:
    for section, field in Settings.model_fields.items():
        if model := _section_in(field.annotation):
            yield section, model


def default_of(section: str, key: str) -> Any:
    model = dict(sections())[section]
    return model.model_fields[key].get_default(call_default_factory=True)


def shown(default: Any) -> str:
    match default:
        case bool():
            return str(default).lower()
        case _ if default is None or default is PydanticUndefined:
            return "–"
        case _:
            return str(default).replace(str(Path.home()), "~")


# --- commands, codes, errors --------------------------------------------------------------------


def test_every_command_is_in_the_table() -> None:
    documented = {" ".join(word for word in code(row[0]).split()[1:] if word.islower()) for row in table_under("Commands")}

    assert documented == set(commands(cli))


def test_the_options_that_the_readme_names_exist() -> None:
    known = {option for command in all_of(cli) for parameter in command.params for option in parameter.opts}
    named = {"--json", "--config", "--log-level", "--log-format", "--verbose", "--since", "--once"}

    assert named <= known
    assert all(option in README for option in named)


def test_every_exit_code_is_in_the_table() -> None:
    documented = {int(row[0]) for row in table_under("Commands", which=1)}

    assert documented == {0, outcome.PARTIAL, outcome.PENDING, INTERNAL_ERROR} | {one.exit_code for one in leaves()}


def test_every_error_is_explained_with_its_code() -> None:
    documented = {code(row[0]): int(row[1]) for row in table_under("When something is wrong")}

    assert documented == {one.__name__: one.exit_code for one in leaves()}


def commands(group: click.Group, *above: str) -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *above, name)
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield " ".join((*above, name))


def all_of(group: click.Group) -> Iterator[click.Command]:
    yield group
    for command in group.commands.values():
        yield from all_of(command) if isinstance(command, click.Group) else [command]


def leaves(kind: type[errors.AgentError] = errors.AgentError) -> Iterator[type[errors.AgentError]]:
    inner = [one for one in kind.__subclasses__() if one.__module__ == errors.__name__]
    if not inner:
        yield kind
    for one in inner:
        yield from leaves(one)


# --- what is shown and what can be copied -------------------------------------------------------


def test_the_sample_document_has_the_contracts_keys() -> None:
    (sample,) = [json.loads(block) for block in blocks("json")]

    assert tuple(sample) == DOCUMENT_KEYS
    for family in ("post_types", "taxonomies"):
        assert all(tuple(entry) == ENTRY_KEYS for entry in sample[family].values())


def test_the_sample_settings_load(tmp_path: Path) -> None:
    (sample,) = blocks("toml")
    file = tmp_path / "wpsa.toml"
    file.write_text(sample)
    (tmp_path / "backend_api_key").write_text("key\n")

    settings = load({}, config=file, environ={}).settings

    assert [site.called for site in settings.all_sites] == ["shop", "example.org/blog"]
    assert tomllib.loads(sample)["sites"][1]["structure"]["fetch_limit"] == 500


@pytest.mark.parametrize("path", for_operators(), ids=lambda path: path.name)
def test_no_text_points_to_a_place_that_only_one_machine_has(path: Path) -> None:
    assert re.findall(r"(?:file:/)?/(?:root|home|tmp|work)/\S*", path.read_text("utf-8")) == []


@pytest.mark.parametrize("path", [path for path in for_operators() if path.suffix == ".md"], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_a_text_names_is_there(path: Path) -> None:
    named = re.findall(r"`((?:config|tests|agent)/[\w./-]+)`", path.read_text("utf-8"))
    inside = re.findall(r"`([\w-]+/[\w.-]*\.(?:py|yaml|toml|env|service|conf))`", path.read_text("utf-8"))

    missing = [name for name in named if not (ROOT / name).exists()]
    missing += [name for name in inside if not ((path.parent / name).exists() or (ROOT / name).exists())]
    assert missing == []


def test_every_folder_of_tests_has_its_row() -> None:
    text = (ROOT / "tests" / "README.md").read_text("utf-8")
    documented = {code(row[0]).rstrip("/") for row in table_under("What each folder proves", text)}

    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert folders <= documented


def test_every_room_and_module_of_the_map_is_there() -> None:
    text = (ROOT / "agent" / "README.md").read_text("utf-8")

    named = set(re.findall(r"`((?:\w+/)*\w+\.py|\w+/)`", text)) - {"templates/"}
    assert [name for name in sorted(named) if not (ROOT / "agent" / name).exists()] == []
    rooms = {f"{path.name}/" for path in (ROOT / "agent").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert rooms <= named
