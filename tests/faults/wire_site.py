"""A fake WordPress on a real wire, where something else may be said in the place of any answer."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from ssl import SSLContext, create_default_context
from typing import Any

import fake_wordpress
from fake_wordpress import FakeWordPress
from fakes import Asked, ManualClock, RawServer, Said, answer, served

from agent import faults
from agent.structure.build import build_structure
from agent.structure.model import Answers, Choices, Site, Structure
from agent.transport import Limits, Transport, open_transport
from agent.wordpress.reader import SiteReader
from agent.wordpress.xmlrpc import Login

Instead = Callable[[Asked], Said | None]


def healthy(asked: Asked) -> None:
    """Nothing else is said."""


PLACES: dict[str, Callable[[Asked], bool]] = {
    "index": lambda asked: asked.target.startswith("/wp-json/?"),
    "types": lambda asked: asked.target.startswith("/wp-json/wp/v2/types?"),
    "taxonomies": lambda asked: asked.target.startswith("/wp-json/wp/v2/taxonomies?"),
    "one collection": lambda asked: asked.target.startswith("/wp-json/wp/v2/libros?"),
    "search": lambda asked: asked.target.startswith("/wp-json/wp/v2/search?"),
    "sitemap": lambda asked: "sitemap" in asked.target,
    "version": lambda asked: "load-styles" in asked.target,
    "login": lambda asked: "users/me" in asked.target,
    "xmlrpc": lambda asked: asked.target == "/xmlrpc.php",
    "everything": lambda asked: True,
}


@dataclass
class WireSite(RawServer):
    instead: Instead = field(default=healthy)

    def say(self, asked: Asked) -> Said:
        return self.instead(asked) or self.say_healthy(asked)

    def say_healthy(self, asked: Asked) -> bytes:
        return on_wire(FakeWordPress(self.url).answer(asked.method, asked.target, asked.body))

    def count(self, place: str) -> int:
        return sum(PLACES[place](asked) for asked in self.asked)


def on_wire(said: fake_wordpress.Said) -> bytes:
    return answer(said.status, said.body, **said.headers)


def at(place: str, *said: Said) -> Instead:
    """Say this at one place: each in turn, and the last one from then on."""
    left = list(said)

    def instead(asked: Asked) -> Said | None:
        if not PLACES[place](asked):
            return None
        return left.pop(0) if len(left) > 1 else left[0]

    return instead


@asynccontextmanager
async def wire_site(instead: Instead = healthy, *, host: str = "127.0.0.1") -> AsyncIterator[WireSite]:
    async with served(WireSite([b""], instead=instead), host=host) as site:
        yield site


@cache
def tls() -> SSLContext:
    return create_default_context()


def reader(*, login: Login | None = None, clock: ManualClock | None = None, **limits: Any) -> SiteReader:
    used = (clock or ManualClock()).clock

    def open_site(site: Site) -> AbstractAsyncContextManager[Transport]:
        return open_transport(faults=faults.SITE, ssl_context=tls(), limits=Limits(**limits), clock=used)

    return SiteReader(open_site, used, login_for=lambda site: login)


async def read(site: WireSite, *, login: Login | None = None, **options: Any) -> Answers:
    named = Site(site.url.removeprefix("http://"), site.url)
    return await reader(login=login, **options).read(named)


def structure_of(answers: Answers) -> Structure:
    return build_structure(answers, choices=Choices(), last_known={})


def counts(answers: Answers) -> dict[str, int | None]:
    return {kind.slug: count.value for kind, count in answers.counted}
