"""The wall between sites: a bug while one is at work is that site's outcome, and no other's."""

from datetime import timedelta
from traceback import format_exception

from agent.errors import AgentError, StateError
from agent.outcome import Outcome
from agent.retry import HELD_SECONDS
from agent.state.records import Delivery, Result
from agent.sync import Ports, Task, redeliver, sync_site

Work = Task | Delivery


class Bug(AgentError):
    """A bug on one site; its traceback goes to the log, and the other sites go on."""

    exit_code = 70

    def __init__(self, error: Exception) -> None:
        scarce = isinstance(error, MemoryError)
        super().__init__(
            f"internal error: {type(error).__name__}",
            reason="oom_guard" if scarce else "bug",
            hint="Allow the agent more memory, or lower WPSA_READING_SITES_AT_ONCE."
            if scarce
            else "Report it with the log's traceback; the other sites are not affected.",
        )
        self.traceback = "".join(format_exception(error))


async def in_bulkhead(work: Work, ports: Ports) -> Outcome | None:
    """One site's bug becomes that site's outcome; None for nothing to tell. The one broad `except` of this package."""
    started = ports.clock.monotonic()
    site = work.site.name if isinstance(work, Task) else work.site
    try:
        return await (sync_site(work, ports) if isinstance(work, Task) else redeliver(work, ports))
    except StateError:
        raise
    except Exception as error:  # noqa: BLE001 - the bulkhead between sites
        bug, now = Bug(error), ports.clock.now()
        ports.state.record_crash(site, bug, at=now, next_at=now + timedelta(seconds=HELD_SECONDS))
        return Outcome(site, Result.CRASHED, ports.clock.monotonic() - started, bug)
