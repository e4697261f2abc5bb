"""The catalogue of log events: noun.verb_past, and the sentence that people read beside it."""

from typing import Final

RUN_FINISHED: Final = "run.finished"
REQUEST_FINISHED: Final = "request.finished"
AGENT_STARTED: Final = "agent.started"
AGENT_STOPPED: Final = "agent.stopped"
HUB_STARTED: Final = "hub.started"

SENTENCES: Final = {
    "delivered": "structure synced successfully",
    "pending": "structure read, delivery pending",
    "held": "structure read, delivery waits for somebody",
    "unreadable": "site could not be read",
    "crashed": "internal error",
}
"""By a run's result."""
