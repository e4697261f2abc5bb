"""A small WordPress without WordPress: the shapes that 7.1 answers, so that faults can be put between them.

What WordPress really does is shown in tests/wordpress; here it only has to be healthy wherever a
test does not break it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import md5
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from xmlrpc.client import Fault, dumps, loads

POSTS = {"post": ("posts", 3), "page": ("pages", 2), "attachment": ("media", 4), "book": ("libros", 5)}
TERMS = {"category": ("categories", 2), "post_tag": ("tags", 0), "genre": ("genre", 7)}
FORMATS = 1
COUNTS = {slug: count for slug, (_, count) in {**POSTS, **TERMS}.items()} | {"post_format": FORMATS}
VERSION = "7.1.4"
PASSWORD = "abcd efgh ijkl mnop"


@dataclass(frozen=True)
class Said:
    """One answer, before it has a wire."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def said_json(value: Any, status: int = 200, **headers: str) -> Said:
    named = {key.replace("_", "-"): text for key, text in headers.items()}
    return Said(status, json.dumps(value).encode(), {"Content-Type": "application/json; charset=UTF-8", **named})


NOT_FOUND = Said(404, b"<!doctype html><html><title>Not Found</title></html>", {"Content-Type": "text/html"})


class FakeWordPress:
    """Answers like a site at `url`: by XML-RPC to whoever knows PASSWORD, by REST as if it were stripped off.

    accepts_header   REST believes any login in the header
    gullible         the search route takes any slug for one of its own
    """

    def __init__(self, url: str, *, accepts_header: bool = False, gullible: bool = False) -> None:
        self.url = url
        self.accepts_header = accepts_header
        self.gullible = gullible

    def answer(self, method: str, target: str, body: bytes = b"") -> Said:
        parts = urlsplit(target)
        asked = dict(parse_qsl(parts.query))
        if parts.path.startswith("/wp-json/"):
            said = self._rest(parts.path.removeprefix("/wp-json").rstrip("/"), asked)
            return _enveloped(said) if "_envelope" in asked else said
        match parts.path:
            case "/":
                return self._feed() if asked.get("feed") else self._front()
            case "/wp-sitemap.xml":
                return self._sitemap(*(f"wp-sitemap-posts-{slug}-1.xml" for slug in ("post", "page", "book", "hidden")))
            case "/wp-sitemap-posts-hidden-1.xml":
                return self._sitemap(*(f"hidden/{number}/" for number in range(6)))
            case "/wp-admin/load-styles.php":
                return Said(headers={"ETag": f'W/"{md5(f"WP:{VERSION};".encode()).hexdigest()}"'})
            case "/xmlrpc.php" if method == "POST":
                return self._xmlrpc(body)
            case "/xmlrpc.php":
                return Said(body=f'<rsd><api name="WP-API" apiLink="{self.url}/wp-json/" /></rsd>'.encode())
        return NOT_FOUND

    def _front(self) -> Said:
        page = f'<!doctype html><html><head><title>Shop</title><meta name="generator" content="WordPress {VERSION}">'
        return Said(
            body=f'{page}<link rel="https://api.w.org/" href="{self.url}/wp-json/"></head></html>'.encode(),
            headers={"Link": f'<{self.url}/wp-json/>; rel="https://api.w.org/"', "Content-Type": "text/html"},
        )

    def _feed(self) -> Said:
        return Said(body=f"<rss><generator>https://wordpress.org/?v={VERSION}</generator></rss>".encode())

    def _sitemap(self, *names: str) -> Said:
        return Said(body="".join(f"<loc>{self.url}/{name}</loc>" for name in names).encode())

    def _rest(self, route: str, asked: Mapping[str, str]) -> Said:
        match route:
            case "":
                return said_json(self._index())
            case "/wp/v2/types":
                return said_json({slug: _entry(slug, base) for slug, (base, _) in POSTS.items()} | {
                    "wp_block": _entry("wp_block", "blocks"), "nav_menu_item": _entry("nav_menu_item", "menu-items")})
            case "/wp/v2/taxonomies":
                return said_json({slug: _entry(slug, base) for slug, (base, _) in TERMS.items()})
            case "/wp/v2/search":
                return _searched(asked, gullible=self.gullible)
            case "/wp/v2/users/me" if self.accepts_header:
                return said_json({"id": 1, "slug": "joe", "roles": ["editor"]})
            case "/wp/v2/users/me":
                return said_json({"code": "rest_not_logged_in", "data": {"status": 401}}, 401)
        for base, count in {**POSTS, **TERMS}.values():
            if route == f"/wp/v2/{base}":
                return _listed(count, asked)
        return said_json({"code": "rest_no_route", "data": {"status": 404}}, 404)

    def _index(self) -> dict[str, Any]:
        searchable = [slug for slug in (*POSTS, *TERMS) if slug != "attachment"]
        subtype = {"subtype": {"items": {"enum": [*searchable, "any"]}}}
        return {
            "name": "Tom &amp; Jerry",
            "url": self.url,
            "home": self.url,
            "namespaces": ["oembed/1.0", "wp/v2"],
            "authentication": {"application-passwords": {"endpoints": {}}},
            "routes": {"/wp/v2/search": {"endpoints": [{"args": subtype}]}},
        }

    def _xmlrpc(self, body: bytes) -> Said:
        parameters, method = loads(body)
        if method == "system.multicall":
            result: Any = [_told(call["methodName"], call["params"]) for call in parameters[0]]
        else:
            told = _told(str(method), list(parameters))
            result = Fault(told["faultCode"], told["faultString"]) if isinstance(told, dict) else told[0]
        answered = result if isinstance(result, Fault) else (result,)
        return Said(body=dumps(answered, methodresponse=True).encode(), headers={"Content-Type": "text/xml"})


def _entry(slug: str, base: str) -> dict[str, Any]:
    return {"name": slug.title(), "slug": slug, "rest_base": base, "rest_namespace": "wp/v2", "hierarchical": False}


def _listed(count: int, asked: Mapping[str, str] | None = None) -> Said:
    page, size = int((asked or {}).get("page", 1)), int((asked or {}).get("per_page", 1))
    if page > 1 and (page - 1) * size >= count:
        return said_json({"code": "rest_post_invalid_page_number", "data": {"status": 400}}, 400)
    items = [{"id": number} for number in range(1, count + 1)][(page - 1) * size : page * size]
    return said_json(items, X_WP_Total=str(count), X_WP_TotalPages=str(count))


def _searched(asked: Mapping[str, str], *, gullible: bool) -> Said:
    """Any slug is taken in either family: what is unknown there is answered with all of the family."""
    if asked.get("type") == "post-format":
        return _listed(FORMATS)
    family = POSTS if asked.get("type") == "post" else TERMS
    known = {slug: count for slug, (_, count) in family.items() if slug != "attachment"}
    slug = asked.get("subtype", "any")
    count = known.get(slug, sum(known.values()))
    named = slug if slug in known or gullible else next(iter(known))
    item = {"id": 1, "type": "post", "subtype": named} if family is POSTS else {"id": 1, "type": named}
    return said_json([item] if count else [], X_WP_Total=str(count), X_WP_TotalPages=str(count))


def _enveloped(said: Said) -> Said:
    inner = {"body": json.loads(said.body), "status": said.status, "headers": dict(said.headers)}
    return Said(200, json.dumps(inner).encode(), {"Content-Type": "application/json"})


def _told(method: str, parameters: list[Any]) -> Any:
    if parameters[-1] != PASSWORD and PASSWORD not in parameters:
        return {"faultCode": 403, "faultString": "Incorrect username or password."}
    match method:
        case "wp.getOptions":
            return [{"software_version": {"value": VERSION}}]
        case "wp.getUsersBlogs":
            return [[{"isAdmin": False}]]
        case "wp.getTerms" if "post_format" in parameters:
            return [[{"term_id": number} for number in range(FORMATS)]]
        case "wp.getTerms" | "wp.getPosts":
            return [[{"term_id": 1}, {"term_id": 2}]]
        case "wp.getPostTypes":
            return [{slug: {"name": slug, "label": slug.title(), "public": True} for slug in POSTS}]
        case _:
            return [[{"name": slug, "label": slug.title(), "public": True} for slug in (*TERMS, "post_format")]]
