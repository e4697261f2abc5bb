"""Incoming HTTP: one way to serve an ASGI application inside this process, with limits."""

import asyncio
import errno
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from agent.errors import ConfigError
from agent.reception import let_in, visitors_most

STOP_SECONDS = 0.5
HEADER_SECONDS = 10.0
BACKLOG = 2048


class Protocol(H11Protocol):
    """Hangs up on whoever begins a request and does not end its headers: uvicorn would wait for ever. Where too many
    are there, the one who has been silent for longest makes room: uvicorn would turn away whoever comes.

    Also for uvicorn's own command: `--http agent.web:Protocol`.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        # An answer is two writes; on a kept connection the second waits 40 ms for the first one's acknowledgement.
        # asyncio switches that off only where the listening socket names its protocol, which uvicorn's does not.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._patience: asyncio.TimerHandle | None = None
        self._came_at = self.loop.time()
        self._wait_for_headers()
        if self.limit_concurrency and len(self.connections) >= self.limit_concurrency:
            self._let_another_leave()

    def _let_another_leave(self) -> None:
        silent = [one for one in self.connections if isinstance(one, Protocol) and one is not self and one.is_silent]
        if silent:
            # Who has been answered before may mean to ask again.
            leaving = min(silent, key=lambda one: (one.cycle is not None, one._came_at))  # noqa: SLF001 - one of us
            self.connections.discard(leaving)
            leaving.transport.abort()

    @property
    def is_silent(self) -> bool:
        """Whether nothing is being answered here."""
        return self.cycle is None or self.cycle.response_complete

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_waiting()

    def _wait_for_headers(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
        elif self._patience is None:
            self._patience = self.loop.call_later(HEADER_SECONDS, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._patience:
            self._patience.cancel()
            self._patience = None


def _is_no_stop(record: logging.LogRecord) -> bool:
    """What the end cuts short is no error of the application, as uvicorn has it."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


logging.getLogger("uvicorn.error").addFilter(_is_no_stop)


class _Server(uvicorn.Server):
    """Leaves the signals to the daemon: uvicorn would take SIGTERM and raise it again when it is done."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serve(
    application: Callable[..., Any], *, listen: str, option: str, stop_seconds: float = STOP_SECONDS
) -> AsyncIterator[str]:
    """Serve the application within the block; yields its address, such as `http://127.0.0.1:8765`.

    stop_seconds   what the answers in hand have at the end of the block
    Port 0 is any free one. Raises ConfigError, naming the option, when the address cannot be had.
    """
    listener = _bind(listen, option)
    host, port = listener.getsockname()[:2]
    config = uvicorn.Config(
        application,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        http=Protocol,
        limit_concurrency=visitors_most() + 1,  # when so many are there, one of them is turned away
        timeout_keep_alive=5,
        h11_max_incomplete_event_size=32 * 1024,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[]), name=f"serve {listen}")
    protocol = partial(Protocol, config, server.server_state, {})
    letting_in = asyncio.create_task(let_in(listener, protocol), name=f"let in {listen}")
    try:
        while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn offers no event
            await asyncio.sleep(0.005)
        if not server.started:
            raise _not_listening(listen, option, "the server did not start") from serving.exception()
        yield _reachable(host, port)
    finally:
        letting_in.cancel()
        await asyncio.wait({letting_in})
        listener.close()
        server.should_exit = True
        done, _ = await asyncio.wait({serving}, timeout=stop_seconds)
        if not done:
            server.force_exit = True
            unanswered = {serving, *server.server_state.tasks}
            for one in unanswered:
                one.cancel()
            await asyncio.wait(unanswered)


def _reachable(host: str, port: int) -> str:
    """The address by which this machine itself comes in; a wildcard is none."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _not_listening(listen: str, option: str, why: str, code: int | None = None) -> ConfigError:
    match code:
        case errno.EADDRINUSE:
            hint = f"Stop what listens there, or set {option} to another address."
        case errno.EACCES:
            hint = f"Set {option} to a port above 1023: those below are root's."
        case _:
            hint = f"Set {option} to an address of this machine, such as 127.0.0.1:8765."
    return ConfigError(f"{option}: {listen} cannot be listened on ({why})", reason="listen", hint=hint)


def _bind(listen: str, option: str) -> socket.socket:
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, int(port)))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _not_listening(listen, option, error.strerror or str(error), error.errno) from None
    listener.setblocking(False)
    return listener
