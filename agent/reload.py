"""Changed settings, brought into the running agent: whole, or not at all."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from operator import attrgetter
from pathlib import Path
from typing import Final, Self

import structlog

from agent.bootstrap import Agent
from agent.config import Loaded
from agent.errors import AgentError, ConfigError, StateError
from agent.naming import chosen_sites
from agent.ops.metrics import Metrics
from agent.redact import Redactor
from agent.rounds import Rounds
from agent.settings import Settings, SiteSettings
from agent.telemetry import events
from agent.telemetry.logs import configure

FIXED: Final = ("state.dir", "state.url", "hub.listen", "ops.listen", "ops.token")
"""What was opened at the start and stays open."""

log = structlog.stdlib.get_logger("agent")

Marks = tuple[tuple[int, int, int] | None, ...]
"""(when it was written, size, inode) of each file; None for one that is not there."""


class Moves:
    """One agent after another in the same premises; the one before stays until its work in hand has ended."""

    def __init__(self, move_in: Callable[[Settings, Sequence[SiteSettings]], AbstractAsyncContextManager[Agent]]) -> None:
        self._move_in = move_in
        self._here: list[tuple[Agent, AsyncExitStack]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave_unless(lambda _: False)

    async def to(self, settings: Settings, sites: Sequence[SiteSettings]) -> Agent:
        """The agent of these settings. Raises ConfigError."""
        stack = AsyncExitStack()
        agent = await stack.enter_async_context(self._move_in(settings, sites))
        self._here.append((agent, stack))
        return agent

    async def leave_unless(self, used: Callable[[Agent], bool]) -> None:
        """Close those that nothing in hand was begun by, the newest first."""
        for agent, stack in reversed(self._here[:]):
            if not used(agent):
                self._here.remove((agent, stack))
                await stack.aclose()


class Reload:
    """Reads the settings again on SIGHUP, and when a file that they came from was changed and then left alone."""

    def __init__(
        self,
        loaded: Loaded,
        reread: Callable[[], Loaded],
        *,
        rounds: Rounds,
        moves: Moves,
        metrics: Metrics,
        redactor: Redactor,
    ) -> None:
        self._loaded, self._reread = loaded, reread
        self._rounds, self._moves, self._metrics, self._redactor = rounds, moves, metrics, redactor
        self._wanted = False
        self._waits = False
        """Whether new settings were right, and the state could not take them in."""
        self._read = self._seen = marks_of(loaded.files)

    def on_hangup(self, wake: Callable[[], None]) -> None:
        """From now on SIGHUP means: read the settings again."""

        def asked() -> None:
            self._wanted = True
            wake()

        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, asked)

    async def if_wanted(self) -> None:
        """Reload if somebody asked, or a changed file has stayed the same since the last look."""
        await self._moves.leave_unless(self._rounds.uses)
        marks = marks_of(self._loaded.files)
        changed, self._seen = marks != self._read and marks == self._seen, marks
        if self._wanted or changed:
            self._wanted, self._read = False, marks
            await self.reload()

    async def reload(self) -> None:
        """The new settings rule from here on, or the old ones go on and the log says why."""
        before = self._loaded.settings
        try:
            loaded = self._reread()
            settings, sites = loaded.settings, chosen_sites(loaded.settings, ())
            _refuse_what_is_fixed(before, settings)
            for username, secret in settings.secrets():
                self._redactor.add(secret, username=username)
            agent = await self._moves.to(settings, sites)
        except AgentError as error:
            self._metrics.reloaded(successful=False)
            self._refuse(error)
            return
        self._loaded, self._read, self._waits = loaded, marks_of(loaded.files), False
        if settings.log != before.log:
            configure(level=settings.log.level, format=settings.log.format, redactor=self._redactor)
        for caution in loaded.cautions:
            log.warning(events.SETTINGS_UNWISE, message=caution.said, hint=caution.hint)
        self._rounds.renew(agent)
        try:
            agent.ledger.forget_held(at=agent.ports.clock.now())
        except StateError as error:
            self._rounds.fail(error)
        self._metrics.watch(site.name for site in agent.sites)
        self._metrics.reloaded(successful=True)
        log.info(events.SETTINGS_RELOADED, message="settings reloaded", sites=len(agent.sites))

    def _refuse(self, error: AgentError) -> None:
        """Said each time that somebody asks; what only waits for a full disk is tried at each look, and said once."""
        waited, self._waits = self._waits, isinstance(error, StateError)
        self._wanted = self._waits
        if not (waited and self._waits):
            said = self._redactor.hide(error.message)
            log.error(events.SETTINGS_REFUSED, message="settings refused, the old ones go on", error=said, hint=error.hint)


def _refuse_what_is_fixed(before: Settings, after: Settings) -> None:
    changed = [option for option in FIXED if attrgetter(option)(before) != attrgetter(option)(after)]
    if (before.backend.url is None) != (after.backend.url is None):
        changed.append("backend.url")
    if changed:
        names = ", ".join(f"WPSA_{option.replace('.', '_')}".upper() for option in changed)
        raise ConfigError(f"{names} cannot change while the agent runs", reason="config", hint="Restart it for that.")


def marks_of(files: Sequence[Path]) -> Marks:
    """How these files look from outside; a link counts as what it leads to."""
    return tuple(map(_mark, files))


def _mark(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
