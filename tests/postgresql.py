"""A real PostgreSQL server for as long as a block lasts: own folder, Unix socket, nothing left behind."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg

# Durability is PostgreSQL's own business; without it the tests take seconds.
OPTIONS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "60",
    "unix_socket_permissions": "0777",
}


def binaries() -> Path | None:
    """The folder of initdb and pg_ctl, which Debian keeps out of the path; None when there is no PostgreSQL."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    packaged = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(packaged, key=lambda path: int(path.parts[-3]), default=None)
    return newest.parent if newest else None


@contextmanager
def server(**options: str) -> Iterator[str]:
    """Yields the address of an empty database: postgresql://wpsa@/hub?host=/tmp/…

    options   of the server, over OPTIONS
    """
    folder = binaries()
    assert folder is not None
    # Not below pytest's own folders: the server's user may not enter them.
    with tempfile.TemporaryDirectory(prefix="wpsa-pg-", dir="/tmp", ignore_cleanup_errors=True) as name:
        home = Path(name)
        as_user = _unprivileged(home)
        _run(as_user, home, folder / "initdb", "-D", home / "db", "-U", "wpsa", "-A", "trust", "-E", "UTF8",
             "--locale=C", "--no-sync")  # fmt: skip
        settings = {**OPTIONS, "unix_socket_directories": name, **options}
        given = " ".join(f"-c {key}='{value}'" for key, value in settings.items())
        start = ("start", "-D", home / "db", "-w", "-t", "60", "-l", home / "log", "-o", given)
        _run(as_user, home, folder / "pg_ctl", *start)
        try:
            port = f"&port={options['port']}" if "port" in options else ""
            base = f"postgresql://wpsa@/postgres?host={name}{port}"
            yield new_database(base, "hub")
        finally:
            _run(as_user, home, folder / "pg_ctl", "stop", "-D", home / "db", "-m", "immediate", "-w")


def new_database(url: str, name: str) -> str:
    """Make another database on the same server; returns its address."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]  # a word of our own
    before, _, query = url.partition("?")
    return f"{before.rpartition('/')[0]}/{name}?{query}"


def restart(url: str) -> None:
    """Crash the server of this address, and start it again."""
    folder, home = binaries(), _home(url)
    assert folder is not None
    _run(_unprivileged(home), home, folder / "pg_ctl", "restart", "-D", home / "db", "-m", "immediate", "-w", "-t", "60",
         "-l", home / "log")  # fmt: skip


@contextmanager
def down(url: str) -> Iterator[None]:
    """The server of this address has crashed, and is back after the block."""
    folder, home = binaries(), _home(url)
    assert folder is not None
    as_user, database = _unprivileged(home), home / "db"
    _, options = (database / "postmaster.opts").read_text().strip().split(" ", 1)
    _run(as_user, home, folder / "pg_ctl", "stop", "-D", database, "-m", "immediate", "-w")
    try:
        yield
    finally:
        start = ("start", "-D", database, "-w", "-t", "60", "-l", home / "log", "-o", options)
        _run(as_user, home, folder / "pg_ctl", *start)


def process_of(url: str) -> int:
    """The first of the server's processes, whose children are all the others."""
    return int((_home(url) / "db" / "postmaster.pid").read_text().split()[0])


def admit(url: str, *lines: str) -> None:
    """Put these lines before the others of pg_hba.conf, which says who is let in from where."""
    rules = _home(url) / "db" / "pg_hba.conf"
    rules.write_text("\n".join((*lines, rules.read_text())))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_reload_conf()")


def _home(url: str) -> Path:
    return Path(parse_qs(urlsplit(url).query)["host"][0])


def _unprivileged(home: Path) -> dict[str, object]:
    """PostgreSQL refuses to run as root; then nobody owns the folder and runs it."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _run(as_user: dict[str, object], home: Path, *command: object) -> None:
    # Into a file: the server would keep a pipe open for as long as it lives.
    with (home / "output").open("w+") as output:
        words = [str(word) for word in command]
        result = subprocess.run(words, cwd=home, stdout=output, stderr=output, stdin=subprocess.DEVNULL, **as_user)  # type: ignore[call-overload]
        output.seek(0)
        assert result.returncode == 0, output.read()
