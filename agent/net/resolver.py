"""Names become addresses, in threads of our own: asyncio's few are soon all hung, and the exit waits for them."""

import asyncio
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from ipaddress import ip_address

from agent.net.addresses import Address

AT_ONCE = 16
PLACE_SECONDS = 1.0
"""How long a name waits for one of those places: names that hang hold theirs for ever, and starve nobody."""
MOST_THREADS = 128
ANSWER_SECONDS = 5.0
KEPT_SECONDS = 60.0
FAILURE_KEPT_SECONDS = 3.0

LookUp = Callable[[str], list[str]]
"""From a name to one or more numeric addresses, the preferred first; blocks, and raises OSError."""


def ask_system(host: str) -> list[str]:
    """As every program of this machine resolves it: hosts file, name servers and whatever else is configured."""
    try:
        # Bytes, because text goes through a codec that has errors of its own.
        found = socket.getaddrinfo(host.encode("ascii"), None, type=socket.SOCK_STREAM)
    except OSError:
        # Without a descriptor to read its files with, the system says of each name that there is no such one.
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        raise
    return [str(address[0]) for _, _, _, _, address in found]


@dataclass(frozen=True, slots=True)
class _Resolution:
    """One name that was asked for once, for all who want it."""

    asked_at: float
    """By the clock of the event loop."""
    answer: Future[tuple[Address, ...]] = field(default_factory=Future)

    def is_useful(self, now: float) -> bool:
        age = now - self.asked_at
        if not self.answer.done():
            return True  # even when it hangs: a second thread would hang beside it
        return age < (FAILURE_KEPT_SECONDS if self.answer.exception() else KEPT_SECONDS)


class Resolver:
    """One for the process: each name is asked for once at a time, and remembered for a while."""

    def __init__(self, look_up: LookUp = ask_system) -> None:
        self._look_up = look_up
        self._resolutions: dict[str, _Resolution] = {}
        self._places = threading.Semaphore(AT_ONCE)

    async def addresses(self, host: str) -> tuple[Address, ...]:
        """Of this name, each once; raises socket.gaierror, also when there is no answer in time."""
        try:
            return (ip_address(host),)
        except ValueError:
            pass
        now = asyncio.get_running_loop().time()
        resolution = self._resolutions.get(host)
        if resolution is None or not resolution.is_useful(now):
            resolution = self._begin(host, now)
        left = ANSWER_SECONDS - (now - resolution.asked_at)
        try:
            async with asyncio.timeout(None if resolution.answer.done() else left):
                return await asyncio.wrap_future(resolution.answer)
        except TimeoutError:
            raise socket.gaierror(socket.EAI_AGAIN, "no name server answered in time") from None

    def _begin(self, host: str, now: float) -> _Resolution:
        self._resolutions = {name: one for name, one in self._resolutions.items() if one.is_useful(now)}
        if sum(not one.answer.done() for one in self._resolutions.values()) >= MOST_THREADS:
            raise socket.gaierror(socket.EAI_AGAIN, "too many names are waiting for an answer")
        resolution = self._resolutions[host] = _Resolution(now)
        resolution.answer.set_running_or_notify_cancel()  # so that nobody who gives up cancels it for the others
        # A daemon: a thread that hangs in the system's resolver cannot be ended, and must not hold up the exit.
        arguments = (host, resolution.answer)
        try:
            threading.Thread(target=self._resolve, args=arguments, name=f"resolve {host}", daemon=True).start()
        except RuntimeError as error:  # the system's limit of threads: a moment later there may be one
            resolution.answer.set_exception(socket.gaierror(socket.EAI_AGAIN, str(error)))
        return resolution

    def _resolve(self, host: str, answer: Future[tuple[Address, ...]]) -> None:
        has_place = self._places.acquire(timeout=PLACE_SECONDS)
        try:
            found = tuple(dict.fromkeys(ip_address(text) for text in self._look_up(host)))
        except Exception as error:  # noqa: BLE001 - raised again in whoever waits
            answer.set_exception(error)
        else:
            answer.set_result(found)
        finally:
            if has_place:
                self._places.release()
