"""The content records behind `synced_count`."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from django.db.models import Count

from agent.hub.integrations.models import Content, SiteIntegration


def record_contents(
    integration: SiteIntegration, *, family: str, type_slug: str, external_ids: Iterable[str | int]
) -> int:
    """Note that the hub holds these items, and return how many of them were new."""
    before = integration.contents.count()
    Content.objects.bulk_create(
        (
            Content(integration=integration, family=family, type=type_slug, external_id=str(external_id))
            for external_id in external_ids
        ),
        batch_size=1_000,
        ignore_conflicts=True,
    )
    return integration.contents.count() - before


def forget_contents(
    integration: SiteIntegration, *, family: str, type_slug: str, external_ids: Iterable[str | int]
) -> int:
    """Note that the hub no longer holds these items, and return how many of them it held."""
    held = integration.contents.filter(family=family, type=type_slug)
    forgotten = 0
    for ids in batched([str(external_id) for external_id in external_ids], 1_000):
        forgotten += held.filter(external_id__in=ids).delete()[0]
    return forgotten


def batched(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """A statement has room for so many parameters and no more."""
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def count_synced(integration: SiteIntegration) -> Mapping[str, Mapping[str, int]]:
    """Items held, as {family: {slug: count}}, by one grouped query."""
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    rows = integration.contents.order_by().values_list("family", "type").annotate(number=Count("pk"))
    for family, type_slug, number in rows:
        counts[family][type_slug] = number
    return counts
