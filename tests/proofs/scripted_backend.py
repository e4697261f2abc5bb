"""A backend on a raw socket that is healthy but for one fault at one kind of request."""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from fakes import Asked, RawServer, Said, answer
from wire_faults import FAULTS, in_the_middle_of

LISTING = "/api/v1/integration/integrations/"
EXPIRED = answer(401, {"code": "token_not_valid"})


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

    def heal(self) -> None:
        self.fault = ""

    def say(self, asked: Asked) -> Said:
        kind = kind_of(asked)
        if not self.fault or kind != self.kind:
            return self.right(kind, asked)
        if self.moment == "before":
            return FAULTS[self.fault]
        right = self.right(kind, asked)
        return in_the_middle_of(right, self.fault) if self.moment == "middle" else FAULTS[self.fault]

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
    def asked_of(self) -> Counter[str]:
        return Counter(kind_of(asked) for asked in self.asked)
