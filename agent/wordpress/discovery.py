"""Find the REST root of a site, and prove that it is this site's."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from agent.errors import AgentError, RestApiNotFound, RestClosed, SiteError, WrongSite
from agent.faults import spoken
from agent.strictjson import BadJson
from agent.structure.model import Site
from agent.transport import Transport
from agent.wordpress.answers import INDEX_FIELDS, Index, read_index
from agent.wordpress.front import FrontPage, read_front_page
from agent.wordpress.reading import failure_of
from agent.wordpress.root import RestRoot

import httpx


@dataclass(frozen=True, slots=True)
class Found:
    root: RestRoot
    index: Index
    front: FrontPage | None


async def discover(http: Transport, site: Site) -> Found:
    """The site's REST root with its index: two requests on an ordinary site.

    The front page announces the root; where it is silent the usual places are tried. A root
    counts only when its index names the configured site as its home: a wrong path below
    another site answers as that other site.
    Raises RestApiNotFound, RestClosed, WrongSite, or what the front page's request raised.
    """
    front, front_failure = await _front_page(http, site)
    refusals: list[AgentError] = []
    for root in _candidates(front.url if front else f"{site.url}/", front.rest_root if front else None):
        try:
            index = await _index_at(http, root)
        except SiteError as error:
            if error.transient:
                raise
            refusals.append(error)
            continue
        if index is None:
            continue
        if not _same_home(index.home, site.url, front.url if front else site.url):
            refusals.append(_wrong_site(site, index))
            continue
        return Found(root, index, front)
    raise _why_not(site, front_failure, refusals)


async def _front_page(http: Transport, site: Site) -> tuple[FrontPage | None, AgentError | None]:
    """The page at the site's address; a broken or closed one does not end the search."""
    answer = await http.fetch("GET", f"{site.url}/", headers={"Accept": "text/html,*/*;q=0.5"})
    if answer.redirected_from and "wp-signup.php" in answer.url:
        return None, None
    return read_front_page(answer.url, answer.headers, answer.body), failure_of(answer)


def _candidates(front_url: str, announced: str | None) -> Iterator[RestRoot]:
    """Where a root may be, the likeliest first; each once."""
    base = front_url.split("?")[0].split("#")[0]
    base = base if base.endswith("/") else base.rsplit("/", 1)[0] + "/"
    places = [f"{base}wp-json/", f"{base}index.php?rest_route=/", f"{base}?rest_route=/", f"{base}index.php/wp-json/"]
    if announced and urlsplit(announced).hostname == urlsplit(base).hostname:
        places.insert(0, announced)
    yield from map(RestRoot, dict.fromkeys(places))


async def _index_at(http: Transport, root: RestRoot) -> Index | None:
    """The index at a candidate; None for anything that is none, such as a home page with 200."""
    answer = await http.fetch("GET", root.route("", _fields=INDEX_FIELDS))
    failure = failure_of(answer)
    if failure and (isinstance(failure, RestClosed) or failure.transient):
        raise failure
    try:
        return read_index(answer.json())
    except BadJson:
        return None


def _same_home(home: str, configured: str, reached: str) -> bool:
    return identity(home) in (identity(configured), identity(reached))


def identity(url: str) -> str:
    """What two spellings of one site share: host without www., port if unusual, path. No scheme."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").removeprefix("www.").rstrip(".")
        host = host.encode("idna").decode("ascii") if not host.isascii() else host
        port = f":{parts.port}" if parts.port not in (None, 80, 443) else ""
    except ValueError:  # UnicodeError is one too
        return url
    return f"{host}{port}{parts.path.rstrip('/')}"


def _wrong_site(site: Site, index: Index) -> WrongSite:
    return WrongSite(
        f"{site.url} answers as another site, {index.home[:200]}",
        reason="identity",
        hint="Set the site's address to the one WordPress names, or mend its “Site Address (URL)”.",
    )


def _why_not(site: Site, front: AgentError | None, refusals: list[AgentError]) -> AgentError:
    """The failure that tells most: a refusal by WordPress, another site, then what the front page said."""
    for kind in (RestClosed, WrongSite):
        for refusal in refusals:
            if isinstance(refusal, kind):
                return refusal
    if refusals:
        return refusals[0]
    where = spoken(httpx.URL(site.url))
    if front is not None:
        return RestApiNotFound(
            f"{where}: no WordPress REST API was found ({front.message.split(': ', 1)[-1]})",
            reason="no_rest",
            hint="Check the address; a site in a subfolder needs the whole address, such as https://example.com/blog.",
        )
    return RestApiNotFound(
        f"{where}: no WordPress REST API was found",
        reason="no_rest",
        hint="Check that this is a WordPress site, its whole address, and that no plugin switches the REST API off.",
    )
