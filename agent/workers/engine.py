"""The engine of a fleet: Procrastinate, which wakes workers on PostgreSQL. It decides nothing.

Each site that is due is a job until a worker takes it up; what becomes of a job is of no consequence. A job
that is lost, doubled or late changes nothing but the moment at which somebody looks: the ledger says what is
due, and the planner looks again every few seconds.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final
from zlib import crc32

from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager
from psycopg import Error as PostgresError
from psycopg_pool import PoolTimeout

from agent.crowds import SITES_PER_SERVER
from agent.state.fleet_store import KEEPALIVES, OPTIONS
from agent.state.sites import FIRST, USUAL, Due

SYNC_QUEUE: Final = "sync"
PLAN_QUEUE: Final = "plan"
SYNC_TASK: Final = "sync_site"
EVERY_TEN_SECONDS: Final = "* * * * * */10"
STALLED_SECONDS = 45.0
"""So long after its worker's last sign of life a job is nobody's."""
POLL_SECONDS = 1.0
STOP_SECONDS = 1.0

CONNECTIONS = 6
CONNECTION_SECONDS = 3.0

Wake = Callable[[str], Awaitable[None]]
"""Has a site brought up to date if anything is due, and returns when that has ended."""
Plan = Callable[[], Awaitable[None]]


class EngineLost(Exception):
    """The engine has no database any more, or has stopped by itself."""


class Jobs(JobManager):
    """Procrastinate's own, except that an end which could not be written is noticed.

    Such a job would be at work for as long as its worker lives, and its lane closed.
    """

    def __init__(self, connector: PsycopgConnector) -> None:
        super().__init__(connector)
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Fails when this engine has to begin anew."""

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:
        try:
            await super().finish_job(job, status, delete_job)
        except ConnectorException as error:
            if not self.lost.done():
                self.lost.set_exception(error)

    async def end_stalled(self, job: Job) -> None:
        with suppress(ConnectorException):  # another planner was a moment faster
            await super().finish_job(job, Status.FAILED, delete_job=True)


class Engine:
    """The queue, and this worker's part in it."""

    def __init__(self, app: App, jobs: Jobs) -> None:
        self._app, self._jobs = app, jobs

    async def wake(self, sites: Sequence[Due]) -> int:
        """Have these sites taken up by whoever is free; how many have joined the queue."""
        defer = self._app.tasks[SYNC_TASK].configure
        jobs = [
            defer(
                lock=lane_of(site), queueing_lock=site.name, priority=FIRST if site.asked else USUAL,
                task_kwargs={"site": site.name},
            ).job
            for site in sites
        ]  # fmt: skip
        try:
            return len(await self._jobs.batch_defer_jobs_async(jobs)) if jobs else 0
        except AlreadyEnqueued:
            return 0  # another planner was a moment faster; what it left out has its turn at the next pass

    async def clear_away(self) -> int:
        """End the jobs of workers that are gone, so that nothing waits behind them; how many."""
        stalled = list(await self._jobs.get_stalled_jobs(seconds_since_heartbeat=STALLED_SECONDS))
        for job in stalled:
            await self._jobs.end_stalled(job)
        return len(stalled)

    async def work(self, *, jobs_at_once: int) -> None:
        """Take up what is queued, until cancelled. Raises EngineLost when the database is gone."""
        planning = self._run([PLAN_QUEUE], concurrency=1)
        syncing = self._run([SYNC_QUEUE], concurrency=jobs_at_once)
        async with asyncio.TaskGroup() as both:
            both.create_task(planning, name="planning")
            both.create_task(syncing, name="syncing")
            await self._jobs.lost

    async def _run(self, queues: list[str], *, concurrency: int) -> None:
        await self._app.run_worker_async(
            queues=queues,
            concurrency=concurrency,
            fetch_job_polling_interval=POLL_SECONDS,
            listen_notify=False,  # of thousands of new jobs each worker would be told, one by one
            delete_jobs="always",
            install_signal_handlers=False,
            shutdown_graceful_timeout=STOP_SECONDS,
            stalled_worker_timeout=STALLED_SECONDS,
        )
        raise EngineLost("it stopped by itself")  # as it does when one of its own tasks has failed


@asynccontextmanager
async def open_engine(url: str, *, wake: Wake, plan: Plan) -> AsyncIterator[Engine]:
    """The engine on this database, whose tables are there already. Raises EngineLost."""
    # Their lines repeat ours.
    for name in ("procrastinate", "psycopg.pool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    connector = PsycopgConnector(
        conninfo=url,
        kwargs={"options": OPTIONS, "application_name": "wpsa engine", **KEEPALIVES},
        min_size=1,
        max_size=CONNECTIONS,
        timeout=CONNECTION_SECONDS,
    )
    app = App(connector=connector)
    app.job_manager = jobs = Jobs(connector)

    @app.task(name=SYNC_TASK, queue=SYNC_QUEUE)
    async def sync_site(site: str) -> None:
        await wake(site)

    @app.periodic(cron=EVERY_TEN_SECONDS)
    @app.task(name="plan", queue=PLAN_QUEUE, queueing_lock="plan")
    async def look(timestamp: int) -> Any:
        await plan()

    with _lost():
        async with app.open_async():
            yield Engine(app, jobs)


@contextmanager
def _lost() -> Iterator[None]:
    """Everything that a missing database does to the engine, as one error."""
    try:
        yield
    except* (ConnectorException, PostgresError, PoolTimeout, EngineLost) as group:
        first: BaseException = group
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        cause = first.__cause__ or first
        raise EngineLost((str(cause).strip() or type(cause).__name__).splitlines()[0]) from group


def lane_of(site: Due) -> str:
    """Sites of one server share a few lanes, in each of which one goes at a time, over all workers."""
    return f"{site.origin} {crc32(site.name.encode()) % SITES_PER_SERVER}"
