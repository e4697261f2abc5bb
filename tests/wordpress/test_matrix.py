"""Releases × permalinks × logins × bent sites (variants.py): each reading equals PHP's own answer, or says where not.

In every run the latest release is read by a stranger, or by an administrator where a login matters; nightly every
release, with pretty and with plain permalinks, by all three. `-s` shows how many cells were of which kind.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from judging import kind_of
from reading import RELEASES, Truth, plugin, read, rules
from variants import ITEMS, LOGINS, TERMS, VARIANTS

from agent.demo.wordpress import WordPress
from agent.errors import SiteError

pytestmark = [pytest.mark.wordpress, pytest.mark.anyio]

FIXTURES = Path(__file__).parent / "fixtures"
TRUTH = Path(__file__).parent / "truth.php"
PLACES = [
    pytest.param((RELEASES[0], "/%postname%/", False), id="latest"),
    *(
        pytest.param((release, permalinks, True), id=f"{release} {permalinks or 'plain'}", marks=pytest.mark.nightly)
        for release in RELEASES
        for permalinks in ("/%postname%/", "")
    ),
]


@dataclass
class Matrix:
    """One clean site, what it says while nothing bends it, its logins, and how many cells became what."""

    site: WordPress
    logins: dict[str, dict[str, str]]
    is_whole: bool
    """Whether everybody reads every variant, and not only whom it was made for."""
    cells: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.site.write("truth.php", f"<?php require __DIR__ . '/wp-load.php'; require '{TRUTH}';")
        self.truth = self.told()
        self._database = {file: file.read_bytes() for file in self._files()}

    def forget(self) -> None:
        """What a variant left behind: options, rewrite rules, transients, users and content are as they were."""
        for file in self._files():
            file.unlink()
        for file, held in self._database.items():
            file.write_bytes(held)

    def told(self) -> Truth:
        """What PHP says at this moment: by the web server, whose PHP has all of WordPress compiled already."""
        with urlopen(f"{self.site.core_url}/truth.php") as answer:
            said: Truth = json.loads(answer.read())
        return said

    def _files(self) -> list[Path]:
        return list((self.site.directory / "database").iterdir())

    def readers(self, name: str) -> list[str]:
        return list(LOGINS) if self.is_whole else VARIANTS[name].daily.split()

    async def kind(self, name: str, login: str, truth: Truth) -> tuple[str, list[str]]:
        """What became of one cell: equal, marked, refused, unknowable or wrong, and what nothing marks in it."""
        try:
            structure = await read(self.site, **self.logins[login])
        except SiteError as refused:
            assert refused.hint
            return "refused", []
        kind, wrong = kind_of(structure, truth)
        return ("unknowable", []) if wrong and VARIANTS[name].unknowable else (kind, wrong)


@pytest.fixture(scope="module", params=PLACES)
def matrix(request: pytest.FixtureRequest, module_wordpress_site: Any) -> Iterator[Matrix]:
    release, permalinks, is_whole = request.param
    plugins = {"matrix.php": (FIXTURES / "matrix.php").read_text("utf-8")}
    site = module_wordpress_site("matrix", release=release, permalinks=permalinks, mu_plugins=plugins)
    site.run_php(FIXTURES / "matrix_seed.php", {"types": ITEMS, "taxonomies": TERMS})
    known = {login: {"username": login, "password": site.application_password(login)} for login in LOGINS[1:]}
    matrix = Matrix(site, {"stranger": {}, **known}, is_whole)
    yield matrix
    print(f"\nWordPress {release}, {permalinks or 'plain'}: {matrix.cells.total()} cells,", dict(matrix.cells))


@pytest.mark.parametrize("name", VARIANTS)
async def test_what_is_read_is_what_php_says_or_says_where_it_may_not_be(matrix: Matrix, name: str) -> None:
    matrix.forget()
    with bent(matrix.site, name):
        # What does not touch the register changes nothing of what PHP says.
        true = matrix.told() if re.search("register_(post_type|taxonomy)", VARIANTS[name].plugin) else matrix.truth
        found = {login: await matrix.kind(name, login, true) for login in matrix.readers(name)}

    kinds = {login: kind for login, (kind, _) in found.items()}
    matrix.cells.update(kinds.values())
    assert {login: wrong for login, (_, wrong) in found.items() if wrong} == {}
    # A cell that became less is a loss; one that became more is to be written down. What cannot be known may be
    # met by chance: whether PHP says the one thing or the other follows from the address that REST was found at.
    is_plain = not matrix.site.blueprint.permalinks
    expected = {login: VARIANTS[name].expected(login, is_plain=is_plain) for login in kinds}
    met = {login for login in kinds if (expected[login], kinds[login]) == ("unknowable", "equal")}
    assert kinds == expected | dict.fromkeys(met, "equal")


def bent(site: WordPress, name: str) -> ExitStack:
    """The site with this variant, until the block ends."""
    variant, stack = VARIANTS[name], ExitStack()
    if variant.plugin:
        # A name of its own: PHP may still hold what a file of the same name said a moment ago.
        file = f"variant-{list(VARIANTS).index(name)}.php"
        stack.enter_context(plugin(site, f"<?php {variant.plugin}", name=file))
    if variant.rules:
        stack.enter_context(rules(site, f"<?php {variant.rules}"))
    return stack
