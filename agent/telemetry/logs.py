"""One pipeline for every log line, ours and the libraries', with the redactor as its last step."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Literal, TextIO

import stamina
import structlog

from agent.redact import Redactor
from agent.telemetry import events
from agent.telemetry.lines import LineHandler, LineQueue
from agent.telemetry.visible import visible

Level = Literal["debug", "info", "warning", "error", "critical"]
Format = Literal["auto", "json", "console"]

BODY_LIMIT_CHARACTERS = 2_000
_BODIES = ("payload", "body")

# They log whole URLs, or each of their own steps.
_QUIET_LIBRARIES = ("httpx", "httpcore", "h11", "apscheduler", "asyncio", "stamina", "django", "tzlocal")

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def configure(*, level: Level, format: Format, redactor: Redactor, stream: TextIO | None = None) -> None:
    """Send all logging of this process to stderr: for people on a terminal, as JSON otherwise."""
    stream = stream or sys.stderr
    console = format == "console" or (format == "auto" and stream.isatty())
    # On a broken pipe the standard library prints a record's raw arguments, past every filter.
    logging.raiseExceptions = False
    # Stamina's own line about a retry prints the call's arguments; our observers tell of each request.
    stamina.instrumentation.set_on_retry_hooks([])
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = _handler_for(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _Cut(redactor),
                *_renderers(console=console, colours=console and stream.isatty()),
                _Hide(redactor, console=console, colours=console and stream.isatty()),
            ],
        )
    )
    root = logging.getLogger()
    for former in root.handlers:
        if isinstance(former, LineHandler):
            former.close()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for library in _QUIET_LIBRARIES:
        logging.getLogger(library).setLevel(max(logging.WARNING, root.level))
    # It warns of each request that a stranger has garbled.
    logging.getLogger("uvicorn").setLevel(max(logging.ERROR, root.level))


def _handler_for(stream: TextIO) -> logging.Handler:
    """Past the stream's own buffer and lock, which a write that never returns would hold for ever."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):  # a text in memory
        return logging.StreamHandler(stream)
    return LineHandler(LineQueue(descriptor, told_of_dropped=_tell_of_dropped))


def _tell_of_dropped(lines: int) -> None:
    log = structlog.stdlib.get_logger("agent")
    log.warning(
        events.LOG_DROPPED,
        message="log lines were dropped",
        lines=lines,
        hint="Whatever reads this log was stuck, or its disk was full.",
    )


def _renderers(*, console: bool, colours: bool) -> list[Any]:
    if not console:
        # Locals in a traceback would print a password that sits in one.
        return [
            structlog.processors.format_exc_info,
            _story_first,
            structlog.processors.JSONRenderer(ensure_ascii=True),
        ]
    return [
        _sentence_first,
        structlog.dev.ConsoleRenderer(
            colors=colours, sort_keys=False, exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
        ),
    ]


def _story_first(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """When, how bad and what, before the details: many read JSON lines with their own eyes."""
    story = {key: event.pop(key) for key in ("timestamp", "level", "event", "message") if key in event}
    return story | dict(event)


def _sentence_first(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """People read the sentence; the event's name follows among the fields."""
    if message := event.pop("message", None):
        event["name"], event["event"] = event["event"], message
    # Before our own colours come in: any of it may quote a stranger, and the sentence is shown unquoted.
    event["event"] = " ".join(str(event["event"]).splitlines())
    for key, value in event.items():
        event[key] = visible(value) if isinstance(value, str) else value
    return event


class _Cut:
    """Bodies as far as people read them. What is secret is hidden before: a cut through it would show its beginning."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def __call__(self, _: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for key in _BODIES:
            if isinstance(text := event.get(key), str) and len(text) > BODY_LIMIT_CHARACTERS:
                shown = self._redactor.hide(text)[:BODY_LIMIT_CHARACTERS]
                event[key] = f"{shown}… ({len(text)} characters)"
        return event


class _Hide:
    """The last step, over the rendered line: no secret in any form, no control character."""

    def __init__(self, redactor: Redactor, *, console: bool, colours: bool) -> None:
        self._hide = redactor.hide if console else redactor.hide_in_json
        self._colours = colours

    def __call__(self, _: Any, __: str, line: Any) -> str:
        line = self._hide(line)
        if not self._colours:
            return visible(line)
        # Our own colours stay; whatever else could move the cursor came from a stranger.
        kept = _COLOURS.findall(line)
        parts = _COLOURS.split(line)
        return "".join(visible(text) + colour for text, colour in zip(parts, [*kept, ""], strict=True))
