"""One count, and where it came from: the rungs are tried in order until one gives a number."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agent.errors import SiteError, SiteThrottled
from agent.strictjson import BadJson
from agent.structure.model import ContentType, Count, CountSource, Family
from agent.transport import Answer
from agent.wordpress.answers import error_code, read_total
from agent.wordpress.public import ATTACHMENT, POST_FORMAT
from agent.wordpress.root import RestRoot
from agent.wordpress.statuses import failure_of
from agent.wordpress.visit import Visit

WALK_PAGES_LIMIT = 30
"""Of 100 items each: what is longer stays unknown rather than costing a site so many requests."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One way to learn a count by REST."""

    source: CountSource
    url: str


async def count_by_rest(visit: Visit, root: RestRoot, kind: ContentType, *, searchable: bool) -> Count:
    """How many items are published (attachments: inherited), or how many terms there are, empty ones too.

    The collection's own header comes first; then the envelope, which carries the headers that a
    cache or stray output lost; then the search route, which counts types whose own route is
    broken, renamed or missing; then walking through the collection. What stays unknown says why.

    searchable   whether the search route knows this slug in this family; for any other slug it
                 answers with another number, and without an error
    Raises SiteThrottled, which is no fault of this one type.
    """
    count, collection = Count(None, reason="no_route"), None
    for rung in _rungs(root, kind, searchable=searchable):
        count = await _count_at(visit, rung)
        if count.value is not None:
            return count
        # A collection that gave no answer at all gives none for a hundred items either.
        if rung.source is CountSource.COLLECTION and count.reason != _SILENT:
            collection = rung.url
    if collection is not None and (total := await _walked(visit, collection)) is not None:
        # Walking sees what strangers may see: of attachments, those of drafts are missing.
        return Count(total, CountSource.WALK, exact=kind.slug != ATTACHMENT)
    return count


_SILENT = "unreachable"


async def search_total(visit: Visit, root: RestRoot, family: Family) -> int | None:
    """The sum over all searchable content of a family, as WordPress itself adds it up."""
    url = root.route("wp/v2/search", type=_search_type(family), subtype="any", per_page=1, _fields="id")
    return (await _count_at(visit, Rung(CountSource.SEARCH, url))).value


async def families_of(visit: Visit, root: RestRoot, slug: str) -> frozenset[Family]:
    """In which families the search route knows a slug, for slugs whose family is not settled.

    Asked for a slug of the other family, it answers with items of something else; so an item of
    that slug is the proof. No items at all are one too: what a wrong slug gives is never empty as
    long as the site has any content.
    """
    return frozenset([family for family in Family if await _is_of(visit, root, slug, family)])


async def _is_of(visit: Visit, root: RestRoot, slug: str, family: Family) -> bool:
    asked: dict[str, str | int] = {"type": _search_type(family), "per_page": 1, "_fields": "id,type,subtype"}
    items = await _listed(visit, root.route("wp/v2/search", subtype=slug, **asked))
    if items:
        # Posts name their post type as the subtype; terms name their taxonomy as the type.
        named = items[0].get("subtype" if family is Family.POST_TYPE else "type")
        return bool(named == slug)
    return items is not None and bool(await _listed(visit, root.route("wp/v2/search", subtype="any", **asked)))


async def _listed(visit: Visit, url: str) -> list[dict[str, Any]] | None:
    """The objects in a list that is answered; None for any other answer."""
    answer = await _ask(visit, url)
    items = _items(visit, answer) if answer is not None and answer.status == 200 else None
    return None if items is None else [item for item in items if isinstance(item, dict)]


def _rungs(root: RestRoot, kind: ContentType, *, searchable: bool) -> Iterator[Rung]:
    if kind.rest_namespace and kind.rest_base:
        path = f"{kind.rest_namespace}/{kind.rest_base}"
        yield Rung(CountSource.COLLECTION, root.route(path, per_page=1, _fields="id"))
    if searchable and (kind.family, kind.slug) == (POST_FORMAT.family, POST_FORMAT.slug):
        yield Rung(CountSource.SEARCH, root.route("wp/v2/search", type="post-format", per_page=1, _fields="id"))
    elif searchable:
        url = root.route(
            "wp/v2/search", type=_search_type(kind.family), subtype=kind.slug, per_page=1, _fields="id"
        )
        yield Rung(CountSource.SEARCH, url)


def _search_type(family: Family) -> str:
    return "post" if family is Family.POST_TYPE else "term"


async def _count_at(visit: Visit, rung: Rung) -> Count:
    """By the answer's headers; where it comes without a usable total, by the envelope with the headers in its body."""
    count = Count(None, reason=_SILENT)
    if not visit.headers_lost:
        answer = await _ask(visit, rung.url)
        if answer is None:
            return count
        count = _count_in(visit, answer, rung.source)
        if count.value is not None or answer.status != 200:
            return count
    if (answer := await _ask(visit, f"{rung.url}&_envelope=1")) is not None:
        by_envelope = CountSource.ENVELOPE if rung.source is CountSource.COLLECTION else rung.source
        count = _count_in(visit, answer, by_envelope)
        visit.headers_lost = visit.headers_lost or count.value is not None
    return count


async def _ask(visit: Visit, url: str) -> Answer | None:
    """The answer; None when this route does not answer, which another may still do."""
    try:
        answer = await visit.get(url)
    except SiteError:
        return None
    failure = failure_of(answer)
    if isinstance(failure, SiteThrottled):
        raise failure
    return answer


def _count_in(visit: Visit, answer: Answer, source: CountSource) -> Count:
    """The total in an answer's headers or envelope, or why there is none."""
    try:
        body: Any = visit.parse(answer)
    except BadJson as error:
        return Count(None, reason=error.reason)
    total, reason = None, "bad_count"
    match body:
        case list() if answer.status == 200:
            total = _believable(visit, answer.headers, body)
        case {"status": 200, "headers": dict(headers), "body": list(items)} if answer.status == 200:
            total = _believable(visit, headers, items)
        case {"status": int(status), "body": inner} if answer.status == 200:
            reason = error_code(inner) or f"http_{status}"
        case _:
            reason = error_code(body) or ("bad_count" if answer.status == 200 else f"http_{answer.status}")
    return Count(None, reason=reason) if total is None else Count(total, source)


def _believable(visit: Visit, headers: Mapping[str, Any], items: list[Any]) -> int | None:
    """The total, unless its own answer contradicts it.

    Plugins that switch row counting off for speed (no_found_rows) make WordPress say 0 beside an
    item. No item beside a total is in order: an item that strangers may not see is left out.
    """
    total = read_total(headers)
    if total == 0 and items:
        visit.totals_lie = True
        return None
    return total


async def _walked(visit: Visit, url: str) -> int | None:
    """All items, page by page; None when the pages do not end, or do not turn."""
    seen: set[int] = set()
    url = url.replace("per_page=1&", "per_page=100&")
    for page in range(1, WALK_PAGES_LIMIT + 1):
        answer = await _ask(visit, f"{url}&page={page}")
        # Behind the last page posts answer 400, and terms with an empty list.
        if answer is not None and answer.status == 400 and page > 1:
            return len(seen)
        items = _items(visit, answer) if answer is not None and answer.status == 200 else None
        ids = {item["id"] for item in items or () if isinstance(item, dict) and isinstance(item.get("id"), int)}
        if items is None or len(ids) != len(items) or ids & seen:
            return None
        seen |= ids
        # A page may be short because items were hidden from us: only an empty one is surely the end.
        if not items:
            return len(seen)
    return None


def _items(visit: Visit, answer: Answer) -> list[Any] | None:
    try:
        value = visit.parse(answer)
    except BadJson:
        return None
    return value if isinstance(value, list) else None
