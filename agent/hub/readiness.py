"""Whether requests should be sent here: GET /readyz, beside /healthz, which says only that the process lives."""

from functools import cache

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from agent.hub.integrations.models import AttemptBucket


@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """200, or 503 with one sentence that tells a stranger nothing but what kind of thing is wrong."""
    why_not = _why_not_ready()
    return HttpResponse(why_not or "ready", status=503 if why_not else 200, content_type="text/plain; charset=utf-8")


def _why_not_ready() -> str:
    try:
        connection.ensure_connection()
        if not _is_migrated():
            _is_migrated.cache_clear()
            return "the database is not migrated"
        # A write that is of use anyhow: a disk that is full, or a server that only reads, takes none.
        AttemptBucket.objects.filter(ends_at__lte=timezone.now()).delete()
    except DatabaseError:
        return "the database does not answer, or takes no writes"
    return ""


@cache
def _is_migrated() -> bool:
    """Whether every migration of this code is applied. Once it is so, it stays so: asked of the database until then."""
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())
