"""WordPress and its SQLite drop-in from wordpress.org, with the checksums published there."""

import hashlib
import http.client
import json
import re
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

from agent.demo.errors import Unavailable

RELEASES_URL = "https://api.wordpress.org/core/stable-check/1.0/"
CORE_URL = "https://downloads.wordpress.org/release/wordpress-{version}.zip"
DROP_IN_URL = "https://downloads.wordpress.org/plugin/sqlite-database-integration.zip"

# Offline this is the wait before the next source is asked; it also bounds each silent stretch of a download.
TIMEOUT_SECONDS = 3.0


def fetch_core(release: str, scratch: Path) -> Path:
    """The unpacked newest WordPress of one release line (`7.1` → 7.1.4), checked against its SHA-1.

    Raises Unavailable when wordpress.org cannot be reached, knows no such line or sends something else.
    """
    version = _newest_of_line(_download(RELEASES_URL), release)
    address = CORE_URL.format(version=version)
    archive = _download(address)
    published = _download(f"{address}.sha1").decode("ascii", "replace").strip()
    if hashlib.sha1(archive, usedforsecurity=False).hexdigest() != published:
        raise Unavailable(f"the download of WordPress {version} does not match its published checksum")
    return _unpack(archive, scratch / "official", folder="wordpress")


def fetch_drop_in(scratch: Path) -> Path:
    """The unpacked plugin `sqlite-database-integration`. Raises Unavailable."""
    return _unpack(_download(DROP_IN_URL), scratch / "drop-in", folder="sqlite-database-integration")


def _newest_of_line(listed: bytes, release: str) -> str:
    """The newest version of a line in the answer `{version: "latest" | "outdated" | "insecure"}`."""
    try:
        versions = [str(version) for version in json.loads(listed)]
    except (ValueError, TypeError) as error:
        raise Unavailable("something else answers in the place of wordpress.org") from error
    line = [version for version in versions if re.fullmatch(re.escape(release) + r"(\.\d+)*", version)]
    if not line:
        raise Unavailable(f"wordpress.org lists no WordPress {release}")
    return max(line, key=lambda version: [int(part) for part in version.split(".")])


def _download(address: str) -> bytes:
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT_SECONDS) as answer:
            return bytes(answer.read())
    except (OSError, ValueError, http.client.HTTPException) as error:
        host = address.split("/")[2]
        raise Unavailable(f"{host} did not deliver ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    match error:
        case urllib.error.HTTPError():
            return f"status {error.code}"
        case urllib.error.URLError(reason=OSError() as cause):
            return cause.strerror or str(cause)
        case _:
            return str(error) or type(error).__name__


def _unpack(archive: bytes, target: Path, *, folder: str) -> Path:
    """The one folder of a zip archive, unpacked; zipfile itself refuses paths that lead outside."""
    target.mkdir()
    file = target.with_suffix(".zip")
    file.write_bytes(archive)
    try:
        with zipfile.ZipFile(file) as opened:
            opened.extractall(target)
    except zipfile.BadZipFile as error:
        raise Unavailable(f"the download of {folder} is not a zip archive") from error
    if not (target / folder).is_dir():
        raise Unavailable(f"the download of {folder} holds something else")
    return target / folder
