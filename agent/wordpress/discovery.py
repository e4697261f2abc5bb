"""Find the REST root of a site, and prove that it is this site's."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

from agent.errors import AgentError, RestApiNotFound, RestClosed, SiteError, SiteMoved, SiteSuspended, WrongSite
from agent.faults import spoken
from agent.strictjson import BadJson
from agent.structure.model import Site
from agent.transport import Answer
from agent.wordpress.address import host_of, identity
from agent.wordpress.answers import INDEX_FIELDS, Index, read_index
from agent.wordpress.front import FrontPage, read_front_page, read_rsd, rest_link
from agent.wordpress.root import RestRoot
from agent.wordpress.statuses import failure_of, is_challenge, not_json
from agent.wordpress.visit import Visit


@dataclass(frozen=True, slots=True)
class Found:
    """A proved root, or one that exists and is closed."""

    root: RestRoot
    index: Index | None
    """None when the root answers that it is closed to strangers."""
    front: FrontPage | None
    closed: AgentError | None = None


@dataclass(slots=True)
class _Search:
    """What was seen while looking, for the one sentence that says why nothing was found."""

    tried: set[str] = field(default_factory=set)
    pages: list[FrontPage] = field(default_factory=list)
    closed: tuple[RestRoot, AgentError] | None = None
    refusals: list[AgentError] = field(default_factory=list)
    front_failure: AgentError | None = None
    broken: AgentError | None = None
    """JSON that could not be read, where the root would be."""


async def discover(visit: Visit, *, remembered: str | None, cache_key: str) -> Found:
    """The site's REST root with its index: one request on an ordinary site.

    A root counts only when its index names the configured site as its home: a wrong path below
    another site answers as that other site. A root that refuses strangers is remembered while
    other ways are tried, and returned without an index when none is open.
    Raises RestApiNotFound, WrongSite, SiteSuspended, SiteMoved, or what made the site unreachable.
    """
    search = _Search()
    async with aclosing(_candidates(visit, search, remembered, cache_key)) as candidates:
        async for root in candidates:
            if root.url in search.tried:
                continue
            search.tried.add(root.url)
            found = await _proved(visit, root, search)
            if found is not None:
                return found
    if search.closed:
        root, closed = search.closed
        return Found(root, None, _own_page(search), closed)
    raise _why_not(visit.site, search)


async def _candidates(
    visit: Visit, search: _Search, remembered: str | None, cache_key: str
) -> AsyncGenerator[RestRoot, None]:
    """Where a root may be, the likeliest first; later ones only cost a request when the first ones failed."""
    site = visit.site
    for url in filter(None, (site.rest_root, remembered, f"{site.url}/wp-json/")):
        yield RestRoot(url, cache_key)
    # The usual place is silent. What answered there may be WordPress's own page, which names the root.
    for page in search.pages:
        if page.rest_root:
            yield RestRoot(page.rest_root, cache_key)
    front = await _front_page(visit, search)
    bases = [site.url]
    if front:
        if front.rest_root and host_of(front.rest_root) == host_of(front.url):
            yield RestRoot(front.rest_root, cache_key)
        bases.insert(0, _folder(front.url))
    for base in dict.fromkeys(bases):
        for place in ("wp-json/", "index.php?rest_route=/", "?rest_route=/", "index.php/wp-json/"):
            yield RestRoot(f"{base}/{place}", cache_key)
    for parent in _parents(site.url):
        for place in ("wp-json/", "index.php?rest_route=/"):
            yield RestRoot(f"{parent}/{place}", cache_key)
    if announced := await _from_rsd(visit, site.url):
        yield RestRoot(announced, cache_key)


async def _front_page(visit: Visit, search: _Search) -> FrontPage | None:
    """The page at the site's address; a broken or closed one does not end the search."""
    try:
        answer = await visit.get(f"{visit.site.url}/", as_stranger=True, Accept="text/html,*/*;q=0.5")
    except SiteMoved as moved:  # to the address that an index has named already, where one has
        raise next((refusal for refusal in search.refusals if isinstance(refusal, WrongSite)), moved) from None
    search.front_failure = failure_of(answer)
    if isinstance(search.front_failure, SiteSuspended) or (search.front_failure and search.front_failure.transient):
        raise search.front_failure
    if is_challenge(answer) or "wp-signup.php" in answer.url:
        return None
    page = read_front_page(answer.url, answer.headers, answer.body)
    search.pages.append(page)
    return page


async def _from_rsd(visit: Visit, base: str) -> str | None:
    """The root that the XML-RPC endpoint announces: survives themes that clean the page's head."""
    try:
        answer = await visit.get(f"{base}/xmlrpc.php?rsd", as_stranger=True, Accept="application/rsd+xml,*/*;q=0.5")
    except SiteError:
        return None
    announced = read_rsd(answer.body) if answer.status == 200 else None
    return announced if announced and host_of(announced) == host_of(answer.url) else None


async def _proved(visit: Visit, root: RestRoot, search: _Search) -> Found | None:
    """A candidate with its index when it is this site's; None, with what was seen noted, otherwise."""
    try:
        answer = await visit.get(root.route("", _fields=INDEX_FIELDS), as_stranger=True)
    except SiteError as error:
        if error.transient:
            raise
        search.refusals.append(error)
        return None
    root = root.found_at(answer.url)
    failure = failure_of(answer)
    if failure and (failure.transient or isinstance(failure, SiteSuspended) or is_challenge(answer)):
        raise failure  # for the whole site: other addresses would only annoy the firewall more
    page = read_front_page(answer.url, answer.headers, answer.body)
    if isinstance(failure, RestClosed) and (failure.reason != "forbidden" or page.rest_root):
        # WordPress itself refuses: its JSON says so, or its Link header stands on the refusal.
        search.closed = search.closed or (root, failure)
    if failure:
        search.refusals.append(failure)
    if page.rest_root and host_of(page.rest_root) == host_of(answer.url):
        search.pages.append(page)
    index = _own_index(visit, root, answer, search) if failure is None else None
    return Found(root, index, _own_page(search)) if index else None


def _own_index(visit: Visit, root: RestRoot, answer: Answer, search: _Search) -> Index | None:
    """The index in an answer, when its home is the configured site."""
    try:
        told = visit.parse(answer)
    except BadJson as error:
        if answer.body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")):
            search.broken = search.broken or not_json(answer, error)
        return None
    index = read_index(told)
    if index is None:
        if isinstance(told, dict | list) and rest_link(answer.headers):
            search.closed = search.closed or (root, _cut(answer))
        return None
    if _is_home_of(visit.site.url, index.home, search) or _is_parent_of_pasted(index.home, visit.site.url):
        return index
    search.refusals.append(_wrong_site(visit.site, index))
    return None


def _is_home_of(configured: str, home: str, search: _Search) -> bool:
    """Whether it is the configured address, or a folder below it that the address redirects to.

    A folder above it never is: the page of a wrong path, and a parent's index that was tried, are another site's.
    """
    own = identity(configured)
    below = {identity(_folder(page.url)) for page in search.pages}
    return identity(home) == own or (identity(home) in below and identity(home).startswith(f"{own}/"))


def _is_parent_of_pasted(home: str, configured: str) -> bool:
    """Whether somebody pasted an address inside the site, such as …/wp-admin or …/wp-login.php."""
    below = identity(configured).removeprefix(identity(home))
    return below != identity(configured) and below.startswith(("/wp-admin", "/wp-login.php", "/index.php"))


def _parents(url: str) -> list[str]:
    """The addresses above a pasted one: `https://x/blog` and `https://x` for `https://x/blog/wp-admin`."""
    parts = urlsplit(url)
    segments = [segment for segment in parts.path.split("/") if segment]
    return [
        parts._replace(path="/".join(["", *segments[:count]])).geturl().rstrip("/")
        for count in range(len(segments) - 1, -1, -1)
    ][:3]


def _folder(url: str) -> str:
    """The folder of a page's address, without a trailing slash."""
    path = urlsplit(url).path
    folder = path if path.endswith("/") or "." not in path.rsplit("/", 1)[-1] else path.rsplit("/", 1)[0]
    return urlsplit(url)._replace(path=folder, query="", fragment="").geturl().rstrip("/")


def _own_page(search: _Search) -> FrontPage | None:
    return next((page for page in search.pages if page.is_front), None)


def _cut(answer: Answer) -> RestClosed:
    """WordPress says with its Link header that this is its REST API, and yet there is no index in it."""
    return RestClosed(
        f"{spoken(httpx.URL(answer.url))}: a plugin has taken out of the REST index what tells whose site it is",
        reason="index_cut",
        hint="Let the plugin that filters rest_index leave namespaces, url and home alone.",
    )


def _wrong_site(site: Site, index: Index) -> WrongSite:
    return WrongSite(
        f"{site.url} answers as another site, {index.home[:200]}",
        reason="identity",
        hint="Set the site's address to the one WordPress names; where this is but its address inside a network, "
        "name that one by internal_url.",
    )


def _why_not(site: Site, search: _Search) -> AgentError:
    """The failure that tells most: another site, another host, a refusal, then what the front page said."""
    for kind in (WrongSite, SiteMoved, RestClosed):
        for refusal in search.refusals:
            if isinstance(refusal, kind):
                return refusal
    challenges = [refusal for refusal in search.refusals if refusal.reason == "challenge"]
    if challenges:
        return challenges[0]
    if search.broken:
        return search.broken
    if search.front_failure and search.front_failure.reason != "not_json":
        return _no_rest(site, f" ({search.front_failure.message.split(': ', 1)[-1]})")
    return _no_rest(site, "")


def _no_rest(site: Site, because: str) -> RestApiNotFound:
    return RestApiNotFound(
        f"{spoken(httpx.URL(site.url))}: no WordPress REST API was found{because}",
        reason="no_rest",
        hint="Check that this is a WordPress site, its whole address (a subfolder included), and that no plugin "
        "switches the REST API off.",
    )
