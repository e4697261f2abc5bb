"""Every suite with a backend in it, on a backend in a bad mood: `pytest --hostile-backend SEED` (D25).

A test meets its backend through the fixture `hostility`, which is calm without the option. With it only such tests
run, each on a backend that is as hostile as one run of `wpsa` gets through, and the same for the same seed.
"""

import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

import pytest
from backend import StandIn
from fakes import FakeBackend
from hostile_backend import HostileStandIn
from hostile_front import HostileFront

from agent.backend.client import BackendClient
from agent.backend.contract import Paths
from agent.backend.integrations import Target
from agent.backend.session import ApiKey
from agent.clock import SYSTEM
from agent.faults import BACKEND
from agent.state.records import Delivery
from agent.transport import open_transport

OWN_ANSWERS: dict[str, str] = {
    "unit/": "a module by itself: the test says what the backend answers, turn by turn of the loop",
    "proofs/": "breaks the backend, its wire or the process in ways of its own, and counts; test_convergence is the hostile one",
    "workers/": "what several processes push, and how often, is counted by a backend of their own",
    "contract/": "the test asks for itself: each answer is its subject",
    "hub/": "likewise",
    "browser/": "a person is at the hub's pages; no agent asks",
    "image/": "the backend is in the agent's own process, and no wire between them",
    "docs/test_monitoring.py": "an agent that has nothing to deliver",
    "ops/test_ops_health.py": "ends within a turn of the loop, with whatever is in hand",
    **dict.fromkeys(
        (
            "offers/test_offers.py::test_a_backend_that_offers_nothing_is_asked_what_it_always_was",
            "offers/test_offers.py::test_what_somebody_asked_for_is_done_and_said_to_be_done",
            "offers/test_offers.py::test_a_verdict_that_was_not_heard_is_said_again_and_nothing_is_done_twice",
            "offers/test_offers.py::test_what_is_chosen_on_the_page_is_in_the_next_push_above_the_agents_own_settings",
        ),
        "how often each thing is asked for is its subject",
    ),
}
"""What meets a backend and is left out, with the reason: a folder, a file or a test, by how its name begins."""

API_KEY = "key-of-a-hostile-backend"


@dataclass
class Hostility:
    """Lasts as long as one test.

    seed   None for a calm backend
    """

    seed: int | None
    ends: ExitStack
    _fronts: dict[str, HostileFront] = field(default_factory=dict)

    def standing(self, api_key: str) -> StandIn:
        """The small backend, which keeps what it was sent."""
        if self.seed is None:
            return StandIn(api_key=api_key)
        return HostileStandIn(api_key=api_key, seed=self.seed, bearable=True)

    def in_front_of(self, url: str) -> str:
        """Where to ask for the backend at this address; the same place throughout the test."""
        if self.seed is None:
            return url
        if url not in self._fronts:
            front = HostileFront(api_key="", seed=self.seed, bearable=True, behind=url)
            self._fronts[url] = self.ends.enter_context(front)
        return self._fronts[url].url


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("hostility").addoption(
        "--hostile-backend", type=int, metavar="SEED",
        help="only tests with a backend, and let it misbehave, as far as one run gets through",
    )  # fmt: skip


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--hostile-backend") is None:
        return
    meeting = [item for item in items if "hostility" in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=[item for item in items if item not in meeting])
    items[:] = meeting
    for item in items:
        if why := reason_to_leave_out(item.nodeid.removeprefix("tests/")):
            item.add_marker(pytest.mark.skip(reason=why))


def reason_to_leave_out(name: str) -> str:
    return next((why for beginning, why in OWN_ANSWERS.items() if name.startswith(beginning)), "")


@pytest.fixture
def hostility(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hostility]:
    """How the backend is disposed; the one that is made by hand sends what it is given over the wire as well."""
    with ExitStack() as ends:
        given = Hostility(request.config.getoption("--hostile-backend"), ends)
        if given.seed is not None:
            standing = ends.enter_context(given.standing(API_KEY))
            monkeypatch.setattr(FakeBackend, "over_the_wire", staticmethod(partial(push_to, standing)))
        yield given


async def push_to(standing: StandIn, delivery: Delivery) -> None:
    """As the agent does, with a client of its own; raises BackendError."""
    async with open_transport(faults=BACKEND, ssl_context=ssl.create_default_context(), clock=SYSTEM) as http:
        client = BackendClient(
            http, base_url=standing.url, session=ApiKey(API_KEY), paths=Paths(),
            targets={delivery.site: Target("42", None)}, verify=False,
        )  # fmt: skip
        await client.push(delivery)
