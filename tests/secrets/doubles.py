"""A site, a backend and a receiver on loopback that know nothing of discretion: what they are told they repeat."""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

from canaries import Canary
from fake_wordpress import FakeWordPress

LISTING = "/api/v1/integration/integrations/"
Answer = tuple[int, bytes, Mapping[str, str]]


@dataclass
class Double:
    """Serves while used as a context manager; `answers` decides what it says."""

    answers: Callable[["Double", str, str, Mapping[str, str], bytes], Answer]
    seen: list[str] = field(default_factory=list)
    """Whatever could be learned from the requests: targets, headers and bodies."""

    def __enter__(self) -> Self:
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, double: Double) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.double = double


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self) -> None:
        assert isinstance(self.server, _Server)
        double = self.server.double
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        double.seen.append(f"{self.path}\n{self.headers}\n{body.decode('utf-8', 'replace')}")
        status, content, headers = double.answers(double, self.command, self.path, dict(self.headers), body)
        try:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)
        except OSError:
            self.close_connection = True  # whoever asked was stopped meanwhile

    do_GET = do_POST = do_HEAD = do_OPTIONS = _answer  # noqa: N815 - the standard library's names


def a_site(double: Double, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
    """A healthy WordPress that believes whoever logs in."""
    said = FakeWordPress(double.url, accepts_header="Authorization" in headers).answer(method, target, body)
    return said.status, said.body, said.headers


def a_parrot(double: Double, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
    """Refuses everything, and says with what it was asked."""
    echo = {"code": "no", "detail": f"{method} {target} {json.dumps(dict(headers))}", "message": body.decode("utf-8", "replace")}
    return 401, json.dumps(echo).encode(), {"Content-Type": "application/json", "WWW-Authenticate": "Basic, Bearer"}


def a_wreck(double: Double, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
    """Breaks down over everything, and repeats what it was asked in its page of errors."""
    page = f"<h1>Fatal error</h1><pre>{target}\n{dict(headers)!r}\n{body!r}</pre>"
    return 500, page.encode(), {"Content-Type": "text/html"}


def a_receiver(double: Double, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
    return 200, b"OK", {}


def backend_of(access: Canary, refresh: Canary) -> Callable[..., Answer]:
    """A backend that hands out tokens, and takes whatever comes with one, or with any key."""

    def a_backend(double: Double, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        path = urlsplit(target).path
        if path.startswith("/api/v1/auth/"):
            return _said({"access": access.value, "refresh": refresh.value})
        if path == LISTING:
            return _said([{"id": 8, "site": 42, "platform": "wordpress"}, {"id": 9, "site": 43, "platform": "wordpress"}])
        if path.endswith("/update-structure/"):
            return _said({"success": True, "message": f"thank you for {headers.get('Authorization')}"})
        return _said({"post_types": {}, "taxonomies": {}, "last_structure_fetch": None})

    return a_backend


def _said(value: Any) -> Answer:
    return 200, json.dumps(value).encode(), {"Content-Type": "application/json"}
