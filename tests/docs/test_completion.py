"""The shell completes commands, options and the names of configured sites, as the README says."""

import os
import shutil
import subprocess
import sys
from inspect import cleandoc
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from documents import blocks

from agent.cli import cli

WPSA = Path(sys.executable).with_name("wpsa")
[IN_BASHRC] = [line for block in blocks("bash") for line in block.splitlines() if "_WPSA_COMPLETE=bash_source" in line]

TOML = """
[[sites]]
url = "https://shop.example"
name = "shop"
[[sites]]
url = "https://sho.example/blog"
"""


def completed(home: Path, *words: str) -> set[str]:
    """What bash offers for the last of these words, set up as the README says."""
    if shutil.which("bash") is None:
        pytest.skip("needs bash")
    typed = " ".join(f"'{word}'" for word in ("wpsa", *words))
    ask = f"COMP_WORDS=({typed}); COMP_CWORD={len(words)}; _wpsa_completion wpsa; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    done = subprocess.run(
        ["bash", "--norc", "-c", f"{IN_BASHRC}\n{ask}"],
        env={"PATH": f"{WPSA.parent}:{os.environ['PATH']}", "HOME": str(home)},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    return set(done.stdout.split())


def test_commands_and_options_are_completed(tmp_path: Path) -> None:
    assert completed(tmp_path, "s") == {"show", "status", "sync"}
    assert completed(tmp_path, "config", "") == {"init", "schema", "show"}
    assert "--json" in completed(tmp_path, "status", "--j")


@pytest.mark.parametrize("verb", ["show", "sync", "check", "history", "diff"])
def test_the_names_of_configured_sites_are_completed(verb: str, tmp_path: Path) -> None:
    (tmp_path / "wpsa.toml").write_text(TOML)

    assert completed(tmp_path, "--config", str(tmp_path / "wpsa.toml"), verb, "sho") == {"shop", "sho.example/blog"}


def test_settings_that_are_wrong_complete_nothing_and_say_nothing(tmp_path: Path) -> None:
    (tmp_path / "wpsa.toml").write_text("typo = 1")

    assert completed(tmp_path, "--config", str(tmp_path / "wpsa.toml"), "show", "") == set()


def all_of(group: click.Group, *above: str) -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = []
    for name, command in group.commands.items():
        found += all_of(command, *above, name) if isinstance(command, click.Group) else [(" ".join((*above, name)), command)]
    return found


@pytest.mark.parametrize(("name", "command"), all_of(cli), ids=[name for name, _ in all_of(cli)])
def test_every_help_text_has_an_example_that_can_be_typed(
    name: str, command: click.Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sites.csv").touch()  # which one of them names
    assert command.help
    [example] = [line.split("Example: ")[1] for line in cleandoc(command.help).splitlines() if line.startswith("Example: ")]
    words = [word for word in example.split(" > ")[0].split() if not word.startswith("WPSA_")]

    assert words[0] == "wpsa"
    assert name in " ".join(words)
    # With --help behind it, it is understood without being done.
    done = CliRunner().invoke(cli, [*words[1:], "--help"])
    assert done.exit_code == 0, done.output
    assert f"Usage: cli {name} " in done.stdout
    command.make_context(name, words[words.index(name.rsplit(maxsplit=1)[-1]) + 1 :])


@pytest.mark.parametrize(("name", "command"), all_of(cli), ids=[name for name, _ in all_of(cli)])
def test_every_option_of_every_command_is_explained(name: str, command: click.Command) -> None:
    unexplained = [one.opts for one in command.params if isinstance(one, click.Option) and not one.help]

    assert unexplained == []
