"""Reading a real site as the agent reads it, and saying how that differs from WordPress's own answer.

    structure = await read(site, username="administrator", password=site.application_password("administrator"))
    assert differences(structure, truth(site), except_={"taxonomy hidden_tax"}) == []

Every reading is watched at the site's end: whatever arrives there that is not a read fails the test.
"""

import asyncio
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import urlsplit

import pytest

from agent.bootstrap import site_reader
from agent.config import load
from agent.demo.wordpress import WordPress
from agent.structure.build import build_structure
from agent.structure.model import Family, Structure
from agent.structure.payload import to_document
from agent.transport import USER_AGENT

Truth = Mapping[str, Any]
"""What truth.php prints."""

RELEASES = ("7.1", "6.8", "6.1")
_NIGHTLY = tuple(pytest.param(older, marks=pytest.mark.nightly) for older in RELEASES[1:])
LATEST_AND_OLDEST = (RELEASES[0], RELEASES[-1], *_NIGHTLY[:-1])
"""For cases in which releases do differ, or that everything else rests on; those in between are nightly."""
LATEST_AND_NIGHTLY = (RELEASES[0], *_NIGHTLY)
"""For cases in which releases are not expected to differ."""


class ServedSite(Protocol):
    """All that a reading needs to know of a site: a WordPress, or something that stands in front of one."""

    @property
    def url(self) -> str: ...

    @property
    def requests(self) -> list[dict[str, Any]]: ...


async def read(
    site: ServedSite, *, username: str | None = None, password: str | None = None, **site_settings: Any
) -> Structure:
    """The site's structure, by the agent's own settings, reader and builder. Raises SiteError.

    site_settings   further options of `[[sites]]`, such as `rest_root`, or another `url`
    """
    options = {"url": site.url, "username": username, "application_password": password, **site_settings}
    settings = load({"site": {key: value for key, value in options.items() if value is not None}}, environ={}).settings
    assert settings.site is not None
    before = len(site.requests)
    try:
        answers = await site_reader(settings, [settings.site]).read(settings.site.as_site())
    finally:
        assert unexpected(site.requests[before:]) == []
    return build_structure(answers, choices=settings.choices_for(settings.site), last_known={})


def read_now(site: ServedSite, **options: Any) -> Structure:
    """The same outside of a coroutine, for readings that the tests of a module share."""
    return asyncio.run(read(site, **options))


def unexpected(requests: Collection[Mapping[str, Any]]) -> list[str]:
    """What arrived at a site and is not a mere read by an agent that says who it is."""
    return [
        f"{request['method']} {request['uri']} ({request['user_agent']}, cookies: {request['cookies']})"
        for request in requests
        if not _only_reads(request) or request["user_agent"] != USER_AGENT or request["cookies"]
    ]


def _only_reads(request: Mapping[str, Any]) -> bool:
    # Which methods are inside of an XML-RPC call, `xmlrpc.READ_ONLY_METHODS` guards before it is sent.
    is_xmlrpc = urlsplit(request["uri"]).path.endswith("/xmlrpc.php")
    return request["method"] in ("GET", "HEAD", "OPTIONS") or (request["method"] == "POST" and is_xmlrpc)


def differences(structure: Structure, truth: Truth, *, except_: Collection[str] = ()) -> list[str]:
    """In words, everything in which the document that would be pushed differs from the site's own answer.

    except_     subjects that may and must differ: `wordpress_version`, `taxonomy hidden_tax` (all
                about it), `post_type hidden_pub label`; one that does not differ is named as well
    """
    found = dict(_differences(to_document(structure), truth))
    excused = {subject for subject in found for name in except_ if f"{subject} ".startswith(f"{name} ")}
    needless = [name for name in except_ if not any(f"{subject} ".startswith(f"{name} ") for subject in found)]
    return [
        *(f"{subject}: {text}" for subject, text in found.items() if subject not in excused),
        *(f"{name}: is excepted, and is no different" for name in needless),
    ]


def _differences(document: Mapping[str, Any], truth: Truth) -> Iterator[tuple[str, str]]:
    """(subject, what is read and what is true)."""
    for key in ("site_url", "wordpress_version"):
        if document[key] != truth[key]:
            yield key, f"{document[key]!r} was read, {truth[key]!r} is true"
    for family, key in (("post_type", "post_types"), ("taxonomy", "taxonomies")):
        read_ones, true_ones = document[key], truth[key]
        for slug in sorted(read_ones.keys() | true_ones.keys()):
            if slug not in read_ones:
                yield f"{family} {slug}", f"is missing, {true_ones[slug]['count']} are there"
            elif slug not in true_ones:
                yield f"{family} {slug}", f"was read ({read_ones[slug]['count']}), and is not public"
            else:
                for what in ("label", "count"):
                    if (was := read_ones[slug][what]) != (true := true_ones[slug][what]):
                        yield f"{family} {slug} {what}", f"{was!r} was read, {true!r} is true"


def slugs(structure: Structure, family: Family) -> set[str]:
    return {entry.content_type.slug for entry in structure.of(family)}


def source(structure: Structure, slug: str) -> dict[str, Any]:
    """Where the facts about a slug came from; of the post type where a taxonomy is called the same."""
    provenance = structure.provenance
    said: dict[str, Any] = {**provenance["taxonomies"], **provenance["post_types"]}[slug]
    return said


def coverage(structure: Structure) -> tuple[str, set[str]]:
    """How complete the reading says to be, and why it is not more."""
    said = structure.provenance["coverage"]
    return str(said["completeness"]), set(said["reasons"])


@contextmanager
def plugin(site: WordPress, text: str, *, name: str = "of-this-test.php") -> Iterator[None]:
    """A must-use plugin for as long as the block runs, on a site that other tests share."""
    file = site.write(f"wp-content/mu-plugins/{name}", text)
    try:
        yield
    finally:
        file.unlink()


@contextmanager
def rules(site: WordPress, text: str) -> Iterator[None]:
    """Rules of the web server for as long as the block runs."""
    site.set_rules(text)
    try:
        yield
    finally:
        site.set_rules(site.blueprint.rules)
