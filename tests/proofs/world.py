"""A site and a backend on loopback, one agent's state, and what must be true of the three whatever was killed."""

import json
import shutil
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from backend import Push, StandIn
from commands import Command
from fake_wordpress import FakeWordPress, Said, _listed

API_KEY = "key-of-the-proofs"
MEMORY = Path("/dev/shm")  # noqa: S108 - each test makes a folder of its own in it


class GrowingSite(FakeWordPress):
    """Its number of books is the version of its structure; 0 while it is down."""

    books = 1

    def _rest(self, route: str, asked: Mapping[str, str]) -> Said:
        return _listed(self.books, asked) if route == "/wp/v2/libros" else super()._rest(route, asked)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wordpress: GrowingSite

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        wordpress: GrowingSite = self.server.wordpress  # type: ignore[attr-defined]
        said = wordpress.answer(self.command, self.path, self.rfile.read(length)) if wordpress.books else Said(403)
        head = [f"HTTP/1.1 {said.status} Said", f"Content-Length: {len(said.body)}"]
        head += [f"{name}: {text}" for name, text in said.headers.items()]
        # One write a whole answer: two would wait for each other's acknowledgement.
        self.wfile.write("\r\n".join(head).encode() + b"\r\n\r\n" + said.body)

    do_POST = do_OPTIONS = do_GET  # noqa: N815 - as http.server calls them

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            self.close_connection = True  # the agent was killed meanwhile


@contextmanager
def growing_site() -> Iterator[GrowingSite]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    wordpress = GrowingSite(f"http://127.0.0.1:{server.server_port}")
    server.wordpress = wordpress  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield wordpress
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def books_in(document: Mapping[str, Any]) -> int:
    count: int = document["post_types"]["book"]["count"]
    return count


def state_file(home: Path) -> Path:
    return home / "state" / "state.sqlite3"


def rows(home: Path, query: str) -> list[dict[str, Any]]:
    """Of the state as it is on disk; nothing where there are no tables yet."""
    if not state_file(home).exists():
        return []
    with closing(sqlite3.connect(state_file(home))) as database:
        database.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in database.execute(query)]
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return []
            raise


def check_integrity(home: Path) -> None:
    assert [row["integrity_check"] for row in rows(home, "PRAGMA integrity_check")] in ([], ["ok"])


def check_history(home: Path, backend: StandIn) -> None:
    """What the backend was given is what was durable before; never older over newer, one key a document."""
    durable = {row["generation"]: row["document"] for row in rows(home, "SELECT generation, document FROM structure")}
    keys: dict[int, str] = {}
    newest = 0
    for push in backend.pushes:
        assert durable.get(push.generation) == push.body.decode(), f"{push.generation} was sent and is not in the state"
        assert keys.setdefault(push.generation, push.key) == push.key, "two keys of one document"
        assert push.generation >= newest, "an older document was sent over a newer one"
        newest = push.generation
    assert len(set(keys.values())) == len(keys)
    owed = rows(home, "SELECT site, generation FROM outbox")
    assert len(owed) <= 1
    assert all(row["generation"] == max(durable) for row in owed), "an older document is owed than was read"


def check_truth(code: int, said: str, backend: StandIn, home: Path, *, expects: int) -> None:
    """Whatever the command claims of its own run is so."""
    # A JSON line of the log may carry one; asyncio tells there what its own pipe met.
    assert "\nTraceback" not in f"\n{said}", said[said.find("Traceback") :][:1_500]
    try:
        results = [site["result"] for site in json.loads(said[said.index("{\n") :])["sites"]]
    except (ValueError, KeyError):
        results = []
    held = backend.stored.get("8")
    if code == 0 or "delivered" in results:
        assert held and books_in(held) == expects, f"success was claimed\n{said[-500:]}"
    if code == 75 or "pending" in results:
        owed = rows(home, "SELECT body FROM outbox")
        assert [books_in(json.loads(row["body"])) for row in owed] == [expects], f"a debt was claimed\n{said[-500:]}"


@dataclass
class World:
    """One site, one backend, one agent; `begin` puts all three back to a beginning."""

    site: GrowingSite
    backend: StandIn
    command: Command
    beginning: Path

    def __post_init__(self) -> None:
        self._pushes: list[Push] = []
        self._stored: dict[str, dict[str, Any]] = {}

    def remember(self) -> None:
        """From now on this is the beginning."""
        shutil.rmtree(self.beginning, ignore_errors=True)
        shutil.copytree(self.command.home / "state", self.beginning)
        self._pushes, self._stored = list(self.backend.pushes), dict(self.backend.stored)

    def begin(self) -> None:
        shutil.rmtree(self.command.home / "state", ignore_errors=True)
        if self.beginning.exists():
            shutil.copytree(self.beginning, self.command.home / "state")
        self.backend.heal()
        self.backend.pushes[:] = self._pushes
        self.backend.stored = dict(self._stored)
