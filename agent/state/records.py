"""What the state holds, as frozen values without SQL."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from agent.structure.build import LastKnown
from agent.structure.model import Family


class Trigger(StrEnum):
    """Why a run began."""

    SCHEDULE = "schedule"
    DEMAND = "demand"


class Result(StrEnum):
    """How a run ended."""

    DELIVERED = "delivered"
    """The backend acknowledged the structure."""
    PENDING = "pending"
    """Durable and owed; it is sent again by itself."""
    HELD = "held"
    """Durable and owed; somebody has to do something first."""
    UNREADABLE = "unreadable"
    """The site could not be read; nothing was pushed."""
    CRASHED = "crashed"
    """A bug."""
    INTERRUPTED = "interrupted"
    """The process ended in the middle; the next start takes it up again."""


class SlotState(StrEnum):
    OPEN = "open"
    OWED = "owed"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Run:
    """A run that has begun, with what the state knew of its site before."""

    id: int
    site: str
    last_known: LastKnown = field(repr=False)
    before: Mapping[str, Any] = field(repr=False, default_factory=dict)
    """The provenance of the newest structure of this site; empty when there is none yet."""
    slugs: frozenset[tuple[Family, str]] = frozenset()
    """The content types of that structure."""
    doubted_at: datetime | None = None
    """When the last reading was refused as a suspicious shrink, if it was."""


@dataclass(frozen=True, slots=True)
class SlotRow:
    """The newest slot in hand of one site."""

    site: str
    day: date
    state: SlotState
    failures: int
    next_at: datetime | None
    """When a failed reading is tried again."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One owed document: the bytes and the key that every try repeats."""

    site: str
    generation: int
    body: bytes = field(repr=False)
    body_sha256: str
    idempotency_key: str
    failures: int
    owed_at: datetime
    next_at: datetime
    held: bool = False
    reason: str | None = None
    message: str | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """The backend's acknowledgement of one delivery."""

    integration_id: str
    verified: bool = False
    """True when the structure was read back and compared."""


@dataclass(frozen=True, slots=True)
class RunRow:
    """One execution for one site."""

    id: int
    site: str
    trigger: str
    started_at: datetime
    finished_at: datetime | None
    result: Result | None
    reason: str | None
    message: str | None
    hint: str | None
    generation: int | None
    integration_id: str | None
    provenance: Mapping[str, Any] | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One past structure of a site."""

    site: str
    generation: int
    digest: str
    fetched_at: datetime
    delivered_at: datetime | None
    document: Mapping[str, Any] = field(repr=False)
    changes: Mapping[str, list[str]]
