"""One count, and where it came from: the rungs are tried in order until one gives a number."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

from agent.errors import SiteError, SiteThrottled
from agent.strictjson import BadJson
from agent.structure.model import ContentType, Count, CountSource, Family
from agent.transport import Answer, Transport
from agent.wordpress.answers import error_code, read_total
from agent.wordpress.reading import failure_of
from agent.wordpress.root import RestRoot


async def count(http: Transport, root: RestRoot, kind: ContentType) -> Count:
    """How many items are published (attachments: inherited), or how many terms there are, empty ones too.

    The collection's own header comes first; then the envelope, which carries the headers that a
    cache or stray output lost; then the search route, which counts types whose own route is
    broken, renamed or missing. What stays unknown says why.
    Raises SiteThrottled, which is no fault of this one type.
    """
    reason = "no_route"
    async for source, answer in _rungs(http, root, kind):
        if answer is None:
            reason = "unreachable"
            continue
        total, failure = _total_in(answer)
        if total is not None:
            return Count(total, source)
        reason = failure
    return Count(None, reason=reason)


async def _rungs(
    http: Transport, root: RestRoot, kind: ContentType
) -> AsyncIterator[tuple[CountSource, Answer | None]]:
    for source, url in _routes(root, kind):
        answer = await _ask(http, url)
        yield source, answer
        if answer is not None and answer.status == 200:
            enveloped = CountSource.ENVELOPE if source is CountSource.COLLECTION else source
            yield enveloped, await _ask(http, f"{url}&_envelope=1")


async def _ask(http: Transport, url: str) -> Answer | None:
    """The answer; None when this route does not answer, which the next rung may still do."""
    try:
        answer = await http.fetch("GET", url)
    except SiteError:
        return None
    failure = failure_of(answer)
    if isinstance(failure, SiteThrottled):
        raise failure
    return answer


def _routes(root: RestRoot, kind: ContentType) -> Iterator[tuple[CountSource, str]]:
    """The collection, when it has one, and the search route, when it knows the type."""
    if kind.rest_namespace and kind.rest_base:
        path = f"{kind.rest_namespace}/{kind.rest_base}"
        yield CountSource.COLLECTION, root.route(path, per_page=1, _fields="id")
    match kind:
        case ContentType(slug="attachment", family=Family.POST_TYPE):
            return  # the search route leaves it out, and would answer with another number
        case ContentType(slug="post_format", family=Family.TAXONOMY):
            asked = {"type": "post-format"}
        case ContentType(family=Family.POST_TYPE):
            asked = {"type": "post", "subtype": kind.slug}
        case _:
            asked = {"type": "term", "subtype": kind.slug}
    yield CountSource.SEARCH, root.route("wp/v2/search", **asked, per_page=1, _fields="id")


def _total_in(answer: Answer) -> tuple[int | None, str]:
    """The total in an answer's headers or envelope, or why there is none."""
    if answer.status == 200 and (total := read_total(answer.headers)) is not None:
        return total, ""
    try:
        body: Any = answer.json()
    except BadJson as error:
        return None, error.reason
    match body:
        case {"status": 200, "headers": dict(headers)} if answer.status == 200:
            return read_total(headers), "bad_count"
        case {"status": int(status), "body": inner} if answer.status == 200:
            return None, error_code(inner) or f"http_{status}"
        case _:
            return None, error_code(body) or ("bad_count" if answer.status == 200 else f"http_{answer.status}")
