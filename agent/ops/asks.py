"""What somebody asked the daemon for, and what became of it."""

import asyncio
import secrets
from collections.abc import Callable, Iterable
from dataclasses import replace

from agent.errors import AgentError
from agent.outcome import Outcome

OPEN_MOST = 32
"""Orders at once; each is for any number of sites, and none lets a site be read twice at a time."""
ANSWERED_KEPT = 16
"""Those whose answers can still be fetched."""
PAGE_BYTES = 512 * 1024
UNFETCHED_BYTES = 2 * 1024 * 1024
"""Of one order; what comes after that loses its structure, for nobody seems to follow."""

Ask = Callable[[str], asyncio.Future[Outcome]]
"""Brings one site up to date."""
Said = Callable[[Outcome], bytes]
"""An outcome as it goes out; without its structure where it has none."""


class TooManyAsks(AgentError):
    """Enough is asked for already."""

    exit_code = 75


class Order:
    """The sites that were asked for at once, and the outcomes so far in the order in which they came."""

    def __init__(self, sites: Iterable[str]) -> None:
        self.id = secrets.token_urlsafe(12)
        self.sites = tuple(sites)
        self.gone = 0
        """Sites that were taken out of the settings before their turn came."""
        self.more = asyncio.Event()
        self._said: dict[int, bytes] = {}
        self._count = self._bytes = 0

    @property
    def done(self) -> bool:
        return self._count + self.gone >= len(self.sites)

    @property
    def count(self) -> int:
        return self._count

    def add(self, outcome: Outcome | None, said: Said) -> None:
        """None for a site whose turn never came."""
        if outcome is None:
            self.gone += 1
        else:
            spoken = said(outcome if self._bytes < UNFETCHED_BYTES else replace(outcome, structure=None))
            self._said[self._count] = spoken
            self._bytes += len(spoken)
            self._count += 1
        self.more.set()

    def page(self, start: int) -> list[bytes]:
        """The outcomes from that one on, at least one if there is any, at most so many that they are soon sent.

        Whoever asks for these has the earlier ones, so those are let go.
        """
        for number in [number for number in self._said if number < start]:
            self._bytes -= len(self._said.pop(number))
        found: list[bytes] = []
        size = 0
        for number in range(start, self._count):
            said = self._said.get(number)
            if said is None or (found and size + len(said) > PAGE_BYTES):
                break
            found.append(said)
            size += len(said)
        return found


class Orders:
    """All that is open, and the last ones that were answered."""

    def __init__(self, ask: Ask, said: Said) -> None:
        self._ask, self._said = ask, said
        self._orders: dict[str, Order] = {}

    def place(self, sites: Iterable[str]) -> Order:
        """Ask for these sites, all of them known. Raises TooManyAsks."""
        if sum(not order.done for order in self._orders.values()) >= OPEN_MOST:
            raise TooManyAsks(
                "too much is asked for already", reason="demand_coalesced", hint="Wait for what is in hand."
            )
        order = Order(dict.fromkeys(sites))
        for outcome in [self._ask(site) for site in order.sites]:
            outcome.add_done_callback(lambda one: order.add(None if one.cancelled() else one.result(), self._said))
        self._orders[order.id] = order
        answered = [known.id for known in self._orders.values() if known.done]
        for known in answered[: max(0, len(answered) - ANSWERED_KEPT)]:
            del self._orders[known]
        return order

    def get(self, id: str) -> Order | None:
        return self._orders.get(id)
