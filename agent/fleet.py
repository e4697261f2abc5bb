"""Many sites: so many at once, and none that can harm another."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from traceback import format_exception
from typing import TypeVar

from agent.errors import AgentError, StateError
from agent.outcome import Outcome
from agent.retry import HELD_SECONDS
from agent.schedule import DailyMoment, is_due, slot_at
from agent.state.records import Delivery, Result, SlotRow, SlotState, Trigger
from agent.structure.model import Site
from agent.sync import Ports, Task, redeliver, sync_site

Told = Callable[[Outcome], None]
"""Hears of each outcome as it comes."""

Work = TypeVar("Work", Task, Delivery)


class Bug(AgentError):
    """A bug on one site; its traceback goes to the log, and the other sites go on."""

    exit_code = 70

    def __init__(self, error: Exception) -> None:
        super().__init__(
            f"internal error: {type(error).__name__}",
            reason="bug",
            hint="Report it with the log's traceback; the other sites are not affected.",
        )
        self.traceback = "".join(format_exception(error))


def due_task(site: Site, moment: DailyMoment, row: SlotRow | None, *, now: datetime) -> Task | None:
    """What to do for a site now by its schedule; None when nothing is due. `row` is its newest slot in hand."""
    slot = slot_at(moment, now)
    if row is None or is_due(slot, row.day):
        return Task(site, slot.day, Trigger.SCHEDULE)
    if row.state is SlotState.OPEN and (row.next_at is None or row.next_at <= now):
        return Task(site, row.day, Trigger.SCHEDULE, failures=row.failures)
    return None


async def sync_all(tasks: Iterable[Task], ports: Ports, *, at_once: int, told: Told) -> list[Outcome]:
    """Sync these sites, `at_once` of them at a time; one outcome each, in their order."""
    return await _each(tasks, lambda task: sync_site(task, ports), at_once=at_once, told=told, ports=ports)


async def redeliver_all(deliveries: Iterable[Delivery], ports: Ports, *, at_once: int, told: Told) -> list[Outcome]:
    """Send these owed documents again."""
    return await _each(deliveries, lambda owed: redeliver(owed, ports), at_once=at_once, told=told, ports=ports)


async def _each(
    works: Iterable[Work],
    work_on: Callable[[Work], Awaitable[Outcome]],
    *,
    at_once: int,
    told: Told,
    ports: Ports,
) -> list[Outcome]:
    places = asyncio.Semaphore(at_once)

    async def one(work: Work) -> Outcome:
        async with places:
            outcome = await _bulkhead(work, work_on, ports)
        told(outcome)
        return outcome

    try:
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(one(work)) for work in works]
    except BaseExceptionGroup as broken:
        # Only a state that cannot be written comes this far: nobody's single fault, so all stop.
        raise broken.exceptions[0] from None
    return [task.result() for task in running]


async def _bulkhead(work: Work, work_on: Callable[[Work], Awaitable[Outcome]], ports: Ports) -> Outcome:
    """One site's bug becomes that site's outcome. The one broad `except` of this package."""
    started = ports.clock.monotonic()
    site = work.site.name if isinstance(work, Task) else work.site
    try:
        return await work_on(work)
    except StateError:
        raise
    except Exception as error:  # noqa: BLE001 - the bulkhead between sites
        bug, now = Bug(error), ports.clock.now()
        ports.state.record_crash(site, bug, at=now, next_at=now + timedelta(seconds=HELD_SECONDS))
        return Outcome(site, Result.CRASHED, ports.clock.monotonic() - started, bug)
