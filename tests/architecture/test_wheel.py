"""What is installed is what is here: templates, styles and scripts too."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from source import AGENT, ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    [file] = folder.glob("*.whl")
    return zipfile.ZipFile(file)


def test_every_file_of_the_program_is_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    here = {
        str(path.relative_to(ROOT))
        for path in AGENT.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }

    packed = {name for name in wheel.namelist() if name.startswith("agent/")}
    assert packed == here
    assert any(name.endswith(".html") for name in packed)


def test_nothing_else_is_installed(wheel: zipfile.ZipFile) -> None:
    tops = {Path(name).parts[0] for name in wheel.namelist()}

    assert {top for top in tops if not top.endswith(".dist-info")} == {"agent"}


def test_the_command_is_installed_with_it(wheel: zipfile.ZipFile) -> None:
    [entry] = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]

    assert "wpsa = agent.cli:main" in wheel.read(entry).decode()
