"""Servers beside the hub on this machine: a site that an agent may read, and a page that means ill."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from fake_wordpress import FakeWordPress, Said

Answer = Callable[[str, str, bytes], Said]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    say: Answer


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        said = self.server.say(self.command, self.path, body)
        self.send_response(said.status)
        for name, value in {**said.headers, "Content-Length": str(len(said.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else said.body)

    do_GET = do_POST = do_HEAD = answer  # noqa: N815 - as the standard library calls them

    def log_message(self, *said: object) -> None:
        """Nothing: tests have logs of their own."""


@contextmanager
def served(say: Answer | None = None) -> Iterator[int]:
    """Answer by `say`, or like a small WordPress; yields the port."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        port = server.server_address[1]
        server.say = say or FakeWordPress(f"http://127.0.0.1:{port}").answer
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield port
        finally:
            server.shutdown()
            thread.join()
