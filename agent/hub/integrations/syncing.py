"""“Sync now”, and what agents report: asked by a page, picked up by an agent's poll, answered by its report."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.db.models import F, Q
from django.dispatch import Signal
from django.utils import timezone

from agent.hub.integrations.models import Run, SiteIntegration, SyncRequest
from agent.hub.integrations.runs import MESSAGE_LIMIT_CHARACTERS, PATIENCE

REQUESTS_KEPT: Final = 50
RUNS_KEPT: Final = 200
OPEN: Final = ("asked", "running")
EXPIRED_WHILE_ASKED: Final = "No agent picked the request up within an hour."
EXPIRED_WHILE_RUNNING: Final = "The agent picked the request up and never said how it went."
EXPIRED_HINT: Final = "See whether the agent of this site runs, and reaches this hub: wpsa check"

sync_asked = Signal()
"""Sent with `integration_id` once a request is stored: an agent in the same process need not poll."""


class SyncRequestClosed(Exception):
    """The request has ended, or another one is open: there is nothing to report on."""


@dataclass(frozen=True, slots=True)
class SyncState:
    """How the newest request of a site stands now, as a page shows it."""

    id: int
    state: str
    requested_at: datetime
    picked_at: datetime | None
    finished_at: datetime | None
    message: str
    hint: str

    @property
    def is_open(self) -> bool:
        return self.state in OPEN


@transaction.atomic
def ask_for_sync(integration: SiteIntegration, user: Any = None) -> SyncRequest:
    """The site's open request: the one that waits already, or a new one.

    user   who asked; None where pages are open
    """
    now = timezone.now()
    SiteIntegration.objects.select_for_update().only("pk").get(pk=integration.pk)
    _close_overdue(integration, now)
    if (waiting := integration.sync_requests.filter(state__in=OPEN).first()) is not None:
        return waiting
    asked = SyncRequest.objects.create(integration=integration, requested_at=now, requested_by=user)
    kept = list(integration.sync_requests.order_by("-pk").values_list("pk", flat=True)[:REQUESTS_KEPT])
    integration.sync_requests.exclude(pk__in=kept).delete()
    transaction.on_commit(lambda: sync_asked.send(SyncRequest, integration_id=integration.pk))
    return asked


def newest_request(integration: SiteIntegration) -> SyncState | None:
    """How the newest request stands; None when nobody ever asked."""
    found = integration.sync_requests.order_by("-pk").first()
    if found is None:
        return None
    state, message, hint = found.state_at(timezone.now()), found.message, found.hint
    if state == "expired" and not message:
        message, hint = _expired_words(found), EXPIRED_HINT
    return SyncState(found.pk, state, found.requested_at, found.picked_at, found.finished_at, message, hint)


def open_requests(now: datetime) -> Q:
    """The condition of requests that an agent should look at."""
    asked, picked_up = Q(picked_at=None, requested_at__gte=now - PATIENCE), Q(picked_at__gte=now - PATIENCE)
    return Q(state__in=OPEN) & (asked | picked_up)


@transaction.atomic
def report_sync(
    integration: SiteIntegration, request_id: int, *, state: str, message: str = "", hint: str = ""
) -> SyncRequest:
    """Note how far an agent is; the same report again changes nothing.

    state   `running`, `done` or `failed`
    Raises SyncRequestClosed.
    """
    request = integration.sync_requests.select_for_update().filter(pk=request_id).first()
    if request is None:
        raise SyncRequestClosed
    if request.state == state:
        return request
    now = timezone.now()
    if request.state_at(now) not in OPEN:
        raise SyncRequestClosed
    request.state = state
    request.picked_at = request.picked_at or now
    if state != "running":
        request.finished_at, request.message, request.hint = now, _cut(message), _cut(hint)
    request.save()
    return request


@transaction.atomic
def record_run(integration: SiteIntegration, report: Mapping[str, Any]) -> tuple[Run, bool]:
    """(the run as noted, whether it is new); one that was reported before is the same run.

    report   {"started_at", "finished_at", "result"[, "reason", "message", "hint"]}
    """
    texts = {key: _cut(report.get(key, "")) for key in ("message", "hint")}
    run, is_new = Run.objects.get_or_create(
        integration=integration,
        started_at=report["started_at"],
        defaults={
            "finished_at": report["finished_at"],
            "result": report["result"],
            "reason": report.get("reason", ""),
            **texts,
        },
    )
    if is_new:
        _note_health(integration, run)
        kept = list(integration.runs.order_by("-started_at").values_list("pk", flat=True)[:RUNS_KEPT])
        integration.runs.exclude(pk__in=kept).delete()
    return run, is_new


def _note_health(integration: SiteIntegration, run: Run) -> None:
    """A site fails from its first failed run on, until a structure is taken in or a run delivers."""
    rows = SiteIntegration.objects.filter(pk=integration.pk)
    if run.result == Run.Result.DELIVERED:
        rows.update(failing_since=None)
    elif run.result != Run.Result.INTERRUPTED:
        # A report that was held up must not speak against a structure that came after its run.
        still = Q(last_structure_fetch=None) | Q(last_structure_fetch__lt=run.finished_at)
        rows.filter(still, failing_since=None).update(failing_since=run.finished_at)


def newest_runs(integration: SiteIntegration, number: int = 20) -> list[Run]:
    return list(integration.runs.order_by(F("started_at").desc())[:number])


def _close_overdue(integration: SiteIntegration, now: datetime) -> None:
    for request in integration.sync_requests.filter(state__in=OPEN):
        if request.state_at(now) == "expired":
            request.message, request.hint = _expired_words(request), EXPIRED_HINT
            request.state, request.finished_at = SyncRequest.State.EXPIRED, now
            request.save()


def _expired_words(request: SyncRequest) -> str:
    return EXPIRED_WHILE_RUNNING if request.picked_at else EXPIRED_WHILE_ASKED


def _cut(text: str) -> str:
    return text[:MESSAGE_LIMIT_CHARACTERS]
