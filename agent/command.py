"""How every verb of `wpsa` begins and ends: settings, secrets, one line for a failure, a code for the shell."""

import errno
import gc
import logging
import os
import sys
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from agent.errors import AgentError
from agent.redact import Redactor, redactor_of

# What is heavy is imported where it is needed, so that --version and a mistyped verb are answered at once.
if TYPE_CHECKING:
    from agent.config import Loaded
    from agent.settings import Settings, SiteSettings

INTERNAL_ERROR = 70
IO_ERROR = 74
_ROOM = "Make room where the output goes, or send it elsewhere."
_REMEDIES = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: _ROOM,
    errno.EIO: "Look at the health of the disk.",
    errno.EMFILE: "Raise the limit of open files (ulimit -n).",
    errno.ENFILE: "Raise the system's limit of open files (fs.file-max).",
}


class Context:
    """What the global flags said; settings are read when a verb first needs them."""

    def __init__(self, config: Path | None, log_level: str | None, log_format: str | None) -> None:
        self._config = config
        self._log = {k: v for k, v in (("level", log_level), ("format", log_format)) if v is not None}
        self.redactor = Redactor()

    def load(self, *, quiet_terminal: bool = False) -> "Loaded":
        """The settings, with logging set up by them; raises ConfigError.

        quiet_terminal   a person reads the result itself, so nothing is logged beside it
        """
        import structlog

        from agent.telemetry import events
        from agent.telemetry.logs import configure
        from agent.telemetry.uncaught import keep_bugs_quiet

        loaded = self._read()
        log = loaded.settings.log
        calm = quiet_terminal and sys.stdout.isatty() and sys.stderr.isatty() and "log.level" not in loaded.sources
        configure(level="critical" if calm else log.level, format=log.format, redactor=self.redactor)
        keep_bugs_quiet()
        for caution in loaded.cautions:
            structlog.stdlib.get_logger("agent").warning(events.SETTINGS_UNWISE, message=caution.said, hint=caution.hint)
        return loaded

    def look(self) -> "Loaded":
        """The settings for a verb that looks at what is there, which logs nothing but a bug; raises ConfigError."""
        gc.disable()  # all that is imported stays until the end, which comes soon: a tenth of the whole command
        loaded = self._read()
        return self.load(quiet_terminal=True) if loaded.settings.log.level == "debug" else loaded

    def _read(self) -> "Loaded":
        loaded = self.reread()
        self.redactor = redactor_of(loaded.settings.secrets())
        return loaded

    def reread(self) -> "Loaded":
        """The settings as their sources have them at this moment, and nothing else; raises ConfigError."""
        from agent.config import load

        return load({"log": self._log} if self._log else {}, config=self._config)

    def chosen_sites(self, settings: "Settings", named: Sequence[str]) -> "list[SiteSettings]":
        """The sites that a verb means, their secrets hidden from now on; raises UsageError and ConfigError."""
        from agent.naming import chosen_sites

        sites = chosen_sites(settings, named)
        if settings.state.url is not None:
            # What was imported into a fleet's table is not in the settings.
            for username, secret in (one for site in sites for one in site.secrets()):
                self.redactor.add(secret, username=username)
        return sites

    def settings(self, *, quiet_terminal: bool = False) -> "Settings":
        return self.load(quiet_terminal=quiet_terminal).settings

    def hide(self, error: AgentError) -> None:
        """Before an error is printed: the other side may have echoed a secret in its reason."""
        error.message, error.hint = self.redactor.hide(error.message), self.redactor.hide(error.hint)

    def hide_in_outcome(self, outcome: MutableMapping[str, Any]) -> None:
        """Likewise, in what `asjson.outcome_json` gave."""
        if error := outcome["error"]:
            error |= {key: self.redactor.hide(error[key]) for key in ("message", "hint")}


def verb(function: Callable[..., int | None]) -> Callable[..., None]:
    """Ends the process with the verb's code; every failure is one line, and one document with --json."""

    @wraps(function)
    @click.pass_obj
    def run(context: Context, *args: Any, **kwargs: Any) -> None:
        code = 0
        try:
            try:
                code = function(context, *args, **kwargs) or 0
            except AgentError as error:
                code = error.exit_code
                _tell(context, error, as_json=kwargs.get("as_json", False))
            sys.stdout.flush()
        except BrokenPipeError:
            _forget(sys.stdout)  # whoever read it has left
        sys.exit(code)

    return run


def _tell(context: Context, error: AgentError, *, as_json: bool) -> None:
    for handler in logging.getLogger().handlers:
        handler.flush()  # what led to it stands before it, if anybody reads
    from agent import report
    from agent.asjson import error_json

    context.hide(error)
    if as_json:
        report.print_json(error_json(error))
    else:
        with if_anybody_reads():
            report.print_error(error)


def configured_sites(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """For the shell: the sites that begin like this; none where the settings are not right."""
    from agent.config import load

    try:
        sites = load({}, config=ctx.find_root().params.get("config")).settings.all_sites
    except AgentError:
        return []
    return [site.called for site in sites if site.called.startswith(incomplete)]


json_flag = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")


def tell_refusal(error: OSError) -> bool:
    """One line for what the system refused, to the output above all; False where that is no matter of room or limits."""
    remedy = _REMEDIES.get(error.errno or 0)
    if remedy is None:
        return False
    _forget(sys.stdout)
    with if_anybody_reads():
        click.echo(f"error: a file or the output cannot be read or written: {error.strerror} — {remedy}", err=True)
    return True


@contextmanager
def if_anybody_reads() -> Iterator[None]:
    """Around what is said on stderr: where that is taken by nobody, the code alone says it."""
    try:
        yield
    except OSError:
        _forget(sys.stderr)


def have_streams() -> None:
    """Whoever started us may have closed them, and what we open next would stand in their place and be given our lines."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # The lowest number that is free: the one that is missing.
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


def _forget(stream: TextIO) -> None:
    """What it has not taken would be offered to it once more at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def leave(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    logging.shutdown()
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
