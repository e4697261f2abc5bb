"""Every fault happens in a clean world and in virtual time: minutes of waiting take milliseconds."""

import pytest
import stamina
from fakes import VIRTUAL_TIME


@pytest.fixture(autouse=True)
def _sheltered(sheltered: None) -> None:
    pass


@pytest.fixture
def anyio_backend(sheltered: None) -> object:
    stamina.set_testing(False)
    return VIRTUAL_TIME
