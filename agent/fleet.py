"""Many sites: each in hand for as long as it takes, and none that can harm another."""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, auto
from traceback import format_exception
from urllib.parse import urlsplit

from agent.errors import AgentError, StateError
from agent.outcome import Outcome
from agent.retry import HELD_SECONDS
from agent.state.records import Delivery, Result
from agent.sync import Ports, Task, redeliver, sync_site

SITES_PER_HOST = 4
"""At once: many sites of one customer live on one server."""
SLOW_PER_PLACE = 16
"""A site that waits for an answer costs a socket and 100 KB, and no work: so many may, for each place."""
DUE_SHARE = 4
"""Each fourth start is the schedule's, however many sites somebody asks for."""
ALLOWANCE = 1.5
"""Of what is usual: so long a site holds its place. One in twenty that hangs then costs the others 8 %, at twice it is 11 %."""
LEAST_ALLOWANCE_SECONDS, SLOW_SECONDS = 0.5, 10.0

Work = Task | Delivery
Told = Callable[[Outcome], None]
"""Hears of each outcome as it comes."""
Find = Callable[[str, bool], tuple[Work, Ports] | None]
"""What to do for a site when its turn has come, and with what; told whether somebody asked. None for nothing."""


class Bug(AgentError):
    """A bug on one site; its traceback goes to the log, and the other sites go on."""

    exit_code = 70

    def __init__(self, error: Exception) -> None:
        super().__init__(
            f"internal error: {type(error).__name__}",
            reason="bug",
            hint="Report it with the log's traceback; the other sites are not affected.",
        )
        self.traceback = "".join(format_exception(error))


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


@dataclass(slots=True, eq=False)
class _InHand:
    work: Work
    ports: Ports
    host: str | None
    outcome: asyncio.Future[Outcome]
    slow: bool
    """Goes on beside the places, of which it takes none."""
    task: asyncio.Task[None] = field(init=False)
    aside: asyncio.TimerHandle | None = None


class Fleet:
    """Starts sites as places come free; no site ever waits for the end of another that hangs.

    places   how many sites of ordinary speed are in hand at once. One that takes longer than is usual
             goes on beside them; one that was slow, or is down, begins beside them the next time.
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
    ) -> None:
        self._find, self._told, self._failed, self._ended = find, told, failed, ended
        self.places = places
        self._queues: dict[Lane, deque[_Waiting]] = {lane: deque() for lane in Lane}
        self._waiting: dict[str, _Waiting] = {}
        self._in_hand: dict[str, _InHand] = {}
        self._beside = 0
        self._hosts: Counter[str] = Counter()
        self._parked: defaultdict[str, deque[_Waiting]] = defaultdict(deque)
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
        for waiting in self._waiting.values():
            waiting.outcome.cancel()
        self._waiting.clear()
        self._parked.clear()
        for queue in self._queues.values():
            queue.clear()

    async def drain(self, seconds: float) -> None:
        """Begin nothing more; what is in hand may end by itself within that time, then it is cancelled."""
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
        if len(self._in_hand) - self._beside < self.places:
            if asked and not (due and self._starts % DUE_SHARE == 0):
                return Lane.ASKED
            if due:
                return Lane.DUE
        # Half of the room beside the places is for those that turn out to be slow.
        return Lane.SLOW if slow and self._beside < self.places * SLOW_PER_PLACE // 2 else None

    def _begin(self, waiting: _Waiting) -> None:
        site, slow = waiting.site, waiting.lane is Lane.SLOW
        found = self._find(site, waiting.lane is Lane.ASKED)
        host = _host(found[0]) if found else None
        if host and self._hosts[host] >= SITES_PER_HOST:
            self._parked[host].append(waiting)
            return
        del self._waiting[site]
        if found is None:
            waiting.outcome.cancel()
            self._ended(site)
            return
        one = _InHand(*found, host, waiting.outcome, slow)
        self._in_hand[site] = one
        self._starts += 1
        if host:
            self._hosts[host] += 1
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
        try:
            outcome = await _bulkhead(one.work, one.ports)
        except StateError as error:
            self._failed(error)
        finally:
            self._put_down(site, one)
            if outcome:
                self._learn(site, one, outcome)
            if outcome and not one.outcome.done():
                one.outcome.set_result(outcome)
            else:
                one.outcome.cancel()
            self._ended(site)
            self._fill()
        if outcome:
            self._told(outcome)

    def _put_down(self, site: str, one: _InHand) -> None:
        if one.aside:
            one.aside.cancel()
        self._beside -= one.slow
        del self._in_hand[site]
        if one.host:
            self._hosts[one.host] -= 1
            if not self._hosts[one.host]:
                del self._hosts[one.host]
            if parked := self._parked.get(one.host):
                following = parked.popleft()
                self._queues[following.lane].appendleft(following)
            else:
                self._parked.pop(one.host, None)
        if waiting := self._waiting.get(site):
            self._queues[waiting.lane].append(waiting)

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


async def _bulkhead(work: Work, ports: Ports) -> Outcome | None:
    """One site's bug becomes that site's outcome; None for nothing to tell. The one broad `except` of this package."""
    started = ports.clock.monotonic()
    site = work.site.name if isinstance(work, Task) else work.site
    try:
        return await (sync_site(work, ports) if isinstance(work, Task) else redeliver(work, ports))
    except StateError:
        raise
    except Exception as error:  # noqa: BLE001 - the bulkhead between sites
        bug, now = Bug(error), ports.clock.now()
        ports.state.record_crash(site, bug, at=now, next_at=now + timedelta(seconds=HELD_SECONDS))
        return Outcome(site, Result.CRASHED, ports.clock.monotonic() - started, bug)
