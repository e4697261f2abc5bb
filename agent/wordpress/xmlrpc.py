"""XML-RPC, of which only a few reading methods are ever sent: exact where REST is silent."""

import re
import xmlrpc.client
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.parsers.expat import ExpatError

from agent.errors import SiteError
from agent.structure.label import clean_label, label_from_slug
from agent.structure.model import ContentType, Family, LabelSource
from agent.wordpress.address import is_web_address
from agent.wordpress.answers import SLUG, VERSION
from agent.wordpress.statuses import is_challenge
from agent.wordpress.visit import Visit

READ_ONLY_METHODS = frozenset(
    {
        "system.listMethods",
        "system.multicall",
        "wp.getOptions",
        "wp.getPostTypes",
        "wp.getPosts",
        "wp.getTaxonomies",
        "wp.getTerms",
        "wp.getUsersBlogs",
    }
)
"""Nothing else leaves this process, inside a multicall neither."""

# Blog ids are ignored by a single site, and by a subsite addressed by its own URL.
_BLOG = 1
_POSTS_A_CALL = 500
_CALLS_LIMIT = 20
_TAXONOMIES_TOLD = ("post_format", "category")
_TERMS_TOLD = 100
"""Whoever has more is counted by REST, where a count costs no listing."""


class XmlRpcUnavailable(Exception):
    """The endpoint is switched off, blocked or answers something else; never a reason to give up on a site."""


class XmlRpcForbidden(XmlRpcUnavailable):
    """Something in front of the site refused this one call; it may let others pass."""


class XmlRpcRefused(Exception):
    """The endpoint answered: this login may not, or is wrong (`code` 403)."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Login:
    """What XML-RPC carries in its body, where no web server can strip it."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Login(username={self.username!r}, password=***)"


@dataclass(frozen=True, slots=True)
class Told:
    """What the site says of itself to this login, exactly as PHP's own functions would."""

    version: str | None
    site_url: str | None
    """get_site_url()."""
    home: str | None
    """home_url(): whose site this is."""
    title: str
    types: dict[str, ContentType]
    taxonomies: dict[str, ContentType]
    may_manage: bool
    """Whether this login may manage the site: only then the lists hold everything."""
    terms: dict[str, int]
    """{taxonomy: how many it has} of the one that REST never lists, and of one that nearly every site has."""


class XmlRpc:
    """One site's endpoint with one login."""

    def __init__(self, visit: Visit, *, endpoint: str, login: Login) -> None:
        self._visit = visit
        self._endpoint = endpoint
        self._login = (_BLOG, login.username, login.password)

    async def introduce(self) -> Told:
        """Version, address, all public post types and taxonomies, and the terms of two of these, in one request.

        Raises XmlRpcUnavailable, or XmlRpcRefused when the login is wrong or the site gives no lists.
        """
        options, types, taxonomies, blogs, *terms = await self._several(
            ("wp.getOptions", [*self._login, ["software_version", "blog_url", "home_url", "blog_title"]]),
            # A field list keeps the capabilities and labels out of the answer; the filter is public = true.
            ("wp.getPostTypes", [*self._login, {"public": True}, ["label"]]),
            ("wp.getTaxonomies", [*self._login, {"public": True}, ["label"]]),
            ("wp.getUsersBlogs", [*self._login[1:]]),
            *(("wp.getTerms", [*self._login, taxonomy, {"number": _TERMS_TOLD}]) for taxonomy in _TAXONOMIES_TOLD),
        )
        for refusal in (types, taxonomies):
            # A wrong login (403), XML-RPC switched off (405), a method taken away: no list is not an empty one.
            if isinstance(refusal, XmlRpcRefused):
                raise refusal
        said = {name: _dict(option).get("value") for name, option in _dict(options).items()}
        version = said.get("software_version")
        return Told(
            version=version if isinstance(version, str) and re.fullmatch(VERSION, version) else None,
            site_url=_address(said.get("blog_url")),
            home=_address(said.get("home_url")),
            title=clean_label(said.get("blog_title")) or "",
            types=_public(Family.POST_TYPE, types),
            taxonomies=_public(Family.TAXONOMY, taxonomies),
            may_manage=any(_dict(blog).get("isAdmin") is True for blog in (blogs if isinstance(blogs, list) else [])),
            terms={
                taxonomy: len(told)
                for taxonomy, told in zip(_TAXONOMIES_TOLD, terms, strict=True)
                if isinstance(told, list) and len(told) < _TERMS_TOLD
            },
        )

    async def count_terms(self, taxonomy: str) -> int | None:
        """All terms, empty ones too; None when this login may not list them."""
        [terms] = await self._several(("wp.getTerms", [*self._login, taxonomy]))
        return len(terms) if isinstance(terms, list) else None

    async def count_posts(self, post_type: str, *, status: str) -> int | None:
        """Items of that status that this login may edit: all of them for an administrator. None when it may not list."""
        total = 0
        for call in range(_CALLS_LIMIT):
            asked = {
                "post_type": post_type,
                "post_status": status,
                "number": _POSTS_A_CALL,
                "offset": call * _POSTS_A_CALL,
            }
            [posts] = await self._several(("wp.getPosts", [*self._login, asked, ["post_id"]]))
            if not isinstance(posts, list):
                return None
            total += len(posts)
            if len(posts) < _POSTS_A_CALL:
                return total
        return None

    async def _several(self, *calls: tuple[str, list[Any]]) -> list[Any]:
        """The results in order; a fault stands in its place as XmlRpcRefused."""
        if len(calls) == 1:
            method, parameters = calls[0]
            return [await self._call(method, parameters)]
        packed = [{"methodName": method, "params": parameters} for method, parameters in calls]
        try:
            results = await self._call("system.multicall", [packed])
        except XmlRpcForbidden:  # firewalls refuse it by name, since it can carry hundreds of guesses
            return await self._one_by_one(calls)
        if isinstance(results, XmlRpcRefused):
            return await self._one_by_one(calls)
        return _unpacked(results, len(calls))

    async def _one_by_one(self, calls: Sequence[tuple[str, list[Any]]]) -> list[Any]:
        """Where just the multicall is forbidden. After a refused login no other call is one more attempt."""
        results: list[Any] = []
        for method, parameters in calls:
            refused = next((r for r in results if isinstance(r, XmlRpcRefused) and r.code == 403), None)
            try:
                results.append(refused or await self._call(method, parameters))
            except XmlRpcForbidden:
                if not results:
                    raise
                results.append(XmlRpcRefused(0, f"{method} is forbidden"))
        return results

    async def _call(self, method: str, parameters: Sequence[Any]) -> Any:
        body = xmlrpc.client.dumps(tuple(parameters), method, encoding="utf-8", allow_none=False)
        for name in (method, *_methods_inside(parameters)):
            assert name in READ_ONLY_METHODS, "only reading methods are ever sent"
        try:
            answer = await self._visit.http.fetch(
                "POST", self._endpoint, headers={"Content-Type": "text/xml"}, content=body.encode()
            )
        except SiteError as error:
            raise XmlRpcUnavailable(error.message) from None
        if answer.status in (403, 406) and not is_challenge(answer):
            raise XmlRpcForbidden(f"HTTP {answer.status}")
        if answer.status != 200:
            raise XmlRpcUnavailable(f"HTTP {answer.status}")
        return parse_answer(answer.body)


def parse_answer(body: bytes) -> Any:
    """The value of a methodResponse; a fault is returned as XmlRpcRefused. Raises XmlRpcUnavailable.

    Whatever stands before the XML (a byte order mark, a notice) is skipped; a document type is
    refused, since an answer needs no entities of its own.
    """
    start = re.search(rb"<\?xml|<methodResponse", body[:65_536])
    if start is None or b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise XmlRpcUnavailable("the answer is no XML-RPC")
    try:
        values, _ = xmlrpc.client.loads(body[start.start() :], use_builtin_types=True)
    except xmlrpc.client.Fault as fault:
        return _refusal(fault.faultCode, fault.faultString)
    except _NO_ANSWER as error:
        raise XmlRpcUnavailable(f"the answer is no XML-RPC: {type(error).__name__}") from None
    if len(values) != 1:
        raise XmlRpcUnavailable("the answer holds no value")
    return values[0]


# What the standard library's parser raises for XML that is no answer is not one class: an unknown
# encoding is a LookupError, <bigdecimal>x</bigdecimal> an ArithmeticError.
_NO_ANSWER = (
    xmlrpc.client.Error, ExpatError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError,
    AssertionError, RecursionError,
)  # fmt: skip


def _unpacked(results: Any, expected: int) -> list[Any]:
    """Of a multicall: each result is wrapped in a list, each fault is a struct."""
    if not isinstance(results, list) or len(results) != expected:
        raise XmlRpcUnavailable("the multicall answered for other calls")
    return [
        result[0]
        if isinstance(result, list) and len(result) == 1
        else _refusal(_dict(result).get("faultCode"), _dict(result).get("faultString"))
        for result in results
    ]


def _refusal(code: Any, text: Any) -> XmlRpcRefused:
    return XmlRpcRefused(code if isinstance(code, int) else 0, text[:200] if isinstance(text, str) else "fault")


def _address(value: Any) -> str | None:
    return value if isinstance(value, str) and is_web_address(value) else None


def _public(family: Family, value: Any) -> dict[str, ContentType]:
    """{slug: content type} of those that say they are public."""
    entries = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    found = {}
    for entry in map(_dict, entries):
        slug = entry.get("name")
        if isinstance(slug, str) and SLUG.fullmatch(slug) and entry.get("public") is True:
            label = clean_label(entry.get("label"))
            source = LabelSource.XMLRPC if label else LabelSource.SLUG
            found[slug] = ContentType(family, slug, label or label_from_slug(slug), source)
    return found


def _methods_inside(parameters: Sequence[Any]) -> list[str]:
    packed = parameters[0] if parameters and isinstance(parameters[0], list) else []
    return [call["methodName"] for call in packed if isinstance(call, dict)]


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
