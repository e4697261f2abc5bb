"""A small WordPress on a raw socket that is healthy but for one fault at one kind of request."""

from collections.abc import Callable
from dataclasses import dataclass

from fake_wordpress import FakeWordPress
from fakes import Asked, RawServer, Said, answer
from wire_faults import FAULTS, in_the_middle_of

KINDS: dict[str, Callable[[str], bool]] = {
    "discovery": lambda target: target.startswith("/wp-json/?"),
    "types": lambda target: target.startswith("/wp-json/wp/v2/types?"),
    "taxonomies": lambda target: target.startswith("/wp-json/wp/v2/taxonomies?"),
    "count": lambda target: target.startswith("/wp-json/wp/v2/libros?"),
    "version": lambda target: "load-styles" in target,
    "sitemap": lambda target: "sitemap" in target,
    "XML-RPC": lambda target: target == "/xmlrpc.php",
}


@dataclass
class SiteOnWire(RawServer):
    fault: str = ""
    kind: str = ""
    moment: str = ""

    def heal(self) -> None:
        self.fault = ""

    def say(self, asked: Asked) -> Said:
        said = FakeWordPress(self.url).answer(asked.method, asked.target, asked.body)
        right = answer(said.status, said.body, **said.headers)
        if not self.fault or not KINDS[self.kind](asked.target):
            return right
        return in_the_middle_of(right, self.fault) if self.moment == "middle" else FAULTS[self.fault]

    def asked_of(self, kind: str) -> int:
        return sum(KINDS[kind](asked.target) for asked in self.asked)
