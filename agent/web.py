"""Incoming HTTP: one way to serve an ASGI application inside this process, with limits."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn

from agent.errors import ConfigError

STOP_SECONDS = 1.0


class _Server(uvicorn.Server):
    """Leaves the signals to the daemon: uvicorn would take SIGTERM and raise it again when it is done."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serve(application: Callable[..., Any], *, listen: str, option: str) -> AsyncIterator[str]:
    """Serve the application within the block; yields its address, such as `http://127.0.0.1:8765`.

    Port 0 is any free one. Raises ConfigError, naming the option, when the address cannot be had.
    """
    listener = _bind(listen, option)
    host, port = listener.getsockname()[:2]
    server = _Server(
        uvicorn.Config(
            application,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=100,
            timeout_keep_alive=5,
            h11_max_incomplete_event_size=32 * 1024,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]), name=f"serve {listen}")
    try:
        while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn offers no event
            await asyncio.sleep(0.005)
        yield _reachable(host, port)
    finally:
        server.should_exit = True
        done, _ = await asyncio.wait({serving}, timeout=STOP_SECONDS)
        if not done:
            server.force_exit = True
            serving.cancel()
            await asyncio.wait({serving})
        listener.close()


def _reachable(host: str, port: int) -> str:
    """The address by which this machine itself comes in; a wildcard is none."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _bind(listen: str, option: str) -> socket.socket:
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    # The protocol is named, because asyncio switches Nagle's delay off only where it is: 40 ms an answer.
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, int(port)))
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"{option}: {listen} cannot be listened on ({error.strerror})",
            reason="listen",
            hint=f"Stop what listens there, or set {option} to another address.",
        ) from None
    listener.set_inheritable(False)
    return listener
