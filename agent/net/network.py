"""How a connection is made: the name's addresses, those of them that are allowed, and the first that answers."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import TypeVar

import httpx

from agent.net.addresses import Address, Bounds
from agent.net.resolver import Resolver

STAGGER_SECONDS = 0.25
"""How long one address is ahead of the next: RFC 8305."""
MOST_ADDRESSES = 8
PINNED_SECONDS = 300.0
"""How long a name keeps its addresses: longer than any reading, and soon over for a backend that has moved."""

Speaking = TypeVar("Speaking", bound=asyncio.Protocol)
_Connected = tuple[Address, socket.socket]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a connection leads."""

    scheme: str
    host: str
    port: int
    tls_name: str
    """Whose certificate is asked for; another name than the host's on a detour."""

    @classmethod
    def of(cls, request: httpx.Request) -> "Origin":
        url = request.url
        host = url.raw_host.decode("ascii")
        name = request.extensions.get("sni_hostname", host)
        return cls(url.scheme, host, url.port or (443 if url.scheme == "https" else 80), name)


class Network:
    """The way out of one transport."""

    def __init__(self, resolver: Resolver, tls: ssl.SSLContext, *, connect_seconds: float) -> None:
        self._resolver = resolver
        self._tls = tls
        self._tls.set_alpn_protocols(["http/1.1"])
        self._connect_seconds = connect_seconds
        self._pinned: dict[str, tuple[float, tuple[Address, ...]]] = {}
        self._bounds = Bounds()

    async def connect(self, origin: Origin, protocol: Callable[[], Speaking]) -> Speaking:
        """A connection that speaks this protocol. Raises httpx's ConnectError and ConnectTimeout, and AddressRefused."""
        try:
            addresses = self._bounds.allowed(origin.host, await self._addresses(origin.host))
            async with asyncio.timeout(self._connect_seconds):
                address, connected = await first_connected(by_turns(addresses), origin.port)
        except TimeoutError:
            self._pinned.pop(origin.host, None)
            raise httpx.ConnectTimeout("no connection within the time limit") from None
        except OSError as error:
            self._pinned.pop(origin.host, None)
            raise httpx.ConnectError(str(error)) from error
        self._bounds.reached(address)
        return await self._speak(origin, connected, protocol)

    async def _addresses(self, host: str) -> tuple[Address, ...]:
        now = asyncio.get_running_loop().time()
        until, addresses = self._pinned.get(host, (now, ()))
        if now >= until:
            addresses = await self._resolver.addresses(host)
            self._pinned[host] = now + PINNED_SECONDS, addresses
        return addresses

    async def _speak(self, origin: Origin, connected: socket.socket, protocol: Callable[[], Speaking]) -> Speaking:
        loop = asyncio.get_running_loop()
        tls, name = (self._tls, origin.tls_name) if origin.scheme == "https" else (None, None)
        try:
            async with asyncio.timeout(self._connect_seconds):
                _, speaking = await loop.create_connection(protocol, sock=connected, ssl=tls, server_hostname=name)
        except OSError as error:
            # Who took the connection, and then hangs or hangs up, does not speak TLS as we do.
            is_told = isinstance(error, ssl.SSLError) or tls is None
            raise httpx.ConnectError(str(error)) from (error if is_told else ssl.SSLError("the handshake broke off"))
        return speaking


def by_turns(addresses: Sequence[Address]) -> list[Address]:
    """One of each family in turn, the preferred first, so that a dead family costs one stagger."""
    preferred = [address for address in addresses if address.version == addresses[0].version]
    other = [address for address in addresses if address.version != addresses[0].version]
    return [address for address in chain(*zip_longest(preferred, other)) if address][:MOST_ADDRESSES]


async def first_connected(addresses: Sequence[Address], port: int) -> _Connected:
    """The first address that takes a connection; the next is tried when one fails or hesitates.

    Raises OSError when all fail.
    """
    waiting, failures = list(addresses), list[OSError]()
    trying = set[asyncio.Task[_Connected]]()
    try:
        while waiting or trying:
            if waiting:
                trying.add(asyncio.create_task(_connected(waiting.pop(0), port)))
            stagger = STAGGER_SECONDS if waiting else None
            done, _ = await asyncio.wait(trying, timeout=stagger, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                trying.discard(task)
                try:
                    return task.result()
                except OSError as error:
                    failures.append(error)
    finally:
        for task in trying:
            task.cancel()
            task.add_done_callback(_close_unwanted)
    # A refusal comes from the host itself, and tells more than a missing route to its other address.
    raise next((error for error in failures if isinstance(error, ConnectionRefusedError)), failures[-1])


async def _connected(address: Address, port: int) -> _Connected:
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    # The protocol is named, because asyncio switches Nagle's delay off only where it is.
    connecting = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        connecting.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connecting, (str(address), port))
    except BaseException:
        connecting.close()
        raise
    return address, connecting


def _close_unwanted(task: asyncio.Task[_Connected]) -> None:
    if not task.cancelled() and not task.exception():
        task.result()[1].close()
