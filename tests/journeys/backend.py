"""A small backend of the contract, written from its words alone: it imports nothing of ours.

It keeps what it was sent, and misbehaves on demand. `python backend.py` serves one, to look at by hand.
"""

import hashlib
import json
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

LIST_SHAPES = ("list", "page", "envelope", "envelope of a page")
LISTING = "/api/v1/integration/integrations/"
WEB_PAGE = b"<!doctype html><title>Sign in</title><p>Please sign in.</p>"
NOTHING_YET: dict[str, Any] = {"post_types": {}, "taxonomies": {}, "last_structure_fetch": None}


@dataclass
class Push:
    """One update-structure request as it arrived."""

    integration: str
    document: dict[str, Any]
    body: bytes
    key: str
    generation: int


@dataclass
class StandIn:
    """The backend's memory, and its faults; serves while used as a context manager."""

    api_key: str
    shape: str = "page"
    integrations: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {"id": 6, "site": 41, "platform": "wordpress"},
            {"id": 7, "site": 42, "platform": "shopify"},
            {"id": 8, "site": 42, "platform": "wordpress"},
        ]
    )
    fault: str = ""
    """Of pushes: `500`, `401`, `422`, `202`, `html`, `drop before commit`, `drop after commit`; empty for none."""
    listing_fault: str = ""
    """Of the look-up: `html`, `hang`; empty for none."""
    faults_left: int = -1
    """How often the fault of pushes still strikes; -1 for ever."""
    attempts: int = 0
    """Pushes that arrived, accepted or not."""
    pushes: list[Push] = field(default_factory=list)
    """Every push that was accepted, repeated ones too."""
    stored: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By integration: `config_json['content_types']`."""
    listed: threading.Event = field(default_factory=threading.Event)
    """Set when somebody has asked for the integrations."""
    released: threading.Event = field(default_factory=threading.Event)
    """Set it to end a hanging look-up."""

    def __enter__(self) -> Self:
        self._server = _Server(self, self.handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def handler(self) -> type["Handler"]:
        return Handler

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def effects(self) -> int:
        """How many different documents had an effect: a repeated key changes nothing."""
        return len({push.key for push in self.pushes})

    @property
    def ids(self) -> set[str]:
        return {str(row["id"]) for row in self.integrations}

    def heal(self) -> None:
        self.fault = self.listing_fault = ""
        self.faults_left = -1
        self.released.set()

    def strikes(self) -> str:
        """The fault that this push meets."""
        if not self.fault or self.faults_left == 0:
            return ""
        self.faults_left -= 1
        return self.fault

    def keep(self, push: Push) -> None:
        """Store the document, unless this key was taken before."""
        known = {earlier.key: hashlib.sha256(earlier.body).digest() for earlier in self.pushes}
        if push.key in known and known[push.key] != hashlib.sha256(push.body).digest():
            raise AssertionError("the same key came with other bytes")
        self.pushes.append(push)
        if push.key not in known:
            fetched_at = datetime.now(UTC).isoformat()
            families = {name: push.document[name] for name in ("post_types", "taxonomies")}
            self.stored[push.integration] = {**families, "last_structure_fetch": fetched_at}

    def listing(self, query: dict[str, list[str]]) -> Any:
        """The matching rows, in the chosen one of the four shapes; a page holds one row."""
        site, platform = query.get("site", [""])[0], query.get("platform", [""])[0]
        rows = [row for row in self.integrations if str(row["site"]) == site and row["platform"] == platform]
        first = int(query.get("page", ["1"])[0]) - 1
        page = {
            "count": len(rows),
            # The host that some proxy saw: nobody may follow it.
            "next": f"http://proxy.invalid{LISTING}?site={site}&platform={platform}&page={first + 2}"
            if first + 1 < len(rows)
            else None,
            "previous": None,
            "results": rows[first : first + 1],
        }
        match self.shape:
            case "list":
                return self.integrations  # such a backend has been seen: it does not know the filter
            case "page":
                return page
            case "envelope":
                return {"success": True, "data": rows}
            case _:
                return {"success": True, "data": page}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, backend: StandIn, handler: type["Handler"]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.backend = backend


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer is two writes, and the second would wait for an acknowledgement

    @property
    def backend(self) -> StandIn:
        assert isinstance(self.server, _Server)
        return self.server.backend

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if not self._is_known():
            return
        if parts.path == LISTING:
            self._list(parse_qs(parts.query))
        elif (found := _integration_in(parts.path, "content-types")) in self.backend.ids:
            self._answer(200, self.backend.stored.get(str(found), NOTHING_YET))
        else:
            self._answer(404, {"detail": "Not found."})

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        integration = _integration_in(self.path, "update-structure")
        if len(body) < length:
            self._drop()  # the agent was killed meanwhile
            return
        if not self._is_known():
            return
        if integration is None or integration not in self.backend.ids:
            self._answer(404, {"detail": "Not found."})
            return
        push = Push(
            integration, json.loads(body), body, self.headers["Idempotency-Key"],
            int(self.headers["X-Structure-Generation"]),
        )  # fmt: skip
        self.backend.attempts += 1
        match self.backend.strikes():
            case "500":
                self._answer(500, {"detail": "database is away"})
            case "401":
                self._answer(401, {"detail": "Invalid API key."})
            case "422":
                self._answer(422, {"post_types": ["A post type “book” is not allowed here."]})
            case "202":
                self.backend.keep(push)
                self._answer(202, {"success": True, "message": "Queued"})
            case "html":
                self._page()
            case "drop before commit":
                self._drop()
            case "drop after commit":
                self.backend.keep(push)
                self._drop()
            case _:
                self.backend.keep(push)
                self._answer(200, {"success": True, "message": "Structure updated"})

    def _is_known(self) -> bool:
        if self.headers["Authorization"] == f"Bearer {self.backend.api_key}":
            return True
        # A careless backend repeats what it was given, and logs are where that ends up.
        said = f"Invalid API key: {self.headers['Authorization']}"
        self._answer(401, {"detail": said}, {"WWW-Authenticate": "Bearer"})
        return False

    def _list(self, query: dict[str, list[str]]) -> None:
        self.backend.listed.set()
        if self.backend.listing_fault == "html":
            self._page()
            return
        if self.backend.listing_fault == "hang":
            self.backend.released.wait(30)
        self._answer(200, self.backend.listing(query))

    def _answer(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _page(self) -> None:
        self._send(200, WEB_PAGE, {"Content-Type": "text/html"})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        try:
            self.send_response(status)
            for name, value in (*headers.items(), ("Content-Length", str(len(body)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            self.close_connection = True  # the agent was killed meanwhile

    def _drop(self) -> None:
        """The connection ends without a byte of an answer."""
        self.close_connection = True


def _integration_in(path: str, action: str) -> str | None:
    start, end = LISTING, f"/{action}/"
    inside = path.startswith(start) and path.endswith(end)
    return path[len(start) : -len(end)] if inside else None


def serve_by_hand(wait: Callable[[], object]) -> None:
    with StandIn(api_key="by-hand") as backend:
        sys.stdout.write(f"WPSA_BACKEND_URL={backend.url} WPSA_BACKEND_API_KEY=by-hand WPSA_BACKEND_SITE_ID=42\n")
        sys.stdout.flush()
        wait()


if __name__ == "__main__":
    serve_by_hand(threading.Event().wait)
