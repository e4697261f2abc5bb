"""What a throwaway site is to be like, and the files that it becomes."""

import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PHP_FOLDER = Path(__file__).parent / "php"

_CONSTANTS: Mapping[str, str | int | bool] = {
    "DB_NAME": "wordpress",
    "DB_USER": "",
    "DB_PASSWORD": "",
    "DB_HOST": "",
    "DB_CHARSET": "utf8mb4",
    "DB_COLLATE": "",
    "DB_FILE": "site.sqlite",
    # Nothing below may wait for the internet or change the site behind a test's back.
    "WP_HTTP_BLOCK_EXTERNAL": True,
    "DISABLE_WP_CRON": True,
    "AUTOMATIC_UPDATER_DISABLED": True,
    "WP_AUTO_UPDATE_CORE": False,
    "WP_DEBUG": False,
    "WP_DEFAULT_THEME": "plain",
}


@dataclass(frozen=True)
class Blueprint:
    """What a throwaway site is to be like."""

    title: str = "A throwaway site"
    permalinks: str = "/%postname%/"
    """The permalink structure; empty for plain ones, where only `?rest_route=` reaches REST."""
    mu_plugins: Mapping[str, str] = field(default_factory=dict)
    """Must-use plugins: file name → PHP text."""
    path: str = ""
    """Where on the host the site lives, such as `/blog`; the rest of the host is not WordPress."""
    core: str = ""
    """The folder of core's files below the site's address, such as `wp`; `get_site_url()` ends in it."""
    port: int | None = None
    """The port on 127.0.0.1; None takes a free one."""
    environment: str = "local"
    """`WP_ENVIRONMENT_TYPE`; only `local` allows application passwords without TLS."""
    constants: Mapping[str, str | int | bool] = field(default_factory=dict)
    """Further constants of wp-config.php; they win over ours."""
    php_settings: Mapping[str, str] = field(default_factory=dict)
    """Settings of php.ini for server and scripts; they win over ours."""
    rules: str = ""
    """PHP text that the web server runs before each request (see router.php); replace it with `set_rules`."""
    workers: int = 4
    """How many requests are served at a time."""
    login: str = "admin"
    password: str = "password"
    """The administrator's login and password for wp-login.php."""


def copy_core(source: Path, target: Path) -> None:
    """Copy an unpacked WordPress quickly: what nobody writes is linked, the rest is copied."""
    for part in source.iterdir():
        if part.name in {"wp-admin", "wp-includes"}:
            shutil.copytree(part, target / part.name, copy_function=_link_or_copy)
        elif part.is_dir():
            shutil.copytree(part, target / part.name)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(part, target / part.name)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)


def wp_config(blueprint: Blueprint, *, database: Path) -> str:
    """The text of a site's wp-config.php."""
    keys = [f"{name}_{kind}" for name in ("AUTH", "SECURE_AUTH", "LOGGED_IN", "NONCE") for kind in ("KEY", "SALT")]
    constants: dict[str, str | int | bool] = {
        **_CONSTANTS,
        "DB_DIR": f"{database}/",
        "WP_ENVIRONMENT_TYPE": blueprint.environment,
        **{key: secrets.token_hex(32) for key in keys},
        **blueprint.constants,
    }
    lines = [
        f"defined( {_php_value(name)} ) || define( {_php_value(name)}, {_php_value(value)} );"
        for name, value in constants.items()
    ]
    template = (PHP_FOLDER / "wp-config.php").read_text("utf-8")
    return template.replace("// CONSTANTS", "\n".join(lines))


def _php_value(value: str | int | bool) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case _:
            return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
