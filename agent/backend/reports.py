"""Runs, told to a backend that wants to know: how they ended, and what to do where they failed."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from agent.backend.offers import Offers, note_failure
from agent.clock import Clock
from agent.errors import BackendError
from agent.outages import Turn, kind_of
from agent.outcome import Outcome
from agent.schedule import DailyMoment, slot_at
from agent.state.records import Result

QUEUED = 256
"""Reports that wait to be sent; what comes on top of them is told by the log alone."""

@dataclass(frozen=True, slots=True)
class _Report:
    outcome: Outcome
    news: tuple[date, str]
    started_at: datetime
    finished_at: datetime


class Reports:
    """Each delivery is told, and of a failing site one failure of a kind in each slot: it tries a hundred times a day."""

    def __init__(self, offers: Offers, moments: Mapping[str, DailyMoment], *, clock: Clock) -> None:
        self._offers, self._moments, self._clock = offers, moments, clock
        self._queue: asyncio.Queue[_Report] = asyncio.Queue(QUEUED)
        self._failing: dict[str, tuple[date, str]] = {}
        """What was last told of the sites that fail."""

    def hear(self, outcome: Outcome, turn: Turn | None = None) -> None:
        """Queue what is worth telling; never waits."""
        moment = self._moments.get(outcome.site)  # None for a site that was taken out of the settings meanwhile
        if moment is None or not self._offers.runs:
            return
        now = self._clock.now()
        news = slot_at(moment, now).day, kind_of(outcome.error)
        if outcome.result is Result.DELIVERED:
            self._failing.pop(outcome.site, None)
        elif self._failing.get(outcome.site) == news:
            return
        else:
            self._failing[outcome.site] = news
        started_at = now - timedelta(seconds=outcome.duration_seconds)
        with suppress(asyncio.QueueFull):
            self._queue.put_nowait(_Report(outcome, news, started_at, now))

    async def send_all(self) -> None:
        """Send what comes, one after another, until cancelled."""
        while True:
            report = await self._queue.get()
            try:
                await self._offers.report(report.outcome, started_at=report.started_at, finished_at=report.finished_at)
            except BackendError as error:
                note_failure("runs", error)
                if self._failing.get(report.outcome.site) == report.news:
                    del self._failing[report.outcome.site]  # nobody knows of it: the next one like it is told
            finally:
                self._queue.task_done()

    async def sent(self) -> None:
        await self._queue.join()


@asynccontextmanager
async def open_reports(
    offers: Offers, moments: Mapping[str, DailyMoment], *, clock: Clock, patience_seconds: float
) -> AsyncIterator[Reports]:
    """Reports are sent within the block, and at its end for so long at most."""
    reports = Reports(offers, moments, clock=clock)
    sending = asyncio.create_task(reports.send_all(), name="reports")
    try:
        yield reports
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_seconds):
                await reports.sent()
    finally:
        sending.cancel()
        await asyncio.wait({sending})
