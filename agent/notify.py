"""Who else is told: a dead-man's switch that expects a ping, and a webhook. Silent until one is named.

Nothing here can fail or delay a run: what is to be sent waits in a short queue, is tried twice, and is
dropped, with a line in the log, when nobody takes it.
"""

import asyncio
import hashlib
import hmac
import json
import ssl
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import structlog

from agent.clock import Clock
from agent.errors import AgentError, NotificationFailed
from agent.exchange import Observer
from agent.faults import RECEIVER
from agent.net.resolver import Resolver
from agent.outages import Turn, Turning
from agent.outcome import Outcome
from agent.redact import Redactor
from agent.retry import RetryPolicy
from agent.structure.diff import Changes
from agent.structure.payload import iso_utc
from agent.telemetry import events
from agent.transport import Limits, Transport, open_transport

QUEUED = 256
"""Messages that wait for their receivers; a storm of failures is no reason to fill the memory."""
LIMITS = Limits(connect_seconds=5, read_seconds=10, deadline_seconds=10, body_bytes=64 * 1024, redirects=0)
TWICE = RetryPolicy(attempts=2, base_seconds=1.0, cap_seconds=5.0)
SIGNATURE_HEADER = "X-Wpsa-Signature"
ROUND_SECONDS = 300.0
"""The switch of all sites hears of one round in this time; such services count pings."""

log = structlog.stdlib.get_logger("agent")


@dataclass(frozen=True, slots=True)
class Receivers:
    """Whom to tell; all of it secret, for whoever knows such an address may speak in our name."""

    fleet_ping: str | None = field(default=None, repr=False)
    site_pings: Mapping[str, str] = field(default_factory=dict, repr=False)
    """By the site's name."""
    webhook: str | None = field(default=None, repr=False)
    webhook_secret: str | None = field(default=None, repr=False)
    count_change_percent: int | None = None
    """By how much a count must change to be told of; None for not at all."""

    def __bool__(self) -> bool:
        return bool(self.fleet_ping or self.site_pings or self.webhook)


@dataclass(frozen=True, slots=True)
class _Message:
    url: str = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    """None for a ping."""
    signature: str | None = None


class _Channel:
    """A short queue and whoever sends what is in it, one after another."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[_Message] = asyncio.Queue(QUEUED)
        self._dropped = 0

    def put(self, message: _Message) -> None:
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            self._dropped += 1

    async def send_all(self, transport: Transport) -> None:
        """Send what comes, until cancelled."""
        while True:
            message = await self._queue.get()
            try:
                await _send(transport, message)
            except AgentError as error:
                _tell(error)
            finally:
                self._queue.task_done()
            if self._dropped and self._queue.empty():
                _tell(_failed(f"{self._dropped} notifications were dropped, because too many waited"))
                self._dropped = 0

    async def sent(self) -> None:
        """Wait until all is sent."""
        await self._queue.join()


async def _send(transport: Transport, message: _Message) -> None:
    if message.body is None:
        answer = await transport.fetch("GET", message.url, retry=TWICE)
    else:
        headers = {"Content-Type": "application/json"}
        headers |= {SIGNATURE_HEADER: message.signature} if message.signature else {}
        answer = await transport.fetch("POST", message.url, headers=headers, content=message.body, retry=TWICE)
    if not 200 <= answer.status < 300:
        what, where = "ping" if message.body is None else "webhook", urlsplit(message.url).hostname
        raise _failed(f"{where} answered the {what} with {answer.status}")


class Notifier:
    """Turns outcomes into messages.

    failing   the sites that failed when the process began
    """

    def __init__(
        self,
        receivers: Receivers,
        *,
        pings: _Channel,
        webhooks: _Channel,
        redactor: Redactor,
        clock: Clock,
        failing: Iterable[str],
    ) -> None:
        self._receivers = receivers
        self._pings, self._webhooks = pings, webhooks
        self._redactor = redactor
        self._clock = clock
        self._failing = set(failing)
        self._round: set[str] = set()
        self._round_is_told = False
        self._next_round_at = clock.monotonic()

    def begun(self, site: str) -> None:
        """A site is about to be read. What fails already says nothing each time that it is tried again."""
        if site not in self._failing:
            self._ping(self._receivers.site_pings.get(site), "start")
        now = self._clock.monotonic()
        if not (self._round or self._failing) and now >= self._next_round_at:
            self._next_round_at = now + ROUND_SECONDS
            self._round_is_told = True
            self._ping(self._receivers.fleet_ping, "start")
        self._round.add(site)

    def hear(self, outcome: Outcome, turn: Turn | None) -> None:
        """A run has ended. A failure is told when it begins and when it ends, and not in between."""
        ping = self._receivers.site_pings.get(outcome.site)
        if outcome.error is None:
            self._failing.discard(outcome.site)
            self._ping(ping)
        else:
            self._failing.add(outcome.site)
            if turn:
                self._ping(ping, "fail")
        self._end_of_round(outcome.site, turn)
        if url := self._receivers.webhook:
            for message in messages_of(outcome, turn, count_change_percent=self._receivers.count_change_percent):
                self._webhooks.put(self._webhook(url, message))

    def _end_of_round(self, site: str, turn: Turn | None) -> None:
        """All sites are well only together: the first that fails is told at once."""
        self._round.discard(site)
        if turn and turn.turning is Turning.BEGAN:
            self._ping(self._receivers.fleet_ping, "fail")
        elif not (self._round or self._failing) and (self._round_is_told or turn):
            self._round_is_told = False
            self._ping(self._receivers.fleet_ping)

    def _ping(self, url: str | None, what: str = "") -> None:
        if url:
            self._pings.put(_Message(_below(url, what) if what else url))

    def _webhook(self, url: str, message: dict[str, Any]) -> _Message:
        stamped = {"id": str(uuid.uuid4()), "at": iso_utc(self._clock.now()), **message}
        # An error may quote what the other side said, and that is told to a third one here.
        body = self._redactor.hide_in_json(json.dumps(stamped)).encode("ascii")
        secret = self._receivers.webhook_secret
        return _Message(url, body, signature(secret, body) if secret else None)


@asynccontextmanager
async def open_notifier(
    receivers: Receivers,
    *,
    ssl_context: ssl.SSLContext,
    resolver: Resolver,
    redactor: Redactor,
    clock: Clock,
    failing: Iterable[str],
    observers: tuple[Observer, ...] = (),
    patience_seconds: float,
) -> AsyncIterator[Notifier]:
    """Tells these receivers within the block.

    patience_seconds   how long the end of the block waits for what is not sent yet
    """
    # A webhook that hangs must not make a switch believe that we are dead.
    channels = pings, webhooks = _Channel(), _Channel()
    notifier = Notifier(receivers, pings=pings, webhooks=webhooks, redactor=redactor, clock=clock, failing=failing)
    if not receivers:
        yield notifier
        return
    opened = open_transport(
        faults=RECEIVER, ssl_context=ssl_context, resolver=resolver, limits=LIMITS, clock=clock, observers=observers
    )
    async with opened as transport:
        sending = [asyncio.create_task(channel.send_all(transport), name="notify") for channel in channels]
        try:
            yield notifier
            await _all_sent(channels, patience_seconds)
        finally:
            for task in sending:
                task.cancel()
            await asyncio.gather(*sending, return_exceptions=True)


async def _all_sent(channels: tuple[_Channel, ...], seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            for channel in channels:
                await channel.sent()
    except TimeoutError:
        _tell(_failed("not all notifications were sent before the end"))


def messages_of(outcome: Outcome, turn: Turn | None, *, count_change_percent: int | None) -> list[dict[str, Any]]:
    """What the webhook hears of an outcome: mostly nothing."""
    site, changes = outcome.site, outcome.changes
    told = [*changes.types, *_much_changed(changes, count_change_percent)]
    messages: list[dict[str, Any]] = []
    if told:
        text = f"{site}: {'; '.join(told)}"
        messages.append({"event": "structure.changed", "site": site, "text": text, "changes": told})
    if turn is None or (turn.known and turn.turning is not Turning.ENDED):
        return messages
    if turn.turning is Turning.ENDED:
        seconds = round(turn.failing_for_seconds)
        text = f"{site} works again"
        messages.append({"event": "site.recovered", "site": site, "text": text, "degraded_for_seconds": seconds})
    elif error := outcome.error:
        messages.append({
            "event": "site.degraded", "site": site, "text": f"{site}: {error.message} — {error.hint}",
            "result": outcome.result, "reason": error.reason, "error": error.message, "hint": error.hint,
        })  # fmt: skip
    return messages


def _much_changed(changes: Changes, percent: int | None) -> list[str]:
    """The changes of counts that are large in comparison to the larger of the two."""
    if percent is None:
        return []
    steps = zip(changes.counts, changes.count_steps, strict=True)
    return [text for text, (old, new) in steps if abs(new - old) * 100 >= max(old, new) * percent]


def signature(secret: str, body: bytes) -> str:
    """`sha256=` and the hexadecimal HMAC of the body, as GitHub and others send it."""
    return "sha256=" + hmac.new(secret.encode("utf-8", "surrogatepass"), body, hashlib.sha256).hexdigest()


def _below(url: str, what: str) -> str:
    """The switch's other addresses lie below its own: `…/start`, `…/fail`."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{what}"))


def _failed(what: str) -> NotificationFailed:
    return NotificationFailed(what, reason="not_notified", hint="Check the address, and the service behind it.")


def _tell(error: AgentError) -> None:
    log.warning(
        events.NOTIFICATION_FAILED,
        message="nobody was notified",
        reason=error.reason,
        error=error.message,
        hint=error.hint,
    )
