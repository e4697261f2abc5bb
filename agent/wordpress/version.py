"""Which WordPress it is: an exact source, or nothing that is pushed."""

import re
from collections.abc import AsyncIterator, Iterator
from functools import cache
from hashlib import md5
from itertools import chain

from agent.errors import SiteError
from agent.strictjson import BadJson
from agent.structure.model import VersionAnswer
from agent.transport import Answer
from agent.wordpress.answers import VERSION, Index
from agent.wordpress.front import FrontPage
from agent.wordpress.root import RestRoot
from agent.wordpress.visit import Visit
from agent.wordpress.xmlrpc import Told

_PLAIN_TAG = re.compile(rf'(?:W/)?"?({VERSION})"?')
_HASHED_TAG = re.compile(r'W/"([0-9a-f]{32})"')
_FEED = re.compile(rb"<generator>https?://wordpress\.org/\?v=(" + VERSION.encode() + rb")</generator>")
_OPML = re.compile(rb'generator="WordPress/(' + VERSION.encode() + rb')"')
_ASSET = re.compile(rb"/(?:wp-admin|wp-includes)/[^\"'<>\s?]{1,200}\.(?:css|js)\?ver=(" + VERSION.encode() + rb")[\"']")

# The oldest release that offers each; a plugin may bring one early, so these are lower bounds at best.
_SINCE = (
    ("wp-abilities/v1", "6.9"),
    ("wp-block-editor/v1", "5.9"),
    ("wp-site-health/v1", "5.6"),
    ("oembed/1.0", "4.7"),
)


async def learn_version(
    visit: Visit, root: RestRoot, index: Index, *, front: FrontPage | None, told: Told | None
) -> VersionAnswer:
    """The version by the first exact source; one request on an ordinary site.

    XML-RPC has told it already where a login opened it. The tag of the style loader comes first: it runs without plugins, so nothing that hides the
    version touches it. Then WordPress's own abilities for administrators, then the feed. Pages
    and link lists may be cached or made up: two of them have to agree.
    """
    # A foreign host is none of ours to ask.
    site_url, home = root.beside(index.url), root.beside(index.home)
    if told and told.version:
        return VersionAnswer(told.version, "xmlrpc")
    if site_url and (tagged := await version_by_etag(visit, site_url)):
        return VersionAnswer(tagged, "etag")
    has_abilities = visit.auth is not None and "wp-abilities/v1" in index.namespaces
    if has_abilities and (able := await _from_abilities(visit, root)):
        return VersionAnswer(able, "abilities")
    if home and (fed := await _found(visit, f"{home}/?feed=rss2", _FEED)):
        return VersionAnswer(fed, "feed")
    return await _by_two_that_agree(visit, index, site_url=site_url, front=front)


async def _by_two_that_agree(
    visit: Visit, index: Index, *, site_url: str | None, front: FrontPage | None
) -> VersionAnswer:
    seen: dict[str, str] = {}
    if front and front.generator:
        seen[front.generator] = "generator"
    if site_url:
        async for source, version in _weak_sources(visit, site_url):
            if version in seen:
                return VersionAnswer(version, f"{seen[version]} and {source}")
            seen[version] = source
    least = next((since for namespace, since in _SINCE if namespace in index.namespaces), None)
    return VersionAnswer(None, None, probable=next(iter(seen), None), at_least=least)


async def _weak_sources(visit: Visit, site_url: str) -> AsyncIterator[tuple[str, str]]:
    if version := await _found(visit, f"{site_url}/wp-links-opml.php", _OPML):
        yield "links", version
    if version := await _agreeing_assets(visit, f"{site_url}/wp-login.php"):
        yield "assets", version


async def version_by_etag(visit: Visit, site_url: str) -> str | None:
    url = f"{site_url.rstrip('/')}/wp-admin/load-styles.php?load=x"
    # Not compressed: a server that compresses on the way may drop the tag.
    answer = await _quietly(visit, url, Accept="text/css,*/*;q=0.1", Accept_Encoding="identity")
    return version_of_etag(answer.headers.get("etag", "")) if answer and answer.status in (200, 304) else None


async def _from_abilities(visit: Visit, root: RestRoot) -> str | None:
    try:
        answer = await visit.get(root.route("wp-abilities/v1/abilities/core/get-site-info/run"))
        told = visit.parse(answer) if answer.status == 200 else None
    except (SiteError, BadJson):
        return None
    version = told.get("version") if isinstance(told, dict) else None
    return version if isinstance(version, str) and re.fullmatch(VERSION, version) else None


async def _found(visit: Visit, url: str, pattern: re.Pattern[bytes]) -> str | None:
    answer = await _quietly(visit, url, Accept="*/*")
    found = pattern.search(answer.body[:262_144]) if answer and answer.status == 200 else None
    return found[1].decode("ascii") if found else None


async def _agreeing_assets(visit: Visit, url: str) -> str | None:
    """The version that most of core's own files on a page carry: three at least, and more than half."""
    answer = await _quietly(visit, url, Accept="text/html,*/*;q=0.5")
    versions = _ASSET.findall(answer.body[:262_144]) if answer and answer.status == 200 else []
    for version in set(versions):
        if versions.count(version) >= 3 and versions.count(version) * 2 > len(versions):
            return str(version.decode("ascii"))
    return None


async def _quietly(visit: Visit, url: str, **headers: str) -> Answer | None:
    try:
        return await visit.get(url, as_stranger=True, **headers)
    except SiteError:
        return None


def version_of_etag(etag: str) -> str | None:
    """`6.1.9` from `6.1.9`, `7.1.4` from `W/"md5(WP:7.1.4;)"`; None for any other tag.

    Until 6.5 the tag is the version; since 6.6 it is a digest, found again among all versions there can be.
    """
    if hashed := _HASHED_TAG.fullmatch(etag):
        return _known_tags().get(hashed[1])
    plain = _PLAIN_TAG.fullmatch(etag)
    # Web servers' own tags look like "5f2-61a"; a version has a dot.
    return plain[1] if plain else None


@cache
def _known_tags() -> dict[str, str]:
    """{MD5: version} of every version from 6.6 to 12.9."""
    return {md5(f"WP:{v};".encode(), usedforsecurity=False).hexdigest(): v for v in _versions()}


def _versions() -> Iterator[str]:
    for major in range(6, 13):
        for minor in range(10):
            line = f"{major}.{minor}"
            patches = (f"{line}.{patch}" for patch in range(1, 60))
            early = (f"{v}-{stage}" for v in (line, f"{line}.1") for stage in _STAGES)
            yield from chain((line,), patches, early)


_STAGES = ("alpha", "beta", "RC", *(f"{stage}{n}" for stage in ("beta", "RC") for n in range(1, 10)))
