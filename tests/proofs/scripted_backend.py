"""A backend on a raw socket that is healthy but for one fault at one kind of request."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fakes import Asked, RawServer, Said, answer
from wire_faults import instead_of

LISTING = "/api/v1/integration/integrations/"
EXPIRED = answer(401, {"code": "token_not_valid"})

OURS = {"id": 8, "site": 42, "platform": "wordpress"}


def _paged(asked: Asked) -> dict[str, Any]:
    """Each page has another after it."""
    number = int(parse_qs(urlsplit(asked.target).query).get("page", ["1"])[0])
    return {"results": [], "next": f"http://proxy.invalid{LISTING}?page={number + 1}"}


LISTINGS: dict[str, Callable[[Asked], Any]] = {
    "none": lambda _: [],
    "several": lambda _: [OURS, OURS | {"id": 9}],
    "another site's": lambda _: [OURS | {"site": 41}],
    "another platform's": lambda _: [OURS | {"platform": "shopify"}],
    "no end of pages": _paged,
    "a circle of pages": lambda asked: {"results": [], "next": f"http://proxy.invalid{asked.target}"},
    "pages elsewhere": lambda asked: {"results": [OURS], "next": None}
    if "page" in asked.target
    else {"results": [], "next": f"http://192.0.2.1{LISTING}?page=2"},
    "a page": lambda _: {"count": 1, "next": None, "previous": None, "results": [OURS]},
    "an envelope": lambda _: {"success": True, "data": [OURS]},
    "an envelope of a page": lambda _: {"success": True, "data": {"results": [OURS], "next": None}},
    "another envelope": lambda _: {"items": [OURS]},
    "a path for an id": lambda _: [OURS | {"id": "../../admin"}],
    "fields that nobody knows": lambda _: [OURS | {"mood": {"of": ["the", "day"]}}],
}
"""What the list of integrations may be like."""


def kind_of(asked: Asked) -> str:
    path = asked.target.split("?")[0]
    match path.removeprefix("/api/v1/").removeprefix("integration/integrations/").rstrip("/").split("/")[-1]:
        case "login":
            return "login"
        case "refresh":
            return "refresh"
        case "update-structure":
            return "push"
        case "content-types":
            return "read-back"
        case _:
            return "look-up"


@dataclass
class ScriptedBackend(RawServer):
    script: list[Said] = field(default_factory=list)
    fault: str = ""
    kind: str = ""
    moment: str = ""
    expires: bool = False
    """The first token is refused once, so that it has to be refreshed."""
    stored: dict[str, Any] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    """Of each push that was kept."""
    tokens: int = 0

    def begin(self) -> None:
        """As it was first."""
        self.fault = self.kind = self.moment = ""
        self.expires, self.stored, self.tokens = False, {}, 0
        self.keys.clear()
        self.asked.clear()

    def heal(self) -> None:
        self.fault = ""

    def say(self, asked: Asked) -> Said:
        kind = kind_of(asked)
        if not self.fault or kind != self.kind:
            return self.right(kind, asked)
        if kind == "look-up" and self.fault in LISTINGS:
            return answer(200, LISTINGS[self.fault](asked))
        if kind == "push" and self.fault == "an echo of another":
            if self.moment == "after":
                self.right(kind, asked)
            return answer(200, {"success": True, "post_types": {"book": {"count": 1}}, "taxonomies": {}})
        return instead_of(lambda: self.right(kind, asked), self.fault, self.moment)

    def right(self, kind: str, asked: Asked) -> bytes:
        if kind not in ("login", "refresh") and self._is_expired(asked):
            return EXPIRED
        match kind:
            case "login" | "refresh":
                self.tokens += 1
                return answer(200, {"access": f"access-{self.tokens}", "refresh": f"refresh-{self.tokens}"})
            case "look-up":
                return answer(200, [{"id": 8, "site": 42, "platform": "wordpress"}])
            case "push":
                document = json.loads(asked.body)
                self.stored = {key: document[key] for key in ("post_types", "taxonomies")}
                self.keys.append(asked.headers["idempotency-key"])
                return answer(200, {"success": True, "message": "Structure updated"})
            case _:
                return answer(200, self.stored or {"post_types": {}, "taxonomies": {}})

    def _is_expired(self, asked: Asked) -> bool:
        expired, self.expires = self.expires and asked.headers["authorization"] == "Bearer access-1", False
        return expired

    @property
    def pushes(self) -> list[Asked]:
        return [asked for asked in self.asked if kind_of(asked) == "push"]

    @property
    def asked_of(self) -> Counter[str]:
        return Counter(kind_of(asked) for asked in self.asked)
