"""That `pytest --hostile-backend SEED` leaves out nothing unsaid, and that what it puts in the way is hostile."""

import re
from contextlib import ExitStack
from pathlib import Path

import pytest
from backend import StandIn
from builders import a_delivery
from hostile_front import HostileFront
from hostility import OWN_ANSWERS, Hostility, push_to, reason_to_leave_out

pytestmark = pytest.mark.anyio

TESTS = Path(__file__).parents[1]
A_BACKEND = re.compile(r"\b(StandIn|HostileStandIn|FakeBackend|ScriptedBackend|backend_of|serve_hub|served_hub|SERVE_HUB|backend_transport)\b")
MEETS_IT = re.compile(r"\bhostility\b")


def test_whoever_meets_a_backend_meets_a_hostile_one_too_or_says_why_not() -> None:
    """Each file by itself, or by the conftest beside it."""
    silent = []
    for file in sorted(TESTS.rglob("test_*.py")):
        name = str(file.relative_to(TESTS))
        said = file.read_text("utf-8")
        beside = file.with_name("conftest.py")
        said_beside = beside.read_text("utf-8") if beside.exists() else ""
        if A_BACKEND.search(said + said_beside) and not MEETS_IT.search(said + said_beside) and not reason_to_leave_out(name):
            silent.append(name)

    assert silent == []


def test_what_is_left_out_by_name_is_there() -> None:
    for name in OWN_ANSWERS:
        path, _, test = name.partition("::")
        assert (TESTS / path).exists(), name
        assert f"def {test}(" in (TESTS / path).read_text("utf-8") if test else True, name


@pytest.mark.parametrize("seed", [5, 6])
async def test_a_hostile_front_lets_each_document_through_in_the_end(fresh_logging: None, seed: int) -> None:
    with StandIn(api_key="key-of-a-hostile-backend") as backend, ExitStack() as ends:
        front = ends.enter_context(HostileFront(api_key="", seed=seed, bearable=True, behind=backend.url))
        for number in range(30):
            await push_to(front, a_delivery(body=b'{"post_types":{},"taxonomies":{}}', idempotency_key=f"k{number}"))

    assert backend.effects == 30
    assert front.moods.total() - front.moods[""] >= 10, "hardly a mood was met"


def test_without_a_seed_nothing_is_in_the_way() -> None:
    with ExitStack() as ends:
        assert Hostility(None, ends).in_front_of("http://backend.example") == "http://backend.example"
        assert type(Hostility(None, ends).standing("k")) is StandIn
