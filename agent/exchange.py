"""What observers are told of each request: logs and metrics learn of it without touching the transport."""

from collections.abc import Callable
from dataclasses import dataclass, field

from agent.errors import AgentError


@dataclass(frozen=True, slots=True)
class Exchange:
    """What an observer is told of each request, answered or not."""

    peer: str
    method: str
    url: str
    status: int | None
    duration_seconds: float
    request_body: bytes = field(repr=False, default=b"")
    answer_body: bytes = field(repr=False, default=b"")
    error: AgentError | None = None
    retry_of: str | None = None
    """Why the request is sent once more, in one word; None the first time."""


Observer = Callable[[Exchange], None]
