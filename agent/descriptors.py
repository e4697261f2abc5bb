"""The system's limit of open files: raised as far as it may be, and lived within."""

import resource

import structlog

from agent.faults import RAISE_LIMIT
from agent.fleet import SLOW_PER_PLACE
from agent.settings import ReadingSettings
from agent.telemetry import events

RESERVED = 96
"""For all that is no site: state and log, the backend, names that are asked for, and the operations endpoint. Of a
limit that is lower than twice that, half."""

log = structlog.stdlib.get_logger("agent")


def most_in_hand(sites: int, reading: ReadingSettings) -> int:
    """How many sites may be in hand at once, those beside the places among them; at least one.

    sites   how many there are; 0 where that is not known, and may change
    """
    most = reading.sites_at_once * (1 + SLOW_PER_PLACE)
    most = min(sites, most) if sites else most
    wanted = most * reading.connections + RESERVED
    limit = _raised_to(wanted)
    fitting = max(1, (limit - min(RESERVED, limit // 2)) // reading.connections)
    if fitting < most:
        log.warning(
            events.DESCRIPTORS_SCARCE,
            message="fewer sites at once than wanted, for the limit of open files is low",
            reason="fd_pressure",
            limit=limit,
            wanted=wanted,
            sites_at_once=fitting,
            hint=RAISE_LIMIT,
        )
    return min(most, fitting)


def _raised_to(wanted: int) -> int:
    """The limit of this process: as wanted, if the system's hard limit lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted or soft == resource.RLIM_INFINITY:
        return wanted
    raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
    return raised
