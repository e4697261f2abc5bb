"""A real WordPress that all journeys read, backends that misbehave, and a fresh home for each test."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from backend import StandIn
from hostility import Hostility
from journey import API_KEY, Wpsa
from zygote import Zygote

from agent.demo.sources import DEFAULT_RELEASE, SourceMissing, bring_wordpress, require_php
from agent.demo.wordpress import WordPress

TRUTH = Path(__file__).parents[1] / "wordpress" / "truth.php"

TYPES = """<?php
add_action( 'init', function () {
	register_post_type( 'book', array( 'public' => true, 'show_in_rest' => true, 'label' => 'Bücher &amp; Hefte' ) );
	register_taxonomy( 'genre', 'book', array( 'public' => true, 'show_in_rest' => true, 'label' => 'Genres' ) );
} );
"""
SEED = """<?php
foreach ( array( 'post' => 11, 'book' => 1203, 'page' => 2 ) as $type => $number ) {
	$GLOBALS['wpdb']->query( 'START TRANSACTION' );
	for ( $i = 0; $i < $number; $i++ ) {
		$GLOBALS['wpdb']->insert( $GLOBALS['wpdb']->posts, array( 'post_type' => $type, 'post_status' => 'publish',
			'post_title' => "$type $i", 'post_name' => "$type-$i", 'post_author' => 1 ) );
	}
	$GLOBALS['wpdb']->query( 'COMMIT' );
}
foreach ( range( 1, 5 ) as $i ) {
	wp_insert_term( "Genre $i", 'genre' );
}
"""


@pytest.fixture(scope="session")
def wordpress(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WordPress]:
    """A site with a type and a taxonomy of its own; journeys only read it."""
    try:
        require_php()
        source = bring_wordpress(DEFAULT_RELEASE)
    except SourceMissing as missing:
        reason = f"needs a real WordPress: {missing.message} {missing.hint}"
        if os.environ.get("WPSA_REQUIRE_WORDPRESS") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("journeys") / "site"
    site = WordPress.install(folder, source, title="The journeys' site", mu_plugins={"types.php": TYPES})
    site.run_php(SEED)
    with site:
        yield site
    site.remove()


@pytest.fixture(scope="session")
def truth(wordpress: WordPress) -> dict[str, Any]:
    """What WordPress itself says of its types and counts."""
    said: dict[str, Any] = wordpress.run_php(TRUTH)
    return said


@pytest.fixture
def new_user(tmp_path: Path, zygote: Zygote | None) -> Callable[..., Wpsa]:
    """A function: the command in a fresh home with nothing but the given settings."""

    def at_home(**settings: str) -> Wpsa:
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        return Wpsa(home, zygote, **settings)

    return at_home


@pytest.fixture
def backend(hostility: Hostility) -> Iterator[StandIn]:
    with hostility.standing(API_KEY) as standing:
        yield standing


@pytest.fixture
def wpsa(new_user: Callable[..., Wpsa], wordpress: WordPress, backend: StandIn) -> Wpsa:
    """The command of somebody with a backend and one site."""
    return new_user(
        SITE_URL=wordpress.url,
        SITE_NAME="shop",
        BACKEND_URL=backend.url,
        BACKEND_API_KEY=API_KEY,
        BACKEND_SITE_ID="42",
    )
