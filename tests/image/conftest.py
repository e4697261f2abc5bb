"""One image and one container of it for all tests of this folder: copying a container takes longer than they do."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from image_builder import IMAGE, Container, Image, NoBase, build, buildah, find_base


@pytest.fixture(scope="session")
def image() -> Iterator[Image]:
    try:
        base = find_base()
    except NoBase as missing:
        pytest.skip(str(missing))
    yield build(base)
    buildah("rmi", IMAGE, check=False)  # 250 MB a run; the base stays


@pytest.fixture(scope="session")
def container(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    state = tmp_path_factory.mktemp("container") / "state"
    state.mkdir(mode=0o700)
    os.chown(state, 10001, 10001)
    _open_the_way_to(state)
    made = Container(image, state)
    yield made
    made.remove()


def _open_the_way_to(folder: Path) -> None:
    """The folders of pytest are closed to everybody else, and the image's user is somebody else."""
    for above in folder.parents:
        if above.name.startswith(("pytest-", "container")):
            above.chmod(above.stat().st_mode | 0o011)
