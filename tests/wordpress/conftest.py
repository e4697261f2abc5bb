"""Real WordPress for the tests of this folder: a source, throwaway sites, and PHP's own truth about each.

Sites of one test come from `wordpress_site`, those that a module shares from `module_wordpress_site`.
Both are called with a name and the fields of `Blueprint`, and everything they started ends with them.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.demo.sources import DEFAULT_RELEASE, SourceMissing, cached_wordpress, require_php
from agent.demo.wordpress import Blueprint, WordPress

FOLDER = Path(__file__).parent
FIXTURES = FOLDER / "fixtures"


class Sites:
    """Installs and serves throwaway sites, and ends them all."""

    def __init__(self, new_folder: Callable[[str], Path]) -> None:
        self._new_folder = new_folder
        self._sites: list[WordPress] = []

    def __call__(self, name: str, *, release: str = DEFAULT_RELEASE, **options: Any) -> WordPress:
        """A fresh site that is being served; `options` are the fields of Blueprint."""
        site = WordPress.install(self._new_folder(name), _source_or_skip(release), Blueprint(**options))
        self._sites.append(site)
        site.start()
        return site

    def common(
        self,
        name: str = "common",
        *,
        posts: Mapping[str, Mapping[str, int]] | None = None,
        terms: Mapping[str, int] | None = None,
        mu_plugins: Mapping[str, str] | None = None,
        **options: Any,
    ) -> WordPress:
        """A site with the common fixture: its types, taxonomies, content and users (password: `password`).

        posts, terms    replace the fixture's numbers, `{"book": {"publish": 9}}`, `{"genre": 3}`
        mu_plugins      further must-use plugins beside the fixture's own
        """
        plugins = {"common.php": (FIXTURES / "common.php").read_text("utf-8"), **(mu_plugins or {})}
        site = self(name, mu_plugins=plugins, **options)
        site.run_php(FIXTURES / "common_seed.php", {"posts": posts or {}, "terms": terms or {}})
        return site

    def end(self) -> None:
        while self._sites:
            self._sites.pop().remove()


@pytest.hookimpl(trylast=True)
@pytest.fixture(scope="session")
def wordpress_source() -> Path:
    """The unpacked WordPress of the default release; the test is skipped where none can be had."""
    return _source_or_skip(DEFAULT_RELEASE)


@pytest.fixture(scope="session")
def session_wordpress_site(wordpress_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    yield from _sites(tmp_path_factory)


@pytest.fixture(scope="module")
def module_wordpress_site(wordpress_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    yield from _sites(tmp_path_factory)


@pytest.fixture
def wordpress_site(wordpress_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    yield from _sites(tmp_path_factory)


@pytest.fixture(scope="session")
def common_site(session_wordpress_site: Sites) -> WordPress:
    """One site with the common fixture for all tests that only read."""
    return session_wordpress_site.common()


@pytest.fixture(scope="session")
def truth() -> Callable[[WordPress], dict[str, Any]]:
    """A function: what a site itself says about its content types (see truth.php)."""
    return lambda site: site.run_php(FOLDER / "truth.php")


@pytest.fixture(scope="module")
def true(site: WordPress, truth: Callable[[WordPress], dict[str, Any]]) -> dict[str, Any]:
    """What the module's own `site` says about itself, asked once."""
    return truth(site)


def _sites(factory: pytest.TempPathFactory) -> Iterator[Sites]:
    sites = Sites(lambda name: factory.mktemp(name))
    try:
        yield sites
    finally:
        sites.end()


def _source_or_skip(release: str) -> Path:
    """The source of a release; a test fetches nothing, that is what config/setup is for.

    Without one the test is skipped with the reason, or fails where WordPress is required.
    """
    try:
        require_php()
        return cached_wordpress(release)
    except SourceMissing as missing:
        reason = f"needs a real WordPress {release}: {missing.message}. {missing.hint}, or run: config/setup test"
        if os.environ.get("WPSA_REQUIRE_WORDPRESS") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
