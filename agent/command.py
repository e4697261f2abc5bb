"""How every verb of `wpsa` begins and ends: settings, secrets, one line for a failure, a code for the shell."""

import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from agent import report
from agent.config import Loaded, load
from agent.errors import AgentError
from agent.redact import Redactor, redactor_of
from agent.settings import Settings

INTERNAL_ERROR = 70


class Context:
    """What the global flags said; settings are read when a verb first needs them."""

    def __init__(self, config: Path | None, log_level: str | None, log_format: str | None) -> None:
        self._config = config
        self._log = {k: v for k, v in (("level", log_level), ("format", log_format)) if v is not None}
        self.redactor = Redactor()

    def load(self, *, quiet_terminal: bool = False) -> Loaded:
        """The settings, with logging set up by them; raises ConfigError.

        quiet_terminal   a person reads the result itself, so nothing is logged beside it
        """
        from agent.telemetry.logs import configure

        loaded = load({"log": self._log} if self._log else {}, config=self._config)
        self.redactor = redactor_of(loaded.settings.secrets())
        log = loaded.settings.log
        calm = quiet_terminal and sys.stdout.isatty() and sys.stderr.isatty() and "log.level" not in loaded.sources
        configure(level="critical" if calm else log.level, format=log.format, redactor=self.redactor)
        return loaded

    def settings(self, *, quiet_terminal: bool = False) -> Settings:
        return self.load(quiet_terminal=quiet_terminal).settings

    def hide(self, error: AgentError) -> None:
        """Before an error is printed: the other side may have echoed a secret in its reason."""
        error.message, error.hint = self.redactor.hide(error.message), self.redactor.hide(error.hint)


def verb(function: Callable[..., int | None]) -> Callable[..., None]:
    """Ends the process with the verb's code; every failure is one line, and one document with --json."""

    @wraps(function)
    @click.pass_obj
    def run(context: Context, *args: Any, **kwargs: Any) -> None:
        try:
            code = function(context, *args, **kwargs) or 0
        except AgentError as error:
            context.hide(error)
            if kwargs.get("as_json"):
                report.print_json(report.error_json(error))
            else:
                report.print_error(error)
            code = error.exit_code
        except BrokenPipeError:
            # Whoever read our output has left; the rest has no reader.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = 0
        sys.exit(code)

    return run


json_flag = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")


def leave(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def tell_bug(error: Exception) -> None:
    import structlog

    # Before it is set up, structlog would print every local variable, secrets among them.
    if structlog.is_configured():
        structlog.stdlib.get_logger("agent").debug("bug", exc_info=error)
    where = _innermost(error)
    click.echo(
        f"error: internal error: {type(error).__name__} in {where} — report it, with the output of "
        "the same command and --log-level debug",
        err=True,
    )


def _innermost(error: Exception) -> str:
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "?"
