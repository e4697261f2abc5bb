"""The catalogue of log events: noun.verb_past, and the sentence that people read beside it."""

from typing import Final

RUN_FINISHED: Final = "run.finished"
REQUEST_FINISHED: Final = "request.finished"
SITE_DEGRADED: Final = "site.degraded"
SITE_RECOVERED: Final = "site.recovered"
SITE_QUARANTINED: Final = "site.quarantined"
SITE_FORGOTTEN: Final = "site.forgotten"
LOG_DROPPED: Final = "log.dropped"
NOTIFICATION_FAILED: Final = "notification.failed"
OFFER_FAILED: Final = "offer.failed"
AGENT_STARTED: Final = "agent.started"
AGENT_STOPPED: Final = "agent.stopped"
SETTINGS_RELOADED: Final = "settings.reloaded"
SETTINGS_REFUSED: Final = "settings.refused"
SETTINGS_UNWISE: Final = "settings.unwise"
STATE_DEGRADED: Final = "state.degraded"
STATE_RECOVERED: Final = "state.recovered"
STATE_REBUILT: Final = "state.rebuilt"
CLOCK_WRONG: Final = "clock.wrong"
CLOCK_SET: Final = "clock.set"
CATCH_UP_STARTED: Final = "catchup.started"
DESCRIPTORS_SCARCE: Final = "descriptors.scarce"
ENGINE_LOST: Final = "engine.lost"
WORKER_DIED: Final = "worker.died"
WORKER_REVIVED: Final = "worker.revived"
OPERATIONS_STARTED: Final = "operations.started"
OPERATIONS_MISSING: Final = "operations.missing"
BUG_UNCAUGHT: Final = "bug.uncaught"
LOOP_STALLED: Final = "loop.stalled"
HUB_STARTED: Final = "hub.started"

SENTENCES: Final = {
    "delivered": "structure synced successfully",
    "pending": "structure read, delivery pending",
    "held": "structure read, delivery waits for somebody",
    "unreadable": "site could not be read",
    "crashed": "internal error",
}
"""By a run's result."""
