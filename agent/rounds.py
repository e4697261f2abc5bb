"""The agent at work: looks at its sites again and again, starts what is due, and takes what it is asked."""

import asyncio
from collections.abc import Sequence

import structlog

from agent.agenda import Agenda
from agent.bootstrap import Agent
from agent.errors import StateError, UsageError
from agent.fleet import Fleet, Told, Work
from agent.outcome import Outcome
from agent.sync import Ports
from agent.telemetry import events

STATE_FULL = "state_full"

log = structlog.stdlib.get_logger("agent")


class Rounds:
    """One look after another, none of which waits for what the one before has begun.

    told   hear of each outcome, besides those whom the agent tells
    """

    def __init__(self, agent: Agent, *, told: Sequence[Told] = ()) -> None:
        self.agent = agent
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Fails with the StateError that no waiting mends."""
        self.trouble: StateError | None = None
        """Why nothing can be begun at the moment: a full disk, a state that another program has locked."""
        self.looked_at: float | None = None
        """When the last look was, by the clock that never jumps."""
        self._told = told
        self._agenda = self._new_agenda()
        self._fleet = Fleet(
            self._find,
            places=agent.sites_at_once,
            told=self._tell,
            failed=self._failed,
            ended=self._put_back,
        )

    @property
    def in_hand(self) -> int:
        return self._fleet.in_hand

    @property
    def waiting(self) -> int:
        return self._fleet.waiting

    def uses(self, agent: Agent) -> bool:
        """Whether anything in hand was begun by this agent."""
        return agent is self.agent or self._fleet.uses(agent.ports)

    def look(self) -> None:
        """Begin everything that is due at this moment, as far as places are free; the rest has its turn after it."""
        clock = self.agent.ports.clock
        self.looked_at = clock.monotonic()
        try:
            for site in self._agenda.due(clock.now()):
                self._fleet.add(site, doubtful=self._agenda.is_doubtful(site))
        except StateError as error:
            self._failed(error)

    def ask(self, site: str) -> asyncio.Future[Outcome]:
        """Bring a site up to date now, before all others; what is in hand or asked for already is not doubled.

        The outcome comes when it comes, and is cancelled when the site is taken out of the settings meanwhile.
        Raises UsageError for a site that is not configured.
        """
        self.must_know(site)
        return self._fleet.add(site, asked=True)

    def must_know(self, site: str) -> None:
        """Raises UsageError for a site that is not configured."""
        if site not in self._agenda:
            raise UsageError(
                f"the daemon knows no site that is called {site!r}",
                reason="usage",
                hint="Name it in the daemon's settings; it reads them again on SIGHUP.",
            )

    def renew(self, agent: Agent) -> None:
        """Go on with another agent: new sites are begun at the next look, what is in hand ends as it began."""
        self.agent = agent
        self._fleet.places = agent.sites_at_once
        self._agenda = self._new_agenda()

    async def end(self, *, within_seconds: float) -> None:
        """Begin nothing more; what is in hand may end by itself, what takes longer is cancelled."""
        await self._fleet.drain(within_seconds)

    def _new_agenda(self) -> Agenda:
        return Agenda(self.agent.sites, self.agent.moments, self.agent.ledger)

    def _find(self, site: str, asked: bool) -> tuple[Work, Ports] | None:
        work = self._agenda.work_for(site, asked=asked, now=self.agent.ports.clock.now())
        return (work, self.agent.ports) if work else None

    def _put_back(self, site: str) -> None:
        try:
            self._agenda.put(site, now=self.agent.ports.clock.now())
        except StateError as error:
            self._failed(error)

    def _tell(self, outcome: Outcome) -> None:
        if self.trouble:
            self.trouble = None
            log.info(events.STATE_RECOVERED, message="the state can be written again")
        for told in (self.agent.told, *self._told):
            told(outcome)

    def _failed(self, error: StateError) -> None:
        """What may pass, a full disk among it, is tried again at each look; anything else ends the daemon."""
        if not (error.transient or error.reason == STATE_FULL):
            if not self.broken.done():
                self.broken.set_exception(error)
            return
        if self.trouble is None:
            log.error(events.STATE_DEGRADED, message=error.message, reason=error.reason, hint=error.hint)
        self.trouble = error
        self._fleet.forget_waiting()
        self._agenda = self._new_agenda()
