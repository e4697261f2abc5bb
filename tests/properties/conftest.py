"""Every property runs in a clean world; see `sheltered`."""

import pytest


@pytest.fixture(autouse=True)
def _sheltered(sheltered: None) -> None:
    pass
