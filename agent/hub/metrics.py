"""What a monitor reads of the hub, in a registry of its own. With several processes each counts its own requests."""

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_requests = CollectorRegistry()
_duration = Histogram(
    "wpsa_hub_request_duration_seconds",
    "Answers by this process, by door (api or pages) and class of status.",
    ("door", "status_class"),
    registry=_requests,
)


def observe_request(path: str, status: int, seconds: float) -> None:
    door = "api" if path.startswith("/api/") else "pages"
    _duration.labels(door, f"{status // 100}xx").observe(seconds)


def exposition(
    sites: Mapping[str, int], *, open_sync_requests: int, oldest_fetch_age_seconds: float, version: str
) -> bytes:
    """All metrics as text.

    sites   by state of freshness, of all owners together: no name of a site or a person is told
    """
    now = CollectorRegistry()
    by_state = Gauge("wpsa_hub_sites", "Sites by freshness of their structure.", ("state",), registry=now)
    for state, number in sites.items():
        by_state.labels(state).set(number)
    Gauge("wpsa_hub_sync_requests_open", "Requests for a sync that no agent has finished.", registry=now).set(
        open_sync_requests
    )
    Gauge("wpsa_hub_oldest_structure_age_seconds", "Age of the oldest structure.", registry=now).set(
        oldest_fetch_age_seconds
    )
    Gauge("wpsa_hub_build_info", "Always 1.", ("version",), registry=now).labels(version).set(1)
    return generate_latest(now) + generate_latest(_requests)
