"""Where WordPress comes from: the cache, the official download, the distribution's packages."""

import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agent.demo import official, packages, sources
from agent.demo.errors import SourceMissing, Unavailable

VERSION_FILE = "wordpress/wp-includes/version.php"


class QuietFiles(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def wordpress_org(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that stands in for wordpress.org: what a test puts there is published."""
    folder = tmp_path / "published"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietFiles, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    base = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(official, "RELEASES_URL", f"{base}/releases.json")
    monkeypatch.setattr(official, "CORE_URL", base + "/wordpress-{version}.zip")
    monkeypatch.setattr(official, "DROP_IN_URL", f"{base}/drop-in.zip")
    yield folder
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def no_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without apt-get and npm."""
    monkeypatch.setattr(shutil, "which", lambda command: None)


def zipped(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def publish(folder: Path, *, version: str = "7.1.4", checksum: str | None = None) -> None:
    core = zipped(
        {
            VERSION_FILE: f"<?php\n$wp_version = '{version}';\n",
            "wordpress/wp-load.php": "<?php",
            "wordpress/wp-includes/class-wpdb.php": "private $allow_unsafe_unquoted_parameters",
            "wordpress/wp-config.php": "<?php",
            "wordpress/wp-content/themes/big/style.css": "",
        }
    )
    db_copy = "<?php $p = '{SQLITE_IMPLEMENTATION_FOLDER_PATH}'; // {SQLITE_PLUGIN}"
    drop_in = zipped({"sqlite-database-integration/db.copy": db_copy})
    listed = dict.fromkeys(["6.8.7", "7.1", "7.1.4", "7.10"], "outdated")
    (folder / "releases.json").write_text(json.dumps(listed))
    (folder / "wordpress-7.1.4.zip").write_bytes(core)
    (folder / "wordpress-7.1.4.zip.sha1").write_text(checksum or hashlib.sha1(core).hexdigest())
    (folder / "drop-in.zip").write_bytes(drop_in)


def test_the_newest_of_a_line_is_downloaded(wordpress_org: Path, no_packages: None, tmp_path: Path) -> None:
    publish(wordpress_org)

    ready = sources.bring_wordpress("7.1", tmp_path / "cache")

    assert "7.1.4" in (ready / "wp-includes/version.php").read_text()
    assert not (ready / "wp-config.php").exists()
    assert [theme.name for theme in (ready / "wp-content/themes").iterdir()] == ["plain"]
    assert "__DIR__ . '/plugins/sqlite-database-integration'" in (ready / "wp-content/db.php").read_text()


def test_a_second_run_fetches_nothing(wordpress_org: Path, no_packages: None, tmp_path: Path) -> None:
    publish(wordpress_org)
    first = sources.bring_wordpress("7.1", tmp_path / "cache")
    shutil.rmtree(wordpress_org)

    assert sources.bring_wordpress("7.1", tmp_path / "cache") == first


def test_a_download_that_was_tampered_with_is_refused(wordpress_org: Path, no_packages: None, tmp_path: Path) -> None:
    publish(wordpress_org, checksum="0" * 40)

    with pytest.raises(SourceMissing, match="does not match its published checksum"):
        sources.bring_wordpress("7.1", tmp_path / "cache")


def test_a_portal_in_the_place_of_wordpress_org_is_not_believed(wordpress_org: Path, tmp_path: Path) -> None:
    (wordpress_org / "releases.json").write_text("<html>Please log in to the hotel's network")

    with pytest.raises(Unavailable, match="something else answers"):
        official.fetch_core("7.1", tmp_path)


def test_an_older_wordpress_than_asked_for_is_refused(wordpress_org: Path, no_packages: None, tmp_path: Path) -> None:
    publish(wordpress_org, version="6.9")

    with pytest.raises(SourceMissing, match=r"carries WordPress 6\.9, not 7\.1"):
        sources.bring_wordpress("7.1", tmp_path / "cache")


def test_a_failed_fetch_leaves_nothing_half(wordpress_org: Path, no_packages: None, tmp_path: Path) -> None:
    publish(wordpress_org)
    (wordpress_org / "drop-in.zip").unlink()
    abandoned = tmp_path / "cache/.fetching-by-a-killed-process"
    abandoned.mkdir(parents=True)

    with pytest.raises(SourceMissing, match=r"drop-in of WordPress .*status 404.*npm is not installed"):
        sources.bring_wordpress("7.1", tmp_path / "cache")

    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_every_source_says_why_it_did_not_deliver(wordpress_org: Path, no_packages: None, tmp_path: Path) -> None:
    with pytest.raises(SourceMissing) as missing:
        sources.bring_wordpress("7.1", tmp_path / "cache")

    assert "status 404" in missing.value.message
    assert "apt-get and dpkg-deb is not installed" in missing.value.message
    assert missing.value.hint


def test_a_cache_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(SourceMissing, match=r"could not be put into .*Not a directory"):
        sources.bring_wordpress("7.1", tmp_path / "file/cache")


def test_the_machines_debian_mirrors_are_found_in_both_formats(tmp_path: Path) -> None:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (tmp_path / "sources.list").write_text(
        "# deb http://commented.example/debian bookworm main\n"
        "deb http://mirror.example/debian-security bookworm-security main\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://third.example/php bookworm main\n"
    )
    (parts / "debian.sources").write_text(
        "# comment\nTypes: deb deb-src\nURIs: http://mirror.example/debian\n"
        "Suites: bookworm\n bookworm-updates\nComponents: main\n"
        "\nTypes: deb\nEnabled: no\nURIs: http://off.example/debian\nSuites: sid\nComponents: main\n"
        "\nTypes: deb\nURIs: http://node.example/node\nSuites: nodistro\nComponents: main\n"
    )

    assert packages.debian_mirrors(tmp_path) == ["http://mirror.example/debian", "http://third.example/php"]


def test_without_php_the_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda command: None)

    with pytest.raises(SourceMissing) as missing:
        sources.require_php()

    assert "php-sqlite3" in missing.value.hint


def test_a_php_without_its_extensions_is_not_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = tmp_path / "php"
    bare.write_text('#!/bin/sh\necho \'[[8,2],["Core","dom","xml","SimpleXML","curl"]]\'\n')
    bare.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    with pytest.raises(SourceMissing, match="PHP is without pdo_sqlite, mbstring"):
        sources.require_php()


def test_what_is_missing_is_one_line_for_a_script(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "agent.demo.sources", "--cached", "--release", "1.0"]
    environment = {"PATH": str(Path(shutil.which("php") or "/nowhere/php").parent), "WPSA_DEMO_CACHE": str(tmp_path)}

    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)

    assert (done.returncode, done.stdout) == (69, "")
    assert re.fullmatch(r"error: .* hint: .*\n", done.stderr)


def test_a_silent_host_is_left_after_a_short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), QuietFiles) as never_served:
        monkeypatch.setattr(official, "RELEASES_URL", f"http://127.0.0.1:{never_served.server_port}/")
        monkeypatch.setattr(official, "TIMEOUT_SECONDS", 0.2)

        with pytest.raises(Unavailable, match=r"127\.0\.0\.1:[0-9]+ did not deliver"):
            official.fetch_core("7.1", Path("unused"))
