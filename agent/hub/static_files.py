"""The hub's own files: a stylesheet, a script and an icon, named by their content and served from memory."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "static"
FILES = {
    "stylesheet": ("hub.css", "text/css; charset=utf-8"),
    "script": ("hub.js", "text/javascript; charset=utf-8"),
    "icon": ("hub.svg", "image/svg+xml"),
}
ADMIN_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class StaticFile:
    path: str
    """/static/hub.<digest>.css: another content is another address, so it may be cached for ever."""
    media_type: str
    body: bytes


@cache
def static_files() -> Mapping[str, StaticFile]:
    """Name → file, read once. A closed list: no path from a request ever reaches the disk."""
    return {name: _read(FOLDER / file, media_type) for name, (file, media_type) in FILES.items()}


def addresses(request: Any = None) -> dict[str, str]:
    """Template context processor: the address of each file under its name."""
    return {name: file.path for name, file in static_files().items()}


def _read(path: Path, media_type: str) -> StaticFile:
    body = path.read_bytes()
    digest = hashlib.sha256(body).hexdigest()[:12]
    return StaticFile(f"/static/{path.stem}.{digest}{path.suffix}", media_type, body)


@cache
def _admin_files() -> Mapping[str, Path]:
    """/static/admin/… → file of Django's admin; a closed list as well."""
    import django

    folder = Path(django.__file__).parent / "contrib" / "admin" / "static"
    files = (path for path in folder.rglob("*") if path.suffix in ADMIN_TYPES)
    return {f"/static/{path.relative_to(folder).as_posix()}": path for path in files}


def admin_file(path: str) -> StaticFile | None:
    """What Django's admin asks for by names that carry no digest."""
    if not path.startswith("/static/admin/") or (file := _admin_files().get(path)) is None:
        return None
    return StaticFile(path, ADMIN_TYPES[file.suffix], file.read_bytes())
