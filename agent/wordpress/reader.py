"""One reading of one site, in the order in which it happens."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from agent.clock import Clock
from agent.errors import AnswerNotUnderstood, SiteUnreachable
from agent.structure.model import Answers, ContentType, Count, Family, Site
from agent.transport import Transport
from agent.wordpress.answers import read_listing
from agent.wordpress.counts import count
from agent.wordpress.discovery import discover
from agent.wordpress.public import public_content
from agent.wordpress.reading import get_json
from agent.wordpress.root import RestRoot
from agent.wordpress.version import learn_version

DEADLINE_SECONDS = 120.0
"""For one whole reading, whatever the site does."""


class SiteReader:
    """Reads sites; each reading has its own connections, and ends with them."""

    def __init__(self, open_site: Callable[[Site], AbstractAsyncContextManager[Transport]], clock: Clock) -> None:
        self._open = open_site
        self._clock = clock

    async def read(self, site: Site) -> Answers:
        """What the site says of itself; raises SiteError when that cannot be learned."""
        started = self._clock.monotonic()
        try:
            async with asyncio.timeout(DEADLINE_SECONDS), self._open(site) as http:
                return await self._read(site, http, started)
        except TimeoutError:
            raise SiteUnreachable(
                f"{site.name}: the reading took longer than {DEADLINE_SECONDS:.0f} seconds",
                reason="deadline",
                hint="Check why the site is so slow; it is tried again by itself.",
            ) from None

    async def _read(self, site: Site, http: Transport, started: float) -> Answers:
        found = await discover(http, site)
        (types, odd_types), (taxonomies, odd_taxonomies) = await _all(
            _listing(http, found.root, Family.POST_TYPE), _listing(http, found.root, Family.TAXONOMY)
        )
        public = public_content(types, taxonomies, found.index.searchable)
        version, *counts = await _all(
            learn_version(http, site_url=found.index.url, front=found.front),
            *(count(http, found.root, kind) for kind in public.content_types),
        )
        _refuse_a_reading_without_counts(site, counts)
        return Answers(
            site_url=found.index.url,
            home=found.index.home,
            title=found.index.title,
            root=found.root.url,
            wordpress_version=version.value,
            version_source=version.source,
            counted=tuple(zip(public.content_types, counts, strict=True)),
            finished_at=self._clock.now(),
            warnings=(*odd_types, *odd_taxonomies, *public.warnings),
            requests=http.requests,
            duration_seconds=self._clock.monotonic() - started,
        )


async def _listing(http: Transport, root: RestRoot, family: Family) -> tuple[dict[str, ContentType], list[str]]:
    route = "wp/v2/types" if family is Family.POST_TYPE else "wp/v2/taxonomies"
    _, value = await get_json(http, root.route(route))
    return read_listing(family, value, where=route)


async def _all(*readings: Any) -> list[Any]:
    """All results in order; the first failure cancels the rest and is raised as itself."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(reading) for reading in readings]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


def _refuse_a_reading_without_counts(site: Site, counts: list[Count]) -> None:
    """A site that counts nothing at all is broken, not empty."""
    if counts and all(count.value is None for count in counts):
        raise AnswerNotUnderstood(
            f"{site.name}: not one count could be learned ({counts[0].reason})",
            reason="nothing_counted",
            hint="See whether the site's REST collections answer, such as /wp-json/wp/v2/posts.",
        )
