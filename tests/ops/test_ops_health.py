"""The probes: alive while somebody looks, ready while the state can be written; sites have no say in either."""

import pytest
from builders import answers
from fakes import FakeReader, ManualClock
from ops_visitor import Visitor

from agent.errors import SiteUnreachable, StateFull
from agent.rounds import Rounds

pytestmark = pytest.mark.anyio


async def test_before_the_first_look_it_is_not_ready(visitor: Visitor) -> None:
    said = await visitor.ask("GET", "/readyz", token=None)

    assert (said.status_code, said.json()) == (503, {"ready": False, "state": "ok", "schedule": "late"})


async def test_it_is_alive_and_ready_as_long_as_somebody_looks(
    visitor: Visitor, rounds: Rounds, clock: ManualClock
) -> None:
    rounds.look()
    looked = [(await visitor.ask("GET", path, token=None)).status_code for path in ("/livez", "/readyz")]
    clock.advance(seconds=59)
    late = [(await visitor.ask("GET", path, token=None)).status_code for path in ("/livez", "/readyz")]
    clock.advance(seconds=2)
    stuck = [(await visitor.ask("GET", path, token=None)).status_code for path in ("/livez", "/readyz")]

    assert (looked, late, stuck) == ([200, 200], [200, 200], [503, 503])


async def test_a_state_that_cannot_be_written_is_alive_and_not_ready(visitor: Visitor, rounds: Rounds) -> None:
    rounds.look()
    await rounds.end(within_seconds=1)
    rounds.trouble = StateFull("m", reason="state_full", hint="h")

    alive, ready = [await visitor.ask("GET", path, token=None) for path in ("/livez", "/readyz")]

    assert (alive.status_code, ready.status_code) == (200, 503)
    assert ready.json()["state"] == "state_full"


async def test_a_dead_site_makes_nothing_unready(visitor: Visitor, rounds: Rounds, reader: FakeReader) -> None:
    reader.says["shop"] = SiteUnreachable("m", reason="refused", hint="h")
    reader.says["example.com/blog"] = ZeroDivisionError("a bug")
    outcome = await rounds.ask("shop")
    rounds.look()

    said = await visitor.ask("GET", "/readyz", token=None)

    assert outcome.error is not None
    assert said.status_code == 200
    assert answers().site_url not in said.text


async def test_strangers_learn_nothing_of_the_sites(visitor: Visitor, rounds: Rounds) -> None:
    rounds.look()

    said = [await visitor.ask("GET", path, token=None) for path in ("/livez", "/readyz", "/", "/sync/x", "/nothing")]

    assert [one.status_code for one in said] == [200, 200, 404, 401, 404]
    assert not any("shop" in one.text or "server" in one.headers for one in said)
