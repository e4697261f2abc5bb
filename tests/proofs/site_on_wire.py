"""A small WordPress on a raw socket that is healthy but for one fault at one kind of request."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from fake_wordpress import FakeWordPress
from fakes import Asked, RawServer, Said, answer
from wire_faults import instead_of

KINDS: dict[str, Callable[[str], bool]] = {
    "discovery": lambda target: target.startswith("/wp-json/?"),
    "types": lambda target: target.startswith("/wp-json/wp/v2/types?"),
    "taxonomies": lambda target: target.startswith("/wp-json/wp/v2/taxonomies?"),
    "count": lambda target: target.startswith("/wp-json/wp/v2/libros?"),
    "version": lambda target: "load-styles" in target,
    "sitemap": lambda target: "sitemap" in target,
    "XML-RPC": lambda target: target == "/xmlrpc.php",
}

TOTALS = {"a total below nothing": "-5", "two totals": "5, 6", "an absurd total": "9" * 30, "a total with a line": "1_000"}
"""What is said to be the number of items."""


@dataclass
class SiteOnWire(RawServer):
    fault: str = ""
    kind: str = ""
    moment: str = ""

    def begin(self) -> None:
        """As it was first."""
        self.fault = self.kind = self.moment = ""
        self.asked.clear()

    def heal(self) -> None:
        self.fault = ""

    def say(self, asked: Asked) -> Said:
        said = FakeWordPress(self.url).answer(asked.method, asked.target, asked.body)
        if not self.fault or not KINDS[self.kind](asked.target):
            return answer(said.status, said.body, **said.headers)
        if self.fault in TOTALS:
            said = replace(said, headers={**said.headers, "X-WP-Total": TOTALS[self.fault]})
        right = answer(said.status, said.body, **said.headers)
        return right if self.fault in TOTALS else instead_of(lambda: right, self.fault, self.moment)

    def asked_of(self, kind: str) -> int:
        return sum(KINDS[kind](asked.target) for asked in self.asked)
