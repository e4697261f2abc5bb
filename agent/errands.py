"""“Sync now”, pressed at the backend: looked for time and again, done like any other, and told how it went.

The agent asks; nobody has to reach it. So it works from behind any router, and where the hub is our
own the look follows at once.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

from agent.backend.offers import Offers, SyncRequest, note_failure
from agent.errors import AgentError, BackendError, StateError, UsageError
from agent.rounds import Rounds
from agent.state.records import Result
from agent.state.sites import ERRANDS

IDLE_SECONDS = 60.0
"""Between two looks whether there is anything to ask, which ask nobody."""
LONGEST_PAUSE_SECONDS = 900.0
"""After looks that failed."""

Verdict = tuple[str, AgentError | None]
"""`done`, or `failed` and why."""


@asynccontextmanager
async def doing_errands(rounds: Rounds, *, wanted: asyncio.Event | None) -> AsyncIterator[None]:
    """Within the block; at its end what is under way is left as it is, and taken up at the next start.

    wanted   set when somebody asks our own hub; None for a backend that has to be asked
    """
    errands = Errands(rounds, wanted=wanted or asyncio.Event(), at_once=wanted is not None)
    running = asyncio.create_task(errands.run(), name="errands")
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait({running})


class Errands:
    """What the backend asks for, of the agent that is at work at the moment.

    wanted   set when it is known that somebody has asked: one looks at once
    at_once  whether `wanted` tells of everything, so that looking time and again finds nothing new
    """

    def __init__(self, rounds: Rounds, *, wanted: asyncio.Event, at_once: bool = False) -> None:
        self._rounds, self._wanted, self._at_once = rounds, wanted, at_once
        self._in_hand: dict[SyncRequest, asyncio.Task[None]] = {}
        self._verdicts: dict[SyncRequest, Verdict] = {}
        """What the backend has not heard yet."""
        self._failures = 0
        self._looked = False

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        try:
            while True:
                asked = self._wanted.is_set()
                self._wanted.clear()
                pause = await self._look_if_it_makes_sense(asked=asked)
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._wanted.wait()
        finally:
            await self._drop()

    @property
    def _offers(self) -> Offers:
        """Of the agent at work: the one before a reload may have gone meanwhile."""
        offers = self._rounds.agent.offers
        assert offers is not None, "a daemon's agent has them"
        return offers

    async def look(self) -> list[asyncio.Task[None]]:
        """Take up everything that is asked for and not in hand yet; what has begun. Raises BackendError and StateError.

        Of several workers one does it, until it is gone.
        """
        if not self._offers.sync_requests or not self._rounds.agent.ledger.take(ERRANDS):
            return []
        found = await self._offers.open_requests()
        for ended in self._verdicts.keys() - set(found) - self._in_hand.keys():
            del self._verdicts[ended]
        begun = [request for request in found if request not in self._in_hand]
        for request in begun:
            task = asyncio.create_task(self._serve(request), name=f"asked for {request.site}")
            self._in_hand[request] = task
            task.add_done_callback(partial(self._put_down, request))
        self._looked = True
        return [self._in_hand[request] for request in begun]

    async def _look_if_it_makes_sense(self, *, asked: bool) -> float:
        """Seconds until the next look."""
        interval = self._rounds.agent.poll_seconds
        if asked:
            self._looked = False
        if self._looked if self._at_once else not (asked or interval):
            return IDLE_SECONDS
        try:
            await self.look()
        except BackendError as error:
            self._failures += 1
            note_failure("sync requests", error)
            pause = min((interval or IDLE_SECONDS) * 2.0 ** min(self._failures, 16), LONGEST_PAUSE_SECONDS)
            return max(pause, interval, error.retry_after_seconds or 0.0)
        except StateError:
            return interval or IDLE_SECONDS  # whoever writes there tells of it
        self._failures = 0
        return interval or IDLE_SECONDS

    async def _serve(self, request: SyncRequest) -> None:
        try:
            verdict = self._verdicts.get(request)
            if verdict is None and await self._offers.say(request, "running"):
                verdict = await self._sync(request.site)
            if verdict is None:
                self._looked = False
                return
            # Said again at the next look if it is not heard now, rather than done again.
            self._verdicts[request] = verdict
            await self._offers.say(request, *verdict)
            del self._verdicts[request]
        except BackendError as error:
            self._looked = False  # the request is still open there
            note_failure("sync requests", error)

    async def _sync(self, site: str) -> Verdict | None:
        """None when the site's turn never came; the request stays open, and is found at a later look."""
        try:
            outcome = self._rounds.ask(site)
        except UsageError as error:
            return "failed", error
        except StateError:
            return None
        await asyncio.wait({outcome})
        if outcome.cancelled():
            return None
        said = outcome.result()
        return ("done", None) if said.result is Result.DELIVERED else ("failed", said.error)

    def _put_down(self, request: SyncRequest, _: asyncio.Task[None]) -> None:
        del self._in_hand[request]

    async def _drop(self) -> None:
        tasks = set(self._in_hand.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
