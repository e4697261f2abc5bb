"""The past of one site: its counts as charts, what changed, and how its agent's runs ended."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from agent.hub.integrations.changes import Change
from agent.hub.integrations.history import Series, counts_over_time, history_of
from agent.hub.integrations.pages.access import for_readers, visible_integration
from agent.hub.integrations.pages.chart import Chart, Step, draw
from agent.hub.integrations.pages.site import about, asked_page
from agent.hub.integrations.syncing import newest_runs

SPANS: Final = (7, 30, 90)
"""Days that the charts may show."""
SPAN: Final = 30
CHARTS_SHOWN: Final = 60
STEPS_SHOWN: Final = 100
"""Lines of the table beside a chart."""


@dataclass(frozen=True, slots=True)
class Course:
    """How one content type's count went."""

    slug: str
    label: str
    steps: tuple[Step, ...]
    """From when on it was so many, oldest first."""
    chart: Chart

    @property
    def first(self) -> int:
        return self.steps[0][1]

    @property
    def last(self) -> int:
        return self.steps[-1][1]

    @property
    def difference(self) -> str:
        return f"{self.last - self.first:+,}".replace("-", "−")

    @property
    def newest_steps(self) -> list[Step]:
        return list(reversed(self.steps))[:STEPS_SHOWN]


@require_safe
@for_readers
def history(request: HttpRequest, site_id: int) -> HttpResponse:
    """Charts, changes and runs of one site, the newest first."""
    integration = visible_integration(request, site_id)
    days = next((span for span in SPANS if request.GET.get("days") == str(span)), SPAN)
    until = timezone.now()
    courses = courses_of(counts_over_time(integration), since=until - timedelta(days=days), until=until)
    moved = [course for course in courses if len(course.steps) > 1]
    changes = history_of(integration, page=asked_page(request))
    context = {
        **about(request, integration),
        "tab": "history",
        "days": days,
        "spans": SPANS,
        "moved": moved[:CHARTS_SHOWN],
        "steady": len(courses) - len(moved),
        "changes": changes,
        "entries": [(entry, *_parted(entry.changes)) for entry in changes.entries],
        "runs": newest_runs(integration, 20),
    }
    return render(request, "hub/history.html", context)


def _parted(changes: Iterable[Change]) -> tuple[list[Change], list[Change]]:
    """(what became different, whose number alone did): the second is many on most days, and told in one line."""
    others: list[Change] = []
    amounts: list[Change] = []
    for change in changes:
        (amounts if change.kind == "count" else others).append(change)
    return others, amounts


def courses_of(counts: Mapping[str, Mapping[str, Series]], *, since: datetime, until: datetime) -> list[Course]:
    """The courses within that time, those that moved most first; of a type that is gone it ends where it was seen last."""
    found = [(slug, series) for family in counts.values() for slug, series in family.items()]
    newest = max((series.points[-1][0] for _, series in found), default=until)
    courses = []
    for slug, series in found:
        last_seen = series.points[-1][0]
        end = until if last_seen == newest else last_seen
        if end > since:
            steps = _steps(series.points, since)
            chart = draw(steps, since=max(since, steps[0][0]), until=end)
            courses.append(Course(slug, series.label, steps, chart))
    return sorted(courses, key=lambda course: (-abs(course.last - course.first), course.label.casefold(), course.slug))


def _steps(points: Iterable[tuple[datetime, int]], since: datetime) -> tuple[Step, ...]:
    """The moments at which the count became another; what it was at the beginning comes first."""
    steps: list[Step] = []
    for moment, count in points:
        if moment <= since:
            steps = [(since, count)]
        elif not steps or steps[-1][1] != count:
            steps.append((moment, count))
    return tuple(steps)
