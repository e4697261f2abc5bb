"""The same bad mood in front of any backend: what is asked for goes on to it, and comes back, or does not."""

import json
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from backend import LIST_SHAPES, LISTING, Handler
from hostile_backend import LOGIN, REFRESH, HostileHandler, HostileStandIn

OF_THE_WAY = ("connection", "content-length", "host", "transfer-encoding", "date", "server")
"""Headers that each hop says for itself."""


@dataclass
class HostileFront(HostileStandIn):
    """Of deliveries alone: what a backend offers besides is asked once and left alone, so no mood of it is bearable."""

    behind: str = ""
    """The address of the backend."""

    def handler(self) -> type[Handler]:
        return FrontHandler

    def mood(self, what: str, *, keeps: bool, tokened: bool) -> str:
        parts = urlsplit(what.split()[1])
        delivers = parts.path in (LOGIN, REFRESH, LISTING) or parts.path.endswith(("/update-structure/", "/content-types/"))
        return super().mood(what, keeps=keeps, tokened=tokened) if delivers and "sync_request" not in parts.query else ""


class FrontHandler(HostileHandler):
    def get(self) -> None:
        self.pass_on()

    def post(self) -> None:
        self.pass_on()

    def sign_in(self) -> None:
        self.pass_on()

    def do_PATCH(self) -> None:  # noqa: N802 - as http.server calls it
        self.pass_on()

    def pass_on(self) -> None:
        assert isinstance(self.backend, HostileFront)
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        behind = HTTPConnection(urlsplit(self.backend.behind).netloc, timeout=30)
        try:
            kept = {name: text for name, text in self.headers.items() if name.lower() not in OF_THE_WAY}
            behind.request(self.command, self.path, body, kept)
            answer = behind.getresponse()
            said = answer.read()
        finally:
            behind.close()
        if answer.status == 200 and urlsplit(self.path).path == LISTING:
            said = json.dumps(self._reshaped(json.loads(said))).encode()
        headers = {name: text for name, text in answer.getheaders() if name.lower() not in OF_THE_WAY}
        self._send(answer.status, said, headers)

    def _reshaped(self, listing: Any) -> Any:
        """The same rows in another of the four shapes, unless more of them follow."""
        if not isinstance(listing, dict) or listing.get("next"):
            return listing
        match self.hostile.chance("shape").choice(LIST_SHAPES):
            case "list":
                return listing["results"]
            case "page":
                return listing
            case "envelope":
                return {"success": True, "data": listing["results"]}
            case _:
                return {"success": True, "data": listing}
