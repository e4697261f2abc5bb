"""Bugs that nobody catches, of threads and destructors: on the pipeline that hides secrets, not past it on stderr."""

import logging
import resource
import sys
import threading
from typing import Any

import structlog

from agent.telemetry import events


def keep_bugs_quiet() -> None:
    """From now on such a bug is a line of the log, its traceback at debug; and no memory is left in a core dump."""
    threading.excepthook = _told
    sys.unraisablehook = _told
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))


def _told(what: Any) -> None:
    """what   of `threading.excepthook` or `sys.unraisablehook`, which name the exception alike"""
    debugging = logging.getLogger().isEnabledFor(logging.DEBUG)
    structlog.stdlib.get_logger("agent").error(
        events.BUG_UNCAUGHT,
        message="internal error beside the work",
        error=what.exc_type.__name__,
        exc_info=(what.exc_type, what.exc_value, what.exc_traceback) if debugging else None,
    )
