"""How one run ended: the one value that the log line, the report and the exit code are made of."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from agent.errors import AgentError
from agent.state.records import Receipt, Result
from agent.structure.diff import Changes
from agent.structure.model import Structure

PARTIAL = 3
INTERNAL = 70
PENDING = 75


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run ended."""

    site: str
    result: Result
    duration_seconds: float
    error: AgentError | None = None
    structure: Structure | None = field(default=None, repr=False)
    receipt: Receipt | None = None
    changes: Changes = Changes()

    @property
    def exit_code(self) -> int:
        match self.result:
            case Result.DELIVERED:
                return 0
            case Result.PENDING if self.error is None:
                return PENDING
            case Result.PENDING | Result.HELD | Result.UNREADABLE if self.error:
                return self.error.exit_code
            case _:
                return INTERNAL


def exit_code_of(codes: Iterable[int]) -> int:
    """One site: its own code. Several: 0 when all are done, the common code when all failed alike,
    75 when nothing failed but something is pending, else 3."""
    different = set(codes)
    if len(different) <= 1:
        return different.pop() if different else 0
    return PENDING if different <= {0, PENDING} else PARTIAL


# Of several causes at one site, the one to mend first.
_MEND_FIRST = (78, 77, 76, 65, 69, 75)


def worst_exit_code(codes: Sequence[int]) -> int:
    """The code of several findings together: the first of 78, 77, 76, 65, 69, 75 that occurs, else any, else 0."""
    return next((code for code in _MEND_FIRST if code in codes), max(codes, default=0))
