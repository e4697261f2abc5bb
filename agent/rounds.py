"""The agent at work: looks at its sites again and again, starts what is due, and takes what it is asked."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

import structlog

from agent.agenda import Agenda
from agent.bootstrap import Agent
from agent.bulkhead import Work
from agent.errors import StateError, UsageError
from agent.fleet import Fleet, Told
from agent.outcome import Outcome
from agent.schedule import EARLIEST
from agent.state.removed import Removed
from agent.sync import Ports
from agent.telemetry import events

STATE_FULL = "state_full"

log = structlog.stdlib.get_logger("agent")


class Order(Protocol):
    """What each site wants next, and when: `agenda.Agenda` says how."""

    @property
    def catching_up(self) -> int: ...
    def __contains__(self, site: str, /) -> bool: ...
    def named(self) -> Iterable[str]: ...
    def due(self, now: datetime) -> list[str]: ...
    def work_for(self, site: str, *, asked: bool, now: datetime) -> Work | None: ...
    def is_doubtful(self, site: str) -> bool: ...
    def put(self, site: str, *, now: datetime) -> None: ...


class Rounds:
    """One look after another, none of which waits for what the one before has begun.

    told     hear of each outcome, besides those whom the agent tells
    agenda   which many workers share; None for one of its own
    """

    def __init__(self, agent: Agent, *, told: Sequence[Told] = (), agenda: Order | None = None) -> None:
        self.agent = agent
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Fails with the StateError that no waiting mends."""
        self.trouble: StateError | None = None
        """Why nothing can be begun at the moment: a full disk, a state that another program has locked."""
        self.is_adrift = False
        """The clock cannot be right, and nothing is begun by the calendar."""
        self.looked_at: float | None = None
        """When the last look was, by the clock that never jumps."""
        self._failed_since_look = False
        self._told = told
        self._shared = agenda
        self._agenda = self._new_agenda()
        self._removed = Removed(agent.ledger.store)
        self._fleet = Fleet(
            self._find,
            places=agent.sites_at_once,
            told=self._tell,
            failed=self.fail,
            ended=self._put_back,
            locate=lambda host: self.agent.locate(host),  # noqa: PLW0108 - the agent of that moment
            most=agent.most_in_hand,
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
        self.looked_at = self.agent.ports.clock.monotonic()
        if not self._failed_since_look:
            self._recover_if_writable()
        self._failed_since_look = False
        if self._has_a_calendar():
            self.begin_due()
            self._forget_removed()

    def _has_a_calendar(self) -> bool:
        """Whether the clock can be right: one that was never set would give each structure a date of its own."""
        now = self.agent.ports.clock.now()
        is_right = now >= EARLIEST
        if is_right and self.is_adrift:
            log.info(events.CLOCK_SET, message="the clock is set, the schedule goes on")
        elif not is_right and not self.is_adrift:
            message = f"the clock says {now:%Y-%m-%d}, so nothing is begun"
            log.error(events.CLOCK_WRONG, message=message, hint="Set this machine's clock; the schedule goes on by itself.")
        self.is_adrift = not is_right
        return is_right

    def begin_due(self) -> None:
        """As at a look; also when somebody else has news of the state, which is no sign that anybody looks."""
        clock, late = self.agent.ports.clock, self._agenda.catching_up
        try:
            for site in self._agenda.due(clock.now()):
                self.take_turn(site)
            if self._agenda.catching_up > late:
                log.info(
                    events.CATCH_UP_STARTED,
                    message="many sites are late, and have their turn one after another",
                    sites=self._agenda.catching_up,
                )
            if self._shared:
                self._recover_if_writable()  # it has said itself that it is there
        except StateError as error:
            self.fail(error)

    def _forget_removed(self) -> None:
        try:
            for site in self._removed.forget(self._agenda.named, at=self.agent.ports.clock.now()):
                log.info(events.SITE_FORGOTTEN, message="a site that nobody names any more is forgotten", site=site)
        except StateError as error:
            self.fail(error)

    def ask(self, site: str) -> asyncio.Future[Outcome]:
        """Bring a site up to date now, before all others; what is in hand or asked for already is not doubled.

        The outcome comes when it comes, and is cancelled when the site is taken out of the settings meanwhile.
        Raises UsageError for a site that is not configured.
        """
        self.must_know(site)
        return self._fleet.add(site, asked=True)

    def take_turn(self, site: str) -> asyncio.Future[Outcome]:
        """Do what is due for a site, when a place is free for it; cancelled when nothing is."""
        return self._fleet.add(site, doubtful=self._agenda.is_doubtful(site))

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
        self._fleet.places, self._fleet.most = agent.sites_at_once, agent.most_in_hand
        self._agenda = self._new_agenda()

    async def end(self, *, within_seconds: float) -> None:
        """Begin nothing more; what is in hand may end by itself, what takes longer is cancelled."""
        await self._fleet.drain(within_seconds)

    def _new_agenda(self) -> Order:
        return self._shared or Agenda(self.agent.sites, self.agent.moments, self.agent.ledger)

    def _find(self, site: str, asked: bool) -> tuple[Work, Ports] | None:
        if not self.agent.ledger.take(site):
            return None
        try:
            work = self._agenda.work_for(site, asked=asked, now=self.agent.ports.clock.now())
        except StateError:
            self.agent.ledger.give_back(site)
            raise
        return (work, self.agent.ports) if work else None

    def _put_back(self, site: str) -> None:
        try:
            try:
                self._agenda.put(site, now=self.agent.ports.clock.now())
            finally:
                self.agent.ledger.give_back(site)
        except StateError as error:
            self.fail(error)

    def _tell(self, outcome: Outcome) -> None:
        if isinstance(outcome.error, StateError):
            self.fail(outcome.error)
        for told in (self.agent.told, *self._told):
            told(outcome)

    def _recover_if_writable(self) -> None:
        """A small write may succeed where all else is refused, so nothing may have failed lately besides."""
        if self.trouble is None:
            return
        try:
            self.agent.ledger.prove_writable()
        except StateError as error:
            self.fail(error)
        else:
            self.trouble = None
            log.info(events.STATE_RECOVERED, message="the state can be written again")

    def fail(self, error: StateError) -> None:
        """What may pass, a full disk among it, is tried again at each look; anything else ends the daemon."""
        if not (error.transient or error.reason == STATE_FULL):
            if not self.broken.done():
                self.broken.set_exception(error)
            return
        self._failed_since_look = True
        if self.trouble is None:
            log.error(events.STATE_DEGRADED, message=error.message, reason=error.reason, hint=error.hint)
        self.trouble = error
        self._fleet.forget_waiting()
        self._agenda = self._new_agenda()
