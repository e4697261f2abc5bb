"""What the state holds, as frozen values without SQL."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

from agent.structure.build import LastKnown
from agent.structure.guard import Doubt
from agent.structure.model import Family


class Trigger(StrEnum):
    """Why a run began."""

    SCHEDULE = "schedule"
    DEMAND = "demand"
    LATE_ARRIVAL = "late_arrival"
    """The backend went back to an older structure, which had been on its way to it."""


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
    newest: "Snapshot | None" = None
    """The newest structure of this site."""
    before: Mapping[str, Any] = field(repr=False, default_factory=dict)
    """Its provenance; empty when there is none yet."""
    doubt: Doubt | None = None
    """About the last reading, where it was refused as a suspicious shrink."""

    @property
    def slugs(self) -> frozenset[tuple[Family, str]]:
        """The content types of the newest structure."""
        return self.newest.slugs if self.newest else frozenset()


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
    """Whether somebody has to do something first."""
    quarantined: bool = False
    """Held, and never sent again as it is: the next slot's document takes its place."""
    to_check: bool = False
    """It was delivered; the question is whether the backend still shows it."""
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

    @property
    def slugs(self) -> frozenset[tuple[Family, str]]:
        return frozenset((family, slug) for family in Family for slug in self.document[family.key])


def row_sha256(*values: str | int) -> str:
    """The checksum of what never changes in a row, in the order of its columns."""
    return sha256(json.dumps(values).encode()).hexdigest()
