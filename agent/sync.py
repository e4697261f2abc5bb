"""The story of one site: read it, owe it, deliver it, and say how it went.

Everything else in this package serves these functions. They cannot name SQLite, httpx or
WordPress: they know their collaborators by the Protocols below.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Protocol

from agent.clock import Clock
from agent.errors import (
    AgentError,
    BackendError,
    BackendPaused,
    ContractBroken,
    CredentialsRefused,
    IntegrationNotFound,
    SiteError,
    StateFull,
)
from agent.outcome import PENDING, Outcome
from agent.retry import DELIVERY, HELD, HELD_BY_CONNECTION, HELD_BY_CREDENTIAL
from agent.state.records import Delivery, Receipt, Result, Run, RunRow, Trigger
from agent.structure.build import build_structure
from agent.structure.chosen import chosen_in
from agent.structure.diff import Changes
from agent.structure.guard import refuse_lesser_view, refuse_suspicious_shrink
from agent.structure.model import Answers, Choices, Chosen, Site, Structure


class Reader(Protocol):
    async def read(self, site: Site, *, remembered_root: str | None = None) -> Answers:
        """Raises SiteError."""
        ...


class Backend(Protocol):
    async def push(self, delivery: Delivery) -> Receipt:
        """Idempotent. Raises BackendError."""
        ...

    async def still_shows(self, delivery: Delivery) -> bool:
        """Whether the backend shows a document that it has acknowledged. Raises BackendError."""
        ...


class State(Protocol):
    """What must not be lost; each call is one transaction. Raises StateError."""

    def take(self, site: str) -> bool: ...
    def give_back(self, site: str) -> None: ...
    def begin(self, site: str, *, trigger: Trigger, day: date, at: datetime) -> Run: ...
    def record_unread(self, run: Run, error: AgentError, *, at: datetime, next_at: datetime) -> None: ...
    def record_crash(self, site: str, error: AgentError, *, at: datetime, next_at: datetime) -> None: ...
    def owe(self, run: Run, structure: Structure, *, at: datetime) -> tuple[Delivery, Changes]: ...
    def record_receipt(self, delivery: Delivery, receipt: Receipt, *, at: datetime) -> None: ...
    def record_failure(self, delivery: Delivery, error: AgentError, *, at: datetime, next_at: datetime) -> None: ...
    def owed_to(self, site: str) -> Delivery | None: ...
    def record_look(self, delivery: Delivery, *, at: datetime) -> None: ...
    def owe_again(self, delivery: Delivery, *, at: datetime) -> Delivery | None: ...
    def runs(self, site: str, *, limit: int) -> Sequence[RunRow]: ...


ALTERNATIONS, OF_RUNS = 3, 12
"""So often among so many runs the backend went back to another structure, and no late arrival explains it."""


async def nothing_chosen(site: str) -> Chosen | None:
    """Of a backend where nobody can choose."""
    return {}


@dataclass(frozen=True, slots=True)
class Ports:
    """The collaborators of the story."""

    reader: Reader
    backend: Backend
    state: State
    clock: Clock
    choices_for: Callable[[str], Choices]
    """By the site's name."""
    chosen: Callable[[str], Awaitable[Chosen | None]] = nothing_chosen
    """What people chose at the backend for a site; None when it cannot say so now. Raises nothing."""


@dataclass(frozen=True, slots=True)
class Task:
    """One site to bring up to date now."""

    site: Site
    day: date
    """Of the slot that this run serves."""
    trigger: Trigger
    failures: int = 0
    """Readings that failed in this slot before."""


async def read_site(site: Site, *, reader: Reader, choices: Choices) -> Structure:
    """The site's structure, pushed nowhere and stored nowhere. Raises SiteError."""
    return build_structure(await reader.read(site), choices=choices, last_known={})


async def sync_site(task: Task, ports: Ports) -> Outcome:
    """Bring the backend up to date with one site.

    Every expected failure becomes an Outcome; only a bug or a broken state escapes. The document
    is owed before it is sent, so a crash at any line loses nothing and repeats at most one push.
    """
    site, clock = task.site, ports.clock
    started = clock.monotonic()
    run = ports.state.begin(site.name, trigger=task.trigger, day=task.day, at=clock.now())
    try:
        answers = await ports.reader.read(site, remembered_root=run.before.get("rest_root"))
        refuse_lesser_view(answers, before=run.before)
        refuse_suspicious_shrink(answers, before=run.slugs, doubt=run.doubt)
        choices = replace(ports.choices_for(site.name), chosen=await _chosen(run, ports))
        structure = build_structure(answers, choices=choices, last_known=run.last_known)
    except SiteError as error:
        next_at = next_try(error, failures=task.failures + 1, clock=clock)
        ports.state.record_unread(run, error, at=clock.now(), next_at=next_at)
        return Outcome(site.name, Result.UNREADABLE, clock.monotonic() - started, error)

    delivery, changes = ports.state.owe(run, structure, at=clock.now())
    result, failure, receipt = await deliver(delivery, ports)
    return Outcome(site.name, result, clock.monotonic() - started, failure, structure, receipt, changes)


async def _chosen(run: Run, ports: Ports) -> Chosen:
    """What people chose at the backend: as it says now, else as it said when the newest structure was read."""
    said_now = await ports.chosen(run.site)
    return said_now if said_now is not None else chosen_in(run.before) or {}


async def deliver(delivery: Delivery, ports: Ports) -> tuple[Result, AgentError | None, Receipt | None]:
    """Send one owed document; the outbox hears the answer either way. The first try and the tenth are alike."""
    try:
        receipt = await ports.backend.push(delivery)
    except BackendError as error:
        tries = delivery.failures + (not isinstance(error, BackendPaused))
        next_at = next_try(error, failures=tries, clock=ports.clock)
        with suppress(StateFull):  # it is owed as before, and tried again a little sooner
            ports.state.record_failure(delivery, error, at=ports.clock.now(), next_at=next_at)
        return (Result.PENDING if error.transient else Result.HELD), error, None
    try:
        ports.state.record_receipt(delivery, receipt, at=ports.clock.now())
    except StateFull as full:
        # It is owed as before: the repeat changes nothing there, and a success that is not written down is none.
        full.exit_code = PENDING
        return Result.PENDING, full, None
    return Result.DELIVERED, None, receipt


async def redeliver(delivery: Delivery, ports: Ports) -> Outcome | None:
    """Take up what an earlier run left: a document that it could not deliver, or one that may have been undone since.

    None when nothing had to be sent: the backend still shows it, or a newer one has taken its place.
    """
    started = ports.clock.monotonic()
    again = await _look_back(delivery, ports) if delivery.to_check else ports.state.owed_to(delivery.site)
    if again is None or not (delivery.to_check or again.generation == delivery.generation):
        return None
    if delivery.to_check and (rival := _second_agent(delivery.site, ports)):
        now = ports.clock.now()
        ports.state.record_failure(again, rival, at=now, next_at=next_try(rival, failures=1, clock=ports.clock))
        return Outcome(delivery.site, Result.HELD, ports.clock.monotonic() - started, rival)
    result, error, receipt = await deliver(again, ports)
    return Outcome(delivery.site, result, ports.clock.monotonic() - started, error, receipt=receipt)


async def _look_back(delivery: Delivery, ports: Ports) -> Delivery | None:
    """What has to be sent once more, because the backend no longer shows it; None as a rule."""
    try:
        if not await ports.backend.still_shows(delivery):
            return ports.state.owe_again(delivery, at=ports.clock.now())
    except BackendPaused:
        return None
    except BackendError:
        pass  # no answer is no reason to doubt the acknowledgement
    ports.state.record_look(delivery, at=ports.clock.now())
    return None


def _second_agent(site: str, ports: Ports) -> BackendError | None:
    """What went back once was late. What goes back again and again is put back by somebody."""
    triggers = [run.trigger for run in ports.state.runs(site, limit=OF_RUNS)]
    if triggers.count(Trigger.LATE_ARRIVAL) < ALTERNATIONS:
        return None
    return ContractBroken(
        f"{site}: the backend went back to another structure {ALTERNATIONS} times: a second agent pushes there",
        reason="instance_clone",
        hint="See that no copy of this agent, or of its state, runs elsewhere; then it goes on by itself within the hour.",
    )


def next_try(error: AgentError, *, failures: int, clock: Clock) -> datetime:
    """When to try again by itself: soon for what may pass, once an hour or less often for what needs a person."""
    return clock.now() + timedelta(seconds=_wait_seconds(error, failures, clock))


def _wait_seconds(error: AgentError, failures: int, clock: Clock) -> float:
    match error:
        case BackendPaused(retry_after_seconds=float(pause)):
            return pause
        case CredentialsRefused():
            return HELD_BY_CREDENTIAL.ceiling_seconds(failures)
        case IntegrationNotFound():
            return HELD_BY_CONNECTION.ceiling_seconds(failures)
        case AgentError(transient=True):
            return DELIVERY.wait_seconds(
                failures, random=clock.random, retry_after_seconds=error.retry_after_seconds
            )
        case _:
            return HELD.ceiling_seconds(failures)
