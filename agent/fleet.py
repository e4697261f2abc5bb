"""Many sites: each in hand for as long as it takes, and none that can harm another."""

import asyncio
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from urllib.parse import urlsplit

from agent.bulkhead import Work, in_bulkhead
from agent.crowds import Crowds, Locate, nowhere
from agent.errors import StateError
from agent.outcome import Outcome
from agent.state.records import Result
from agent.sync import Ports, Task

SLOW_PER_PLACE = 16
"""A site that waits for an answer costs a socket and 100 KB, and no work: so many may, for each place."""
DUE_SHARE = 4
"""Each fourth start is the schedule's, however many sites somebody asks for."""
ALLOWANCE = 1.5
"""Of what is usual: so long a site holds its place. One in twenty that hangs then costs the others 8 %, at twice it is 11 %."""
LEAST_ALLOWANCE_SECONDS, SLOW_SECONDS = 0.5, 10.0

Told = Callable[[Outcome], None]
"""Hears of each outcome as it comes."""
Find = Callable[[str, bool], tuple[Work, Ports] | None]
"""What to do for a site when its turn has come, and with what; told whether somebody asked. None for nothing."""


class Lane(Enum):
    ASKED = auto()
    """Somebody waits for it."""
    DUE = auto()
    """Its time has come."""
    SLOW = auto()
    """It was slow or could not be read the last time, so it takes no place from the others."""


@dataclass(slots=True, eq=False)
class _Waiting:
    site: str
    lane: Lane
    outcome: asyncio.Future[Outcome]
    found: bool = False
    """There is something to do for it, as soon as its server has room."""
    came_from: str | None = None
    """The server at which he waited for room, and which is to let in another when he does not use it."""


@dataclass(slots=True, eq=False)
class _InHand:
    work: Work
    ports: Ports
    lane: Lane
    outcome: asyncio.Future[Outcome]
    host: str | None
    server: str | None
    """What of it is counted; the host itself until more is known."""
    slow: bool
    """Goes on beside the places, of which it takes none."""
    task: asyncio.Task[None] = field(init=False)
    aside: asyncio.TimerHandle | None = None


class Fleet:
    """Starts sites as places come free; no site ever waits for the end of another that hangs.

    places   how many sites of ordinary speed are in hand at once. One that takes longer than is usual
             goes on beside them; one that was slow, or is down, begins beside them the next time.
    most     how many are in hand at once in all
    failed   hears of a state that cannot be written: nobody's single fault
    ended    hears which site is no longer in hand, however it ended

    A site is in hand or waiting once, whoever asks.
    """

    def __init__(
        self,
        find: Find,
        *,
        places: int,
        told: Told,
        failed: Callable[[StateError], None],
        ended: Callable[[str], None] = lambda _: None,
        locate: Locate = nowhere,
        most: int = sys.maxsize,
    ) -> None:
        self._find, self._told, self._failed, self._ended = find, told, failed, ended
        self.places, self.most = places, most
        self._queues: dict[Lane, deque[_Waiting]] = {lane: deque() for lane in Lane}
        self._waiting: dict[str, _Waiting] = {}
        self._in_hand: dict[str, _InHand] = {}
        self._beside = 0
        self._crowds: Crowds[_Waiting] = Crowds(locate)
        self._ends = False
        self._slow_sites: set[str] = set()
        self._usual_seconds = 1.0
        self._starts = 0

    @property
    def in_hand(self) -> int:
        return len(self._in_hand)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def uses(self, ports: Ports) -> bool:
        """Whether anything in hand was begun with these."""
        return any(one.ports is ports for one in self._in_hand.values())

    def add(self, site: str, *, asked: bool = False, doubtful: bool = False) -> asyncio.Future[Outcome]:
        """Let a site have its turn; the outcome comes when it comes, cancelled when there was nothing to do.

        asked      to the front, for somebody waits
        doubtful   it was down the last time
        """
        running = self._in_hand.get(site)
        if running and (isinstance(running.work, Task) or not asked):
            return running.outcome
        waiting = self._waiting.get(site)
        if waiting is None:
            slow = doubtful or site in self._slow_sites
            lane = Lane.ASKED if asked else Lane.SLOW if slow else Lane.DUE
            waiting = _Waiting(site, lane, asyncio.get_running_loop().create_future())
        elif not asked or waiting.lane is Lane.ASKED:
            return waiting.outcome
        waiting.lane = Lane.ASKED if asked else waiting.lane
        self._waiting[site] = waiting
        if not running:  # else its turn comes after what is being sent
            self._queues[waiting.lane].append(waiting)
        self._fill()
        return waiting.outcome

    def forget_waiting(self) -> None:
        """Nothing more is begun but what is added from now on."""
        found = [waiting.site for waiting in self._waiting.values() if waiting.found]
        for waiting in self._waiting.values():
            waiting.outcome.cancel()
        self._waiting.clear()
        self._crowds.forget_waiting()
        for queue in self._queues.values():
            queue.clear()
        for site in found:
            self._ended(site)

    async def drain(self, seconds: float) -> None:
        """Begin nothing more; what is in hand may end by itself within that time, then it is cancelled."""
        self._ends = True
        self.forget_waiting()
        tasks = {one.task for one in self._in_hand.values()}
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=seconds)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    def _fill(self) -> None:
        while lane := self._free_lane():
            waiting = self._queues[lane].popleft()
            # One that was asked for meanwhile stands in two queues.
            if self._waiting.get(waiting.site) is waiting and waiting.lane is lane:
                try:
                    self._begin(waiting)
                except StateError as error:
                    self._failed(error)
                    return

    def _free_lane(self) -> Lane | None:
        asked, due, slow = (self._queues[lane] for lane in Lane)
        if len(self._in_hand) >= self.most:
            return None
        if len(self._in_hand) - self._beside < self.places:
            if asked and not (due and self._starts % DUE_SHARE == 0):
                return Lane.ASKED
            if due:
                return Lane.DUE
        # Half of the room beside the places is for those that turn out to be slow.
        return Lane.SLOW if slow and self._beside < max(1, min(self.places * SLOW_PER_PLACE, self.most) // 2) else None

    def _begin(self, waiting: _Waiting) -> None:
        site, slow = waiting.site, waiting.lane is Lane.SLOW
        found = self._find(site, waiting.lane is Lane.ASKED)
        host = _host(found[0]) if found else None
        server = self._crowds.server_of(host) if host else None
        came_from, waiting.came_from = waiting.came_from, None
        if came_from and came_from != server:
            self._let_in_at(came_from)
        waiting.found = found is not None
        if server and self._crowds.is_full(server):
            self._crowds.wait(server, waiting, first=waiting.lane is Lane.ASKED)
            return
        del self._waiting[site]
        if found is None:
            waiting.outcome.cancel()
            self._ended(site)
            return
        one = _InHand(*found, waiting.lane, waiting.outcome, host, server, slow)
        self._in_hand[site] = one
        self._starts += 1
        if server:
            self._crowds.enter(server)
        if slow:
            self._beside += 1
        else:
            self._step_aside_later(site, one)
        one.task = asyncio.create_task(self._work_on(site, one), name=f"site {site}")

    def _step_aside_later(self, site: str, one: _InHand) -> None:
        one.aside = asyncio.get_running_loop().call_later(self._allowance_seconds, self._step_aside, site, one)

    @property
    def _allowance_seconds(self) -> float:
        return min(max(ALLOWANCE * self._usual_seconds, LEAST_ALLOWANCE_SECONDS), SLOW_SECONDS)

    def _step_aside(self, site: str, one: _InHand) -> None:
        if self._beside >= self.places * SLOW_PER_PLACE:
            self._step_aside_later(site, one)
            return
        one.slow = True
        self._beside += 1
        self._fill()

    async def _work_on(self, site: str, one: _InHand) -> None:
        outcome: Outcome | None = None
        crowded = False
        try:
            crowded = await self._leads_to_a_crowd(one)
            if not crowded:
                outcome = await in_bulkhead(one.work, one.ports)
        except StateError as error:
            self._failed(error)
        finally:
            self._put_down(site, one)
            if crowded and not self._ends:
                self._park(site, one)
            else:
                self._end(site, one, outcome)
            self._fill()
        if outcome:
            self._told(outcome)

    async def _leads_to_a_crowd(self, one: _InHand) -> bool:
        """Whether its server, as its name tells now, has enough to do already; else it is one of that server's."""
        if one.host is None or one.server is None:
            return False
        server = await self._crowds.look_up(one.host)
        if server == one.server:
            return False
        if self._crowds.is_full(server):
            return True
        self._leave(one.server)
        one.server = server
        self._crowds.enter(server)
        return False

    def _park(self, site: str, one: _InHand) -> None:
        assert one.host is not None, "a crowd is that of a host"
        self._waiting[site] = _Waiting(site, one.lane, one.outcome, found=True)
        self._crowds.wait(self._crowds.server_of(one.host), self._waiting[site], first=one.lane is Lane.ASKED)

    def _end(self, site: str, one: _InHand, outcome: Outcome | None) -> None:
        if outcome:
            self._learn(site, one, outcome)
        if outcome and not one.outcome.done():
            one.outcome.set_result(outcome)
        else:
            one.outcome.cancel()
        self._ended(site)

    def _put_down(self, site: str, one: _InHand) -> None:
        if one.aside:
            one.aside.cancel()
        self._beside -= one.slow
        del self._in_hand[site]
        if one.server:
            self._leave(one.server)
        if waiting := self._waiting.get(site):
            self._queues[waiting.lane].append(waiting)

    def _leave(self, server: str) -> None:
        self._crowds.leave(server)
        self._let_in_at(server)

    def _let_in_at(self, server: str) -> None:
        while following := self._crowds.next_at(server):
            # One that was asked for meanwhile may have had its turn.
            if self._waiting.get(following.site) is following:
                following.came_from = server
                self._queues[following.lane].appendleft(following)
                return

    def _learn(self, site: str, one: _InHand, outcome: Outcome) -> None:
        if outcome.result is Result.DELIVERED and isinstance(one.work, Task):
            self._usual_seconds += (outcome.duration_seconds - self._usual_seconds) / 10
        if outcome.duration_seconds > SLOW_SECONDS:
            self._slow_sites.add(site)
        else:
            self._slow_sites.discard(site)


def _host(work: Work) -> str | None:
    """Where the site is asked; a document that is sent again asks no site."""
    return urlsplit(work.site.internal_url or work.site.url).netloc if isinstance(work, Task) else None
