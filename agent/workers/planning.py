"""One pass of the planner: who is dead is cleared away, and whose moment has come is woken."""

from dataclasses import dataclass

from agent.clock import Clock
from agent.crowds import SITES_PER_SERVER
from agent.errors import StateError
from agent.state.sites import Sites
from agent.workers.engine import Engine

QUEUED_MOST = 2_000
"""Jobs that wait: enough for all workers until the next pass, and few enough to be looked through."""
PER_SERVER = 2 * SITES_PER_SERVER
"""At most so many sites of one server join the queue in a pass; the others would only stand in the way."""


@dataclass(slots=True)
class Planner:
    """Looks every few seconds, on whichever worker takes it up; any number of passes at once do no harm."""

    sites: Sites
    clock: Clock
    engine: Engine | None = None
    woken: int = 0

    async def look(self) -> None:
        """Wake what is due and not queued yet. What fails now is seen at the next pass."""
        if self.engine is None:
            return
        await self.engine.clear_away()
        try:
            room = QUEUED_MOST - self.sites.queued()
            due = self.sites.due(at=self.clock.now(), most=room, per_origin=PER_SERVER) if room > 0 else []
        except StateError:
            return
        self.woken += await self.engine.wake(due)
