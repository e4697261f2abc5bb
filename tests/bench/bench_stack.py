"""A WordPress as hosts run it, by hand and for a moment: nginx, PHP-FPM with four children, MariaDB.

Everything is in one temporary folder and on loopback or sockets; each server is tied to the life of this
process and ends with the block, however the block ends.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.demo.blueprint import copy_core
from agent.demo.scripts import bare_environment
from agent.demo.server import free_port
from agent.demo.sources import DEFAULT_RELEASE, cached_wordpress, require_php
from agent.demo.wordpress import Blueprint, WordPress

FOLDER = Path(__file__).parent
TRUTH = FOLDER.parent / "wordpress" / "truth.php"
CHILDREN = 4
START_TIMEOUT_SECONDS = 30.0
STOP_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class Stack:
    """The site while it is served."""

    url: str
    truth: dict[str, Any]
    """WordPress's own answer, asked in PHP."""
    versions: str
    """Of every part, in one line."""


@contextlib.contextmanager
def served(*, posts: int) -> Iterator[Stack]:
    """The site of the benchmark, installed and served; nothing of it is left afterwards."""
    with tempfile.TemporaryDirectory(prefix="wpsa-bench-") as name, contextlib.ExitStack() as ends:
        folder, php = Path(name), require_php()
        fpm = _fpm_of(php)
        database = _start_mariadb(folder, ends)
        site = _install(folder, database, posts=posts)
        pool = _start_fpm(folder, fpm, ends)
        _start_nginx(folder, site, pool, ends)
        yield Stack(site.url, site.run_php(TRUTH), _versions(php, fpm))


def _install(folder: Path, database: Path, *, posts: int) -> WordPress:
    source = folder / "source"
    copy_core(cached_wordpress(DEFAULT_RELEASE), source)
    (source / "wp-content/db.php").unlink()  # the SQLite drop-in: without it WordPress speaks to MariaDB
    site = WordPress.install(
        folder / "site",
        source,
        Blueprint(
            title="A benchmark",
            port=free_port(),
            mu_plugins={"contents.php": (FOLDER / "contents.php").read_text("utf-8")},
            constants={"DB_HOST": f"localhost:{database}", "DB_USER": "bench", "DB_PASSWORD": ""},
        ),
    )
    site.run_php(FOLDER / "seed.php", {"posts": posts})
    site.write("bench-truth.php", TRUTH.read_text("utf-8"))
    site.write("bench-inside.php", (FOLDER / "inside.php").read_text("utf-8"))
    return site


def _start_mariadb(folder: Path, ends: contextlib.ExitStack) -> Path:
    """MariaDB with its defaults, reached by the socket that is returned."""
    data, place = folder / "mariadb", folder / "mariadb.sock"
    as_whom = ["--user=root"] if os.geteuid() == 0 else []
    _run("mariadb-install-db", "--no-defaults", f"--datadir={data}", *as_whom,
         "--auth-root-authentication-method=normal", "--skip-test-db")  # fmt: skip
    first = folder / "first.sql"
    first.write_text(
        "CREATE DATABASE IF NOT EXISTS wordpress CHARACTER SET utf8mb4;\n"
        "CREATE USER IF NOT EXISTS bench@localhost IDENTIFIED BY '';\n"
        "GRANT ALL ON wordpress.* TO bench@localhost;\n"
    )
    command = ["mariadbd", "--no-defaults", f"--datadir={data}", f"--socket={place}", "--skip-networking",
               f"--init-file={first}", f"--pid-file={folder}/mariadb.pid", *as_whom]  # fmt: skip
    _start(folder, "mariadb", command, ends, is_ready=lambda: _listens(str(place)))
    return place


def _start_fpm(folder: Path, fpm: str, ends: contextlib.ExitStack) -> Path:
    place, settings = folder / "fpm.sock", folder / "fpm.conf"
    as_whom = ["--allow-to-run-as-root"] if os.geteuid() == 0 else []
    settings.write_text(
        f"""[global]
error_log = {folder}/fpm-errors.log
daemonize = no
[www]
listen = {place}
pm = static
pm.max_children = {CHILDREN}
php_admin_value[opcache.enable] = 1
php_admin_value[memory_limit] = 256M
php_admin_value[display_errors] = 0
php_admin_value[date.timezone] = UTC
{"user = root" if as_whom else ""}
"""
    )
    command = [fpm, "--nodaemonize", "--fpm-config", str(settings), *as_whom]
    _start(folder, "fpm", command, ends, is_ready=lambda: _listens(str(place)))
    return place


def _start_nginx(folder: Path, site: WordPress, pool: Path, ends: contextlib.ExitStack) -> None:
    settings = folder / "nginx.conf"
    temporary = "\n".join(
        f"{kind}_temp_path {folder}/nginx-{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    parameters = "\n".join(f"fastcgi_param {name} {value};" for name, value in _FASTCGI.items())
    # As the WordPress handbook has it; gzip as Debian ships it (on, for HTML only).
    settings.write_text(
        f"""daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-errors.log;
worker_processes auto;
{"user root;" if os.geteuid() == 0 else ""}
events {{ worker_connections 256; }}
http {{
    {temporary}
    access_log off;
    sendfile on;
    tcp_nopush on;
    gzip on;
    types {{ text/html html; text/css css; text/javascript js; }}
    server {{
        listen 127.0.0.1:{site.port};
        root {site.home};
        index index.php;
        location / {{ try_files $uri $uri/ /index.php?$args; }}
        location ~ \\.php$ {{
            {parameters}
            fastcgi_pass unix:{pool};
        }}
    }}
}}
"""
    )
    command = ["nginx", "-p", str(folder), "-e", f"{folder}/nginx-errors.log", "-c", str(settings)]
    _start(folder, "nginx", command, ends, is_ready=lambda: _listens(("127.0.0.1", site.port)))


# Not the distribution's list: Debian's hands WordPress the host without its port, and it redirects for ever.
_FASTCGI = {
    "SCRIPT_FILENAME": "$document_root$fastcgi_script_name",
    "SCRIPT_NAME": "$fastcgi_script_name",
    "QUERY_STRING": "$query_string",
    "REQUEST_METHOD": "$request_method",
    "REQUEST_URI": "$request_uri",
    "CONTENT_TYPE": "$content_type",
    "CONTENT_LENGTH": "$content_length",
    "DOCUMENT_URI": "$document_uri",
    "DOCUMENT_ROOT": "$document_root",
    "SERVER_PROTOCOL": "$server_protocol",
    "SERVER_SOFTWARE": "nginx",
    "SERVER_NAME": "$host",
    "SERVER_PORT": "$server_port",
    "REMOTE_ADDR": "$remote_addr",
    "HTTP_HOST": "$host:$server_port",
}


def _start(
    folder: Path, name: str, command: list[str], ends: contextlib.ExitStack, *, is_ready: Callable[[], bool]
) -> None:
    """Start a server, and return when it takes connections; it ends with `ends`."""
    log = folder / f"{name}.log"
    with log.open("ab") as opened:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *command],  # it ends when we do, however that comes
            env=bare_environment(PATH=_path()),
            stdin=subprocess.DEVNULL,
            stdout=opened,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # one group, so that all its children end with it
        )
    ends.callback(_stop, process)
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while not is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{name} did not start: {log.read_text('utf-8', 'replace').strip()[-600:]}")
        time.sleep(0.02)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_TIMEOUT_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _listens(address: Any) -> bool:
    with socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET) as tried:
        return tried.connect_ex(address) == 0


def _fpm_of(php: str) -> str:
    """The PHP-FPM of the same version as the PHP of the scripts, else any."""
    version = _run(php, "-r", "echo PHP_MAJOR_VERSION, '.', PHP_MINOR_VERSION;")
    for name in (f"php-fpm{version}", "php-fpm"):
        if found := shutil.which(name, path=_path()):
            return found
    raise RuntimeError(f"PHP-FPM {version} is not installed")


def _versions(php: str, fpm: str) -> str:
    parts = (_run("nginx", "-v"), _run(fpm, "-v"), _run("mariadbd", "--no-defaults", "--version"))
    nginx, php_fpm, mariadb = (part.splitlines()[0] for part in parts)
    return ", ".join((
        nginx.removeprefix("nginx version: "),
        f"PHP-FPM {php_fpm.split()[1]} with {CHILDREN} children",
        f"MariaDB {mariadb.split('Ver ')[-1].split('-')[0]}",
    ))  # fmt: skip


def _run(*command: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env=bare_environment(PATH=_path(), HOME="/nonexistent")
    )
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed: {(done.stderr + done.stdout).strip()[-600:]}")
    return (done.stdout or done.stderr).strip()


def _path() -> str:
    return f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
