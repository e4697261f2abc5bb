"""Building and running images without an engine: buildah with plain chroot isolation, as root.

The base is the Dockerfile's own where it can be had, else a stand-in: the same Debian, made by debootstrap from
the mirror that this machine installs from, and kept in the cache beside the demo's WordPress.
"""

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest

from agent.demo.packages import debian_mirrors
from agent.demo.sources import cache_folder

ROOT = Path(__file__).parents[2]
BUILDAH = ("buildah", "--storage-driver", "vfs")
IMAGE = f"localhost/wpsa:under-test-{os.getpid()}"  # each process of the tests builds, and takes away, its own
STAND_IN = "localhost/wpsa-stand-in:trixie"
SUITE = "trixie"
BUILD_TIMEOUT_SECONDS = 900.0
PULL_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Image:
    """The built image, and a way to run it."""

    name: str
    build_log: str

    @property
    def config(self) -> dict[str, Any]:
        """What the image says of itself: `Entrypoint`, `User`, `Volumes` …"""
        inspected = json.loads(buildah("inspect", "--type", "image", self.name).stdout)
        config: dict[str, Any] = inspected["Docker"]["config"]
        return config

    @property
    def size_bytes(self) -> int:
        listed = json.loads(buildah("images", "--json", self.name).stdout)
        return int(float(re.sub(r"[^0-9.]", "", listed[0]["size"])) * 1_000_000)


# In mounts of its own, as an engine would do it: the root for reading, the state for writing, and away with all rights.
_READ_ONLY = """
root=$1 state=$2
shift 2
mount --bind "$root" "$root"
mount --bind "$state" "$root/var/lib/wpsa"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mount -o remount,ro,bind "$root"
exec setpriv --no-new-privs chroot --userspec=10001:10001 --groups=10001 "$root" "$@"
"""


class Container:
    """A container of the image; its state is a folder of ours that belongs to the image's user."""

    def __init__(self, image: Image, state: Path) -> None:
        self.name = buildah("from", image.name).stdout.strip()
        self.image = image
        self.state = state

    def run(self, *command: str, timeout: float = 60, **settings: str) -> subprocess.CompletedProcess[str]:
        """A command within, as the image's own user."""
        return buildah("run", *self._options(settings), self.name, "--", *command, check=False, timeout=timeout)

    def run_read_only(self, *command_line: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """The same within a root that cannot be written, without any right and without a way to one."""
        root = buildah("mount", self.name).stdout.strip()
        variables = [*self.image.config["Env"], *(f"WPSA_{name}={value}" for name, value in settings.items())]
        enter = [
            "unshare", "--mount", "--fork", "sh", "-euc", _READ_ONLY, "sh", root, str(self.state),
            "env", "-i", *variables,
        ]  # fmt: skip
        try:
            return command([*enter, *command_line], check=False, timeout=60)
        finally:
            buildah("umount", self.name)

    def start(self, *command: str, **settings: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*BUILDAH, "run", *self._options(settings), self.name, "--", *command],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def remove(self) -> None:
        buildah("rm", self.name, check=False)

    def _options(self, settings: dict[str, str]) -> list[str]:
        # chroot isolation has the host's network, as a container with --network host has.
        variables = [part for name, value in settings.items() for part in ("--env", f"WPSA_{name}={value}")]
        return ["--isolation", "chroot", "--volume", f"{self.state}:/var/lib/wpsa:rw", *variables]


def buildah(
    *arguments: str, check: bool = True, timeout: float = BUILD_TIMEOUT_SECONDS
) -> subprocess.CompletedProcess[str]:
    return command([*BUILDAH, *arguments], check=check, timeout=timeout)


def command(
    arguments: Sequence[str], *, check: bool = True, timeout: float, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        arguments, capture_output=True, text=True, errors="replace", timeout=timeout, check=False, env=env
    )
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done


def until(daemon: subprocess.Popen[str], sentence: str) -> str:
    """What the daemon said up to the line with this sentence."""
    said = ""
    assert daemon.stdout is not None
    for line in daemon.stdout:
        said += line
        if sentence in line:
            return said
    raise AssertionError(f"it ended without saying so:\n{said}")


def free_port() -> int:
    """Of loopback; nobody has it at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


def missing(what: str) -> NoReturn:
    """Skips the test; where a proof that cannot run is a failure, fails it."""
    if os.environ.get("WPSA_REQUIRE_IMAGE") == "1":
        pytest.fail(what)
    pytest.skip(what)


class NoBase(Exception):
    """Neither the Dockerfile's base nor a stand-in can be had here; the text says what is missing."""


def find_base() -> str:
    """The base to build on. Raises NoBase."""
    if shutil.which("buildah") is None:
        raise NoBase("needs an image builder: apt-get install buildah")
    if os.geteuid() != 0:
        raise NoBase("needs root: without, chroot isolation cannot give files to another user")
    official = re.search(r"^ARG BASE=(\S+)", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert official
    if _can_be_pulled(name := f"docker.io/library/{official[1]}"):
        return name
    if buildah("images", "--quiet", STAND_IN, check=False).returncode != 0:
        _import_stand_in()
    return STAND_IN


def _can_be_pulled(image: str) -> bool:
    try:
        return buildah("pull", "--quiet", "--retry", "0", image, check=False, timeout=PULL_TIMEOUT_SECONDS).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _import_stand_in() -> None:
    """Debian with Python as an image, from this machine's own mirror."""
    missing = [name for name in ("debootstrap", "tar") if shutil.which(name) is None]
    mirrors = debian_mirrors()
    if missing or not mirrors:
        raise NoBase(f"the base cannot be pulled, and a stand-in needs {' and '.join(missing) or 'a Debian mirror'}")
    archive = cache_folder() / f"base-{SUITE}.tar"
    if not archive.exists():
        _bootstrap(archive, mirrors[0])
    container = buildah("from", "scratch").stdout.strip()
    buildah("add", "--quiet", container, str(archive), "/")
    buildah("config", "--cmd", "/bin/sh", container)
    buildah("commit", "--quiet", "--rm", container, STAND_IN)


def _bootstrap(archive: Path, mirror: str) -> None:
    folder, part = archive.with_suffix(".root"), archive.with_suffix(".part")
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    packages = "--include=python3,python3-venv,ca-certificates"
    try:
        command(
            ["debootstrap", "--variant=minbase", packages, SUITE, str(folder), mirror], timeout=BUILD_TIMEOUT_SECONDS
        )
        unused = ["--exclude=./var/cache/apt/archives/*.deb", "--exclude=./var/lib/apt/lists/*"]
        command(["tar", "-C", str(folder), *unused, "-cf", str(part), "."], timeout=BUILD_TIMEOUT_SECONDS)
        part.rename(archive)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def build(base: str) -> Image:
    """The Dockerfile, built as its comment says."""
    mounts = [
        # How this machine reaches the packages: its certificates, and its pip settings where it has any.
        part
        for place in ("/etc/ssl/certs", "/etc/pip.conf")
        if Path(place).exists()
        for part in ("--volume", f"{place}:{place}:ro")
    ]
    done = buildah(
        "build", "--isolation", "chroot", "--format", "docker", "--build-arg", f"BASE={base}", *mounts,
        "--tag", IMAGE, str(ROOT),
    )  # fmt: skip
    return Image(IMAGE, done.stdout + done.stderr)
