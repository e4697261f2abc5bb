"""The compositions of config/compose, started for real: by podman, as root, with the image that was built here.

Three things are not as an operator has them, because they are not to be had inside of another container: control
groups, and with them limits of memory and processes; networks, so that all share the machine's, with a port of their own
for the page; and images from a registry, so that only our own services run.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml
from image_builder import IMAGE, ROOT, command, free_port, missing

COMPOSE = ROOT / "config" / "compose"
PROJECT = "wpsa-under-test"
_SETTINGS = """
[containers]
cgroups = "disabled"
netns = "host"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
_WITHOUT_CONTROL_GROUPS = "mount -t tmpfs none /sys/fs/cgroup && echo ready && exec sleep infinity"
_NOT_HERE = ("build", "pull_policy", "mem_limit", "pids_limit", "ports", "networks", "depends_on", "deploy")


class Engine:
    """podman in mounts of its own, where it looks for no control groups."""

    def __init__(self, folder: Path) -> None:
        settings = folder / "containers.conf"
        settings.write_text(_SETTINGS)
        self._environ = {
            **os.environ, "CONTAINERS_CONF": str(settings), "STORAGE_DRIVER": "vfs",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }  # fmt: skip
        self._room = subprocess.Popen(
            ["unshare", "--mount", "sh", "-euc", _WITHOUT_CONTROL_GROUPS], stdout=subprocess.PIPE, text=True
        )
        assert self._room.stdout is not None
        assert self._room.stdout.readline() == "ready\n"

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return command([*self._inside(), *map(str, arguments)], check=False, timeout=120, env=self._environ)

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self._inside(), *map(str, arguments)], env=self._environ,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def close(self) -> None:
        self._room.kill()
        self._room.communicate()

    def _inside(self) -> list[str]:
        return ["nsenter", f"--mount=/proc/{self._room.pid}/ns/mnt"]


class Composition:
    """One service of one of config/compose, as it can be here; its secrets lie in `folder/secrets`."""

    def __init__(
        self, engine: Engine, name: str, folder: Path, *, service: str = "wpsa", verb: Sequence[str] = (), **environ: str
    ) -> None:
        """verb   in place of that which the composition names; it is done once"""
        whole = yaml.safe_load((COMPOSE / name).read_text("utf-8").replace("8765", str(free_port())))
        written = {key: value for key, value in whole["services"][service].items() if key not in _NOT_HERE}
        written["environment"] |= {"WPSA_OPS_LISTEN": "127.0.0.1:0", **environ}
        written |= {"image": IMAGE, "network_mode": "host"} | ({"command": list(verb), "restart": "no"} if verb else {})
        self.container = f"{PROJECT}_{service}_1"
        self._file = folder / name
        self._file.write_text(yaml.safe_dump({**whole, "services": {service: written}}))
        self._engine = engine

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`docker compose` with these words."""
        return self._engine.run("podman-compose", "--project-name", PROJECT, "--file", self._file, *arguments)

    def inside(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command in the running container."""
        return self._engine.run("podman", "exec", self.container, *words)

    def start(self) -> int:
        """The code that the container that is there ends with."""
        self._engine.run("podman", "start", self.container)
        return self._code()

    def said(self) -> str:
        """What the container has said each time."""
        done = self._engine.run("podman", "logs", self.container)
        return done.stdout + done.stderr

    def follow(self) -> subprocess.Popen[str]:
        """What the container says, from the beginning."""
        return self._engine.start("podman", "logs", "--follow", self.container)

    def is_healthy(self) -> bool:
        """By the check of the composition or of the image, as the engine does it now and then."""
        return self._engine.run("podman", "healthcheck", "run", self.container).returncode == 0

    def stop(self, *, most_seconds: int) -> int:
        """SIGTERM, and SIGKILL after so long; the code that the container ended with."""
        self._engine.run("podman", "stop", "--time", str(most_seconds), self.container)
        return self._code()

    def _code(self) -> int:
        return int(self._engine.run("podman", "wait", self.container).stdout)

    @contextmanager
    def up(self, how: str = "--detach") -> Iterator["Composition"]:
        """Within the block it is there, and afterwards nothing of it."""
        try:
            started = self.run("up", how)
            assert started.returncode == 0, started.stderr
            yield self
        finally:
            self.run("down", "--volumes")


def open_engine(folder: Path) -> Engine:
    """Skips the test where there is none."""
    absent = [tool for tool in ("podman", "nsenter", "unshare") if shutil.which(tool) is None]
    if absent:
        missing(f"needs {' and '.join(absent)}: apt-get install podman util-linux")
    engine = Engine(folder)
    tried = engine.run("podman", "run", "--rm", "--entrypoint", "true", IMAGE)
    if tried.returncode != 0:
        engine.close()
        missing(f"podman can start nothing here: {tried.stderr.strip()[-200:]}")
    return engine


def secret(folder: Path, name: str, text: str, *, owner: int, mode: int) -> None:
    """A file as `install -D -m MODE -o OWNER` makes it."""
    file = folder / "secrets" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    file.chmod(mode)
    os.chown(file, owner, owner)
