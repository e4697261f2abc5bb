"""The story of one site: read it, owe it, deliver it, and say how it went.

Everything else in this package serves these functions. They cannot name SQLite, httpx or
WordPress: they know their collaborators by the Protocols below.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol

from agent.clock import Clock
from agent.errors import AgentError, BackendError, SiteError
from agent.outcome import Outcome
from agent.retry import DELIVERY, HELD_SECONDS
from agent.state.records import Delivery, Receipt, Result, Run, Trigger
from agent.structure.build import build_structure
from agent.structure.diff import Changes
from agent.structure.guard import refuse_lesser_view, refuse_suspicious_shrink
from agent.structure.model import Answers, Choices, Site, Structure


class Reader(Protocol):
    async def read(self, site: Site, *, remembered_root: str | None = None) -> Answers:
        """Raises SiteError."""
        ...


class Backend(Protocol):
    async def push(self, delivery: Delivery) -> Receipt:
        """Idempotent. Raises BackendError."""
        ...


class State(Protocol):
    """What must not be lost; each call is one transaction. Raises StateError."""

    def begin(self, site: str, *, trigger: Trigger, day: date, at: datetime) -> Run: ...
    def record_unread(self, run: Run, error: AgentError, *, at: datetime, next_at: datetime) -> None: ...
    def record_crash(self, site: str, error: AgentError, *, at: datetime, next_at: datetime) -> None: ...
    def owe(self, run: Run, structure: Structure, *, at: datetime) -> tuple[Delivery, Changes]: ...
    def record_receipt(self, delivery: Delivery, receipt: Receipt, *, at: datetime) -> None: ...
    def record_failure(self, delivery: Delivery, error: AgentError, *, at: datetime, next_at: datetime) -> None: ...


@dataclass(frozen=True, slots=True)
class Ports:
    """The collaborators of the story."""

    reader: Reader
    backend: Backend
    state: State
    clock: Clock
    choices_for: Callable[[str], Choices]
    """By the site's name."""


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
        refuse_suspicious_shrink(answers, before=run.slugs, doubted_at=run.doubted_at)
        structure = build_structure(answers, choices=ports.choices_for(site.name), last_known=run.last_known)
    except SiteError as error:
        next_at = next_try(error, failures=task.failures + 1, clock=clock)
        ports.state.record_unread(run, error, at=clock.now(), next_at=next_at)
        return Outcome(site.name, Result.UNREADABLE, clock.monotonic() - started, error)

    delivery, changes = ports.state.owe(run, structure, at=clock.now())
    result, failure, receipt = await deliver(delivery, ports)
    return Outcome(site.name, result, clock.monotonic() - started, failure, structure, receipt, changes)


async def deliver(delivery: Delivery, ports: Ports) -> tuple[Result, AgentError | None, Receipt | None]:
    """Send one owed document; the outbox hears the answer either way. The first try and the tenth are alike."""
    try:
        receipt = await ports.backend.push(delivery)
    except BackendError as error:
        next_at = next_try(error, failures=delivery.failures + 1, clock=ports.clock)
        ports.state.record_failure(delivery, error, at=ports.clock.now(), next_at=next_at)
        return (Result.PENDING if error.transient else Result.HELD), error, None
    ports.state.record_receipt(delivery, receipt, at=ports.clock.now())
    return Result.DELIVERED, None, receipt


async def redeliver(delivery: Delivery, ports: Ports) -> Outcome:
    """Send a document that an earlier run could not deliver."""
    started = ports.clock.monotonic()
    result, error, receipt = await deliver(delivery, ports)
    return Outcome(delivery.site, result, ports.clock.monotonic() - started, error, receipt=receipt)


def next_try(error: AgentError, *, failures: int, clock: Clock) -> datetime:
    """When to try again by itself: soon for what may pass, once an hour for what needs a person."""
    if not error.transient:
        return clock.now() + timedelta(seconds=HELD_SECONDS)
    wait = DELIVERY.wait_seconds(failures, random=clock.random, retry_after_seconds=error.retry_after_seconds)
    return clock.now() + timedelta(seconds=wait)
