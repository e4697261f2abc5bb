"""The REST root of a site, which may be a path or a query, and how to address a route below it."""

from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from agent.wordpress.address import host_of

_OURS = ("_fields", "_ts")
"""Parameters that are ours, and none of the root's."""


@dataclass(frozen=True, slots=True)
class RestRoot:
    """`https://x/wp-json/` or `https://x/index.php?rest_route=/`, as the site announced it."""

    url: str
    cache_key: str = ""
    """Added to every request, where WordPress ignores it: a cache that knows only URLs must ask anew."""

    def route(self, path: str, **parameters: str | int) -> str:
        """The URL of a route such as `wp/v2/types`; parameters join what the root's query holds.

        Each segment of the path is quoted, so that a slug can never leave the API.
        """
        parts = urlsplit(self.url)
        path = "/".join(quote(segment, safe="") for segment in path.strip("/").split("/"))
        query = parse_qsl(parts.query, keep_blank_values=True)
        if any(key == "rest_route" for key, _ in query):
            query = [(k, f"{v.rstrip('/')}/{path}" if k == "rest_route" else v) for k, v in query]
            location = parts.path
        else:
            location = f"{parts.path.rstrip('/')}/{path}"
        query += [(key, str(value)) for key, value in parameters.items()]
        if self.cache_key:
            query.append(("_ts", self.cache_key))
        return urlunsplit(parts._replace(path=location, query=urlencode(query, safe="/,."), fragment=""))

    def found_at(self, url: str) -> "RestRoot":
        """The same root where redirects of its index led to: all other requests go there at once."""
        parts = urlsplit(url)
        query = [(key, value) for key, value in parse_qsl(parts.query, keep_blank_values=True) if key not in _OURS]
        return RestRoot(urlunsplit(parts._replace(query=urlencode(query, safe="/"))), self.cache_key)

    def beside(self, address: str) -> str | None:
        """A site's address as this root is reached, without a trailing slash; None when it is on another host.

        WordPress names its addresses as they were typed in: often by http behind a root by https.
        """
        if host_of(address) != host_of(self.url):
            return None
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc, urlsplit(address).path.rstrip("/"), "", ""))

    @property
    def is_query(self) -> bool:
        """Whether it is reached by `rest_route`, as with plain permalinks."""
        return "rest_route=" in self.url

    @property
    def origin(self) -> tuple[str, str]:
        """(scheme, host with port) of a root that was found: where a login may be sent."""
        parts = urlsplit(self.url)
        return parts.scheme, parts.netloc
