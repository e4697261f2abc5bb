"""A throwaway WordPress, real and whole, on a loopback port: for `wpsa demo` and the conformance tests.

A site is one folder: `public/` (what the web server shows), `database/` (SQLite, outside the web),
`server.log`, `requests.jsonl`. Core's files in it are hard links into the cache and must never be
written into; `WordPress.write` puts a new file in the place instead.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agent.demo.blueprint import PHP_FOLDER, Blueprint, copy_core, wp_config
from agent.demo.scripts import run_script
from agent.demo.server import Server, free_port
from agent.demo.sources import require_php

__all__ = ["PHP_FOLDER", "Blueprint", "WordPress"]

_PHP_SETTINGS = {
    "output_buffering": "0",
    "memory_limit": "512M",
    "date.timezone": "UTC",
    "expose_php": "0",
    "opcache.enable": "1",
    "opcache.revalidate_freq": "0",  # a must-use plugin that a test replaces counts at the next request
}


class WordPress:
    """One installed site. As a context manager it is served while the block runs."""

    def __init__(self, directory: Path, blueprint: Blueprint, *, port: int, php: str) -> None:
        self.directory = directory
        self.blueprint = blueprint
        self.port = port
        self._php = php
        self._server: Server | None = None

    @classmethod
    def install(cls, directory: Path, source: Path, blueprint: Blueprint | None = None, /, **options: Any) -> Self:
        """A site installed into a new or empty `directory` from an unpacked `source`, not served yet.

        options     the fields of Blueprint, where none is given: `WordPress.install(there, source, permalinks="")`

        Raises SourceMissing without PHP, and PhpFailed when WordPress does not install.
        """
        blueprint = blueprint or Blueprint(**options)
        site = cls(directory.absolute(), blueprint, port=blueprint.port or free_port(), php=require_php())
        site._lay_out(source)
        site._run_setup()
        for name, text in blueprint.mu_plugins.items():
            site.write(f"wp-content/mu-plugins/{name}", text)
        return site

    @property
    def host(self) -> str:
        """The address of the host alone, `http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The public address (`home_url()`), without a slash at the end."""
        return f"{self.host}{self.blueprint.path}"

    @property
    def core_url(self) -> str:
        """The address of core's files (`get_site_url()`), without a slash at the end."""
        return f"{self.url}/{self.blueprint.core}".rstrip("/")

    @property
    def core(self) -> Path:
        """The folder with wp-load.php, wp-config.php and wp-content."""
        return self.home / self.blueprint.core

    @property
    def home(self) -> Path:
        """The folder that the site's address shows."""
        return self.directory / "public" / self.blueprint.path.strip("/")

    @property
    def process_group(self) -> int | None:
        """The group of the server's processes while it runs; its number is the first one's."""
        return self._server.process_group if self._server else None

    @property
    def log(self) -> str:
        """What the web server has said since it first started: PHP's errors above all."""
        file = self.directory / "server.log"
        return file.read_text("utf-8", "replace") if file.exists() else ""

    @property
    def requests(self) -> list[dict[str, Any]]:
        """Every request that arrived, in order: `{"method", "uri", "authorized", "user_agent", "cookies"}`."""
        file = self.directory / "requests.jsonl"
        return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []

    def write(self, name: str, text: str) -> Path:
        """Put a file into core's folder in place of what is there; a shared file of the cache stays as it is."""
        file = self.core / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        file.write_text(text, "utf-8")
        return file

    def set_rules(self, text: str) -> None:
        """Let the web server run this PHP text before each request from now on; empty for none."""
        file = self.directory / "rules.php"
        part = file.with_suffix(".part")
        part.write_text(text, "utf-8")
        part.replace(file)

    def run_php(self, script: str | Path, arguments: Mapping[str, Any] | None = None) -> Any:
        """What a PHP script prints as JSON when it runs inside this WordPress; None when it prints nothing.

        script      a file, or PHP text that starts with `<?php`
        arguments   the script finds them as `$arguments`, and `url` with them

        The site need not be served. Raises PhpFailed with PHP's own words.
        """
        return self._run_script(script, arguments or {}, wp_load=self.core / "wp-load.php")

    def application_password(self, login: str | None = None, *, name: str = "wpsa") -> str:
        """A new application password of a user, in groups of four as WordPress shows it."""
        answer = self.run_php(
            PHP_FOLDER / "application_password.php", {"login": login or self.blueprint.login, "name": name}
        )
        return str(answer["password"])

    def start(self) -> None:
        """Serve the site, and return when it answers. Raises ServerFailed with the end of its log."""
        if self._server is None:
            self._server = Server(
                self._php_command(display_errors="0"),
                port=self.port,
                public=self.directory / "public",
                log=self.directory / "server.log",
                variables={
                    "WPSA_HOME_PATH": self.blueprint.path,
                    "WPSA_RULES": str(self.directory / "rules.php"),
                    "WPSA_REQUESTS": str(self.directory / "requests.jsonl"),
                },
                workers=self.blueprint.workers,
            )

    def stop(self) -> None:
        """End the server and its workers; the site stays installed and may be started again."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()

    def remove(self) -> None:
        """Stop the server and delete the site's folder."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _lay_out(self, source: Path) -> None:
        """Put the files of a new site in place."""
        (self.directory / "database").mkdir(parents=True)
        (self.directory / "public").mkdir()
        copy_core(source, self.core)
        self.write("wp-config.php", wp_config(self.blueprint, database=self.directory / "database"))
        if self.blueprint.core:
            front = (self.core / "index.php").read_text("utf-8")
            within = f"/{self.blueprint.core}/wp-blog-header.php"
            (self.home / "index.php").write_text(front.replace("/wp-blog-header.php", within), "utf-8")
        self.set_rules(self.blueprint.rules)

    def _run_setup(self) -> None:
        self._run_script(
            PHP_FOLDER / "install.php",
            {
                "wp_load": str(self.core / "wp-load.php"),
                "core_url": self.core_url,
                "title": self.blueprint.title,
                "login": self.blueprint.login,
                "password": self.blueprint.password,
                "permalinks": self.blueprint.permalinks,
            },
            wp_load=None,
        )

    def _run_script(self, script: str | Path, arguments: Mapping[str, Any], *, wp_load: Path | None) -> Any:
        # Logged, not displayed: WordPress itself switches the display off while it is being installed.
        php = self._php_command(display_errors="0", log_errors="1", error_log="", html_errors="0")
        return run_script(php, script, {"url": self.url, **arguments}, wp_load=wp_load, scratch=self.directory)

    def _php_command(self, **settings: str) -> list[str]:
        merged = {**_PHP_SETTINGS, **settings, **self.blueprint.php_settings}
        return [self._php, *(part for name, value in merged.items() for part in ("-d", f"{name}={value}"))]
