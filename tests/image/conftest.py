"""One image and one container of it for all tests of this folder: copying a container takes longer than they do."""

import os
from collections.abc import Iterator
from pathlib import Path

import postgresql
import pytest
from composed import Engine, open_engine
from image_builder import IMAGE, Container, Image, NoBase, build, buildah, find_base, free_port, missing

from agent.demo.sources import DEFAULT_RELEASE, SourceMissing, bring_wordpress, require_php
from agent.demo.wordpress import WordPress


@pytest.fixture(scope="session")
def image() -> Iterator[Image]:
    try:
        base = find_base()
    except NoBase as error:
        missing(str(error))
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


@pytest.fixture(scope="session")
def engine(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    made = open_engine(tmp_path_factory.mktemp("engine"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WordPress]:
    try:
        require_php()
        source = bring_wordpress(DEFAULT_RELEASE)
    except SourceMissing as error:
        missing(f"needs a real WordPress: {error.message} {error.hint}")
    made = WordPress.install(tmp_path_factory.mktemp("site") / "site", source)
    with made:
        yield made
    made.remove()


@pytest.fixture
def database_url() -> Iterator[str]:
    """A database on a port of loopback: a container has this machine's network, and not its files."""
    if postgresql.binaries() is None:
        missing("PostgreSQL is not installed (Debian: postgresql)")
    port = str(free_port())
    with postgresql.server(listen_addresses="127.0.0.1", port=port):
        yield f"postgresql://wpsa@127.0.0.1:{port}/hub"


def _open_the_way_to(folder: Path) -> None:
    """The folders of pytest are closed to everybody else, and the image's user is somebody else."""
    for above in folder.parents:
        if above.name.startswith(("pytest-", "container")):
            above.chmod(above.stat().st_mode | 0o011)
