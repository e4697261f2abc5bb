"""WordPress and its SQLite drop-in out of the distribution's and npm's packages, through their own clients.

WordPress is an architecture-independent Debian package, so the release of any suite can be unpacked on
any suite without installing it. apt gets lists, cache and sources of its own: no root, no trace on the
machine. The signature is checked with Debian's keyring as always.
"""

import os
import re
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from agent.demo.errors import Unavailable

SUITES = {"6.1": "bookworm", "6.8": "trixie", "7.1": "sid"}
"""Which Debian suite carries which release line. sid moves on; a newer release from there serves as well."""

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
APT_SOURCES = Path("/etc/apt")

# The exact version that was tried with WordPress 6.1, 6.8 and 7.1; the newest one where a mirror has dropped it.
DROP_IN_PACKAGES = ("@wp-playground/cli@3.1.56", "@wp-playground/cli")
DROP_IN_MEMBER = "package/sqlite-database-integration.zip"
DROP_IN_FOLDER = "plugin-sqlite-database-integration"

COMMAND_TIMEOUT_SECONDS = 240.0

_CODENAMES = {"bookworm", "trixie", "forky", "sid", "stable", "testing", "unstable", "oldstable"}


def fetch_core(release: str, scratch: Path) -> Path:
    """The unpacked WordPress of the Debian suite that carries this release line.

    Raises Unavailable when this is no Debian, the suite is unknown, or no mirror of the machine delivers.
    """
    _require("apt-get", "dpkg-deb")
    if release not in SUITES:
        raise Unavailable(f"no Debian suite is known to carry WordPress {release}")
    if not KEYRING.is_file():
        raise Unavailable("Debian's keyring is not installed (package debian-archive-keyring)")
    package = _download_package("wordpress", SUITES[release], scratch / "apt")
    _run(["dpkg-deb", "--extract", str(package), str(scratch / "debian")])
    return scratch / "debian/usr/share/wordpress"


def fetch_drop_in(scratch: Path) -> Path:
    """The unpacked plugin `sqlite-database-integration` that ships inside an npm package.

    Raises Unavailable when npm is missing or does not deliver.
    """
    _require("npm")
    archive = _pack_first(DROP_IN_PACKAGES, scratch / "npm")
    inner = scratch / "drop-in.zip"
    with tarfile.open(archive) as opened:
        member = opened.extractfile(DROP_IN_MEMBER) if DROP_IN_MEMBER in opened.getnames() else None
        if member is None:
            raise Unavailable("the npm package no longer carries the SQLite drop-in")
        inner.write_bytes(member.read())
    with zipfile.ZipFile(inner) as opened_zip:
        opened_zip.extractall(scratch / "drop-in-npm")
    return scratch / "drop-in-npm" / DROP_IN_FOLDER


def debian_mirrors(folder: Path = APT_SOURCES) -> list[str]:
    """The addresses of the Debian archive in the machine's own apt sources, the likeliest first.

    Both formats are read: deb822 (`*.sources`) and one line each (`*.list`). A third party may use
    Debian's suite names as well; its signature would not verify, it only comes last.
    """
    files = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
    found: dict[str, None] = {}
    for file in files:
        if file.suffix in {".list", ".sources"} and file.is_file():
            text = file.read_text("utf-8", "replace")
            read = _deb822_entries if file.suffix == ".sources" else _one_line_entries
            for uri, suites, components in read(text):
                if suites & _CODENAMES and "main" in components:
                    found[uri] = None
    return sorted(found, key=lambda uri: not uri.rstrip("/").endswith("/debian"))


def _one_line_entries(text: str) -> Iterator[tuple[str, set[str], set[str]]]:
    for line in text.splitlines():
        entry = re.match(r"deb\s+(?:\[[^]]*]\s+)?(\S+)\s+(\S+)\s+(.+)", line.partition("#")[0].strip())
        if entry:
            yield entry[1], {entry[2]}, set(entry[3].split())


def _deb822_entries(text: str) -> Iterator[tuple[str, set[str], set[str]]]:
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", lines):
        named = re.findall(r"(?m)^([\w-]+):(.*(?:\n[ \t].*)*)", stanza)
        fields = {name.lower(): value.split() for name, value in named}
        if "deb" in fields.get("types", []) and fields.get("enabled", ["yes"]) != ["no"]:
            for uri in fields.get("uris", []):
                yield uri, set(fields.get("suites", [])), set(fields.get("components", []))


def _download_package(name: str, suite: str, folder: Path) -> Path:
    mirrors = debian_mirrors()
    if not mirrors:
        raise Unavailable("the machine's apt sources name no Debian mirror")
    for position, mirror in enumerate(mirrors, start=1):
        apt = _private_apt(folder / str(position), f"deb [signed-by={KEYRING}] {mirror} {suite} main\n")
        try:
            _run([*apt, "update"])
            _run([*apt, "download", name], cwd=folder)
            return next(folder.glob(f"{name}_*.deb"))
        except Unavailable:
            if position == len(mirrors):
                raise
    raise AssertionError("unreachable: the last mirror returned or raised")


def _private_apt(folder: Path, source: str) -> list[str]:
    """The start of an apt-get command that touches nothing but `folder`; the machine's proxy settings stay.

    The sandbox user `_apt` could not enter a folder below somebody's home, and dropping privileges to it
    is the only thing root would gain; so apt stays who we are. Clean-up hooks of slim container images
    (`APT::Update::Post-Invoke`) clear the machine's own cache and fail without root: they are dropped.
    """
    for part in ("lists/partial", "archives/partial"):
        (folder / part).mkdir(parents=True)
    (folder / "sources.list").write_text(source)
    (folder / "apt.conf").write_text(
        "#clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\n"
        "#clear APT::Update::Pre-Invoke;\n#clear Acquire::IndexTargets::deb::DEP-11;\n"
    )
    options = {
        "Dir::State": folder,
        "Dir::State::Lists": folder / "lists",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": folder,
        "Dir::Cache::archives": folder / "archives",
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
        # A mirror that is frozen at some day serves a sid that has expired; it is signed all the same.
        "Acquire::Check-Valid-Until": "false",
        "Acquire::Retries": "2",
        "APT::Update::Error-Mode": "any",  # else an unreachable mirror is a warning, and the package "not found"
        "Acquire::http::Timeout": "20",
    }
    settings = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    return ["apt-get", "-q", "-c", str(folder / "apt.conf"), *settings]


def _pack_first(packages: Sequence[str], folder: Path) -> Path:
    folder.mkdir()
    for package in packages:
        try:
            _run(["npm", "pack", "--silent", package], cwd=folder)
            return next(folder.glob("*.tgz"))
        except Unavailable:
            if package == packages[-1]:
                raise
    raise AssertionError("unreachable: the last package returned or raised")


def _require(*commands: str) -> None:
    missing = [command for command in commands if shutil.which(command) is None]
    if missing:
        raise Unavailable(f"{' and '.join(missing)} is not installed")


def _run(command: Sequence[str], *, cwd: Path | None = None) -> None:
    """Run one command quietly. Raises Unavailable with the last thing it said about an error."""
    environment = os.environ | {"LC_ALL": "C.UTF-8", "npm_config_update_notifier": "false"}
    try:
        subprocess.run(
            command, cwd=cwd, env=environment, check=True, capture_output=True,
            stdin=subprocess.DEVNULL, text=True, errors="replace", timeout=COMMAND_TIMEOUT_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{command[0]} did not finish within {COMMAND_TIMEOUT_SECONDS:.0f} s") from error
    except subprocess.CalledProcessError as error:
        raise Unavailable(f"{command[0]} failed: {_complaint(error.stdout + error.stderr)}") from error


def _complaint(output: str) -> str:
    """The line of a command's output that says what went wrong."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for sign in (r"E:", r"npm (error|ERR!) (?!code|A complete log)", r"Err:", r""):
        said = [line for line in lines if re.match(sign, line)]
        if said:
            return said[0][:240].rstrip(".")
    return "it said nothing"
