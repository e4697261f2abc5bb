"""One reading of one site, in the order in which it happens."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from agent.clock import Clock
from agent.errors import AnswerNotUnderstood, RestClosed, SiteUnreachable
from agent.structure.model import Answers, ContentType, Count, Family, LoginState, Site
from agent.transport import Transport
from agent.wordpress.answers import TYPES_LIMIT, Index
from agent.wordpress.atonce import both
from agent.wordpress.closed import open_closed, read_beside_rest
from agent.wordpress.counting import count_all
from agent.wordpress.coverage import coverage_of, language_scope
from agent.wordpress.discovery import discover
from agent.wordpress.gathering import Gathered, gather
from agent.wordpress.login import LoggedIn, log_in
from agent.wordpress.public import public_content
from agent.wordpress.root import RestRoot
from agent.wordpress.version import learn_version
from agent.wordpress.visit import Visit
from agent.wordpress.xmlrpc import Login

DEADLINE_SECONDS = 120.0
"""For one whole reading, whatever the site does."""

OpenSite = Callable[[Site], AbstractAsyncContextManager[Transport]]
LoginFor = Callable[[Site], Login | None]


class SiteReader:
    """Reads sites; each reading has its own connections, and ends with them."""

    def __init__(self, open_site: OpenSite, clock: Clock, *, login_for: LoginFor) -> None:
        self._open = open_site
        self._clock = clock
        self._login_for = login_for

    async def read(self, site: Site, *, remembered_root: str | None = None, thorough: bool = False) -> Answers:
        """What the site says of itself; raises SiteError when that cannot be learned.

        remembered_root   where the REST root was the last time: asked first, and proved again
        thorough          compare the counts with the site's own totals even where nothing is odd
        """
        started = self._clock.monotonic()
        try:
            async with asyncio.timeout(DEADLINE_SECONDS), self._open(site) as http:
                visit = Visit(http, site)
                visit.suspicious = thorough
                answers = await self._read(visit, remembered_root)
                seconds = self._clock.monotonic() - started
                return replace(answers, requests=http.requests, duration_seconds=seconds)
        except TimeoutError:
            raise SiteUnreachable(
                f"{site.name}: the reading took longer than {DEADLINE_SECONDS:.0f} seconds",
                reason="deadline",
                hint="Check why the site is so slow; it is tried again by itself.",
            ) from None

    async def _read(self, visit: Visit, remembered_root: str | None) -> Answers:
        site, now = visit.site, self._clock.now()
        found = await discover(visit, remembered=remembered_root, cache_key=f"{now.timestamp():.3f}")
        login = await log_in(visit, found.root, found.index, self._login_for(site))
        try:
            index = found.index or await open_closed(visit, found, login.failure)
        except RestClosed as closed:
            return await read_beside_rest(visit, found.root, closed, login, finished_at=self._clock.now)

        site_url = _site_url(visit, index, login)
        languages = language_scope(index)
        visit.suspicious = visit.suspicious or languages is not None
        version, (gathered, counted) = await both(
            learn_version(visit, found.root, index, front=found.front, told=login.told),
            _counted(visit, found.root, index, login),
        )
        return Answers(
            site_url=site_url,
            home=index.home,
            title=index.title,
            root=found.root.url,
            version=version,
            counted=counted,
            coverage=coverage_of(gathered, login, counted),
            finished_at=self._clock.now(),
            login=LoginState(login.state, login.username, login.roles, login.failure),
            languages=languages,
            warnings=visit.warnings,
        )


def _site_url(visit: Visit, index: Index, login: LoggedIn) -> str:
    if not index.names_url and login.told and login.told.site_url:
        return login.told.site_url
    if not index.names_url:
        visit.warn(f"the REST index does not name the site's own address: it is taken to be {index.url}")
    return index.url


async def _counted(
    visit: Visit, root: RestRoot, index: Index, login: LoggedIn
) -> tuple[Gathered, tuple[tuple[ContentType, Count], ...]]:
    """What is public, and how much of each."""
    gathered = await gather(visit, root, index, login)
    kinds = public_content(gathered.evidence)
    refuse_more_than_any_site_has(visit.site, kinds)
    if unsure := [kind.slug for kind in kinds if kind.public is None]:
        visit.warn(f"not certain to be public: {', '.join(unsure[:20])}")
    counts = await count_all(visit, root, kinds, gathered, login)
    refuse_a_reading_without_counts(visit.site, counts)
    return gathered, tuple(zip(kinds, counts, strict=True))


def refuse_more_than_any_site_has(site: Site, kinds: tuple[ContentType, ...]) -> None:
    """Each of them costs the site a request: the listings are bounded, and what a sitemap names is too."""
    for family in Family:
        if (number := sum(kind.family is family for kind in kinds)) > TYPES_LIMIT:
            raise AnswerNotUnderstood(
                f"{site.name}: {number:,} different {family.replace('_', ' ')} slugs are more than any site has",
                reason="too_many",
                hint="See what the site's sitemap and /wp-json/wp/v2/types list; a plugin may have broken them.",
            )


def refuse_a_reading_without_counts(site: Site, counts: list[Count]) -> None:
    """A site that counts nothing at all is broken, not empty."""
    if counts and all(count.value is None for count in counts):
        raise AnswerNotUnderstood(
            f"{site.name}: not one count could be learned ({counts[0].reason})",
            reason="nothing_counted",
            hint="See whether the site's REST collections answer, such as /wp-json/wp/v2/posts.",
        )
