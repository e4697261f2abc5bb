"""The command `wpsa`: each verb reads the settings, makes one call, prints, and returns a code."""

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import click

from agent import __version__
from agent.command import (
    INTERNAL_ERROR,
    IO_ERROR,
    Context,
    configured_sites,
    have_streams,
    if_anybody_reads,
    json_flag,
    leave,
    tell_bug,
    tell_refusal,
    verb,
)
from agent.configverbs import config
from agent.fleetverbs import fleet


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", type=click.Path(path_type=Path), help="The TOML file with the settings.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="What goes to stderr.")
@click.option("--log-format", type=click.Choice(["auto", "json", "console"]), help="auto: JSON unless on a terminal.")
@click.version_option(__version__, prog_name="wpsa", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context, config: Path | None, log_level: str | None, log_format: str | None) -> None:
    """Tell a backend what WordPress sites contain, read from outside.

    Begin with: wpsa show https://example.com
    """
    context.obj = Context(config, log_level, log_format)


class _Shard(click.ParamType[tuple[int, int]]):
    """`2/4` as (2, 4)."""

    name = "shard"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        number, _, of = str(value).partition("/")
        if not (_is_number(number) and _is_number(of) and 1 <= int(number) <= int(of)):
            self.fail("is not a share such as 1/4, 2/4, 3/4 or 4/4", param, ctx)
        return int(number), int(of)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 6


SHARD = _Shard()


@cli.command(short_help="Read a site and print its structure.")
@click.argument("site", metavar="SITE|URL", shell_complete=configured_sites)
@click.option("-v", "--verbose", is_flag=True, help="List the requests, on stderr.")
@json_flag
@verb
def show(context: Context, site: str, verbose: bool, as_json: bool) -> None:
    """Read a site and print its structure; push nothing, store nothing.

    Example: wpsa show https://example.com --json
    """
    import asyncio

    from agent import report
    from agent.asjson import structure_json
    from agent.look import look_at

    settings = context.settings(quiet_terminal=True)
    [chosen] = context.chosen_sites(settings, [site])
    observers = (report.print_exchange,) if verbose else ()
    structure = asyncio.run(look_at(settings, chosen, observers=observers))
    if as_json:
        report.print_json(structure_json(structure))
    else:
        report.print_structure(structure)


@cli.command(short_help="Read sites and push their structures now.")
@click.argument("sites", nargs=-1, metavar="[SITE|URL]...", shell_complete=configured_sites)
@click.option("--shard", type=SHARD, metavar="I/N", help="Of the sites only the I-th of N equal shares, such as 2/4.")
@click.option("-q", "--quiet", is_flag=True, help="Print only what went wrong; no progress.")
@json_flag
@verb
def sync(context: Context, sites: Sequence[str], shard: tuple[int, int] | None, quiet: bool, as_json: bool) -> int:
    """Read sites and push their structures now; without a name, all configured ones.

    While a daemon owns the state, it is asked to do it, and followed.

    Example: wpsa sync shop
    """
    import asyncio

    from agent import report
    from agent.naming import shard_of
    from agent.oneshot import sync_now
    from agent.outcome import exit_code_of

    settings = context.settings(quiet_terminal=True)
    chosen = context.chosen_sites(settings, sites)
    chosen = shard_of(chosen, *shard) if shard else chosen
    with report.progress(0 if quiet else len(chosen)) as heard:
        outcomes = asyncio.run(sync_now(settings, chosen, redactor=context.redactor, heard=heard))
    code = exit_code_of(outcome["exit_code"] for outcome in outcomes)
    for outcome in outcomes:
        context.hide_in_outcome(outcome)
    if as_json:
        report.print_json({"exit_code": code, "sites": outcomes})
    else:
        report.print_outcomes([outcome for outcome in outcomes if not quiet or outcome["error"]])
    return code


@cli.command(short_help="The daemon: on connect, daily, on demand.")
@verb
def run(context: Context) -> None:
    """The daemon: pushes when a site is new, then daily, until it is stopped.

    It reads its settings again on SIGHUP, and when their file has changed.

    Example: wpsa --log-level debug run
    """
    import asyncio

    from agent import daemon

    asyncio.run(daemon.run(context.load(), context.reread, redactor=context.redactor))
    # A name that never resolves would hold the interpreter's exit for minutes; everything is closed by now.
    leave(0)


@cli.command(short_help="Diagnose settings, sites, login and backend.")
@click.argument("site", required=False, metavar="[SITE|URL]", shell_complete=configured_sites)
@json_flag
@verb
def check(context: Context, site: str | None, as_json: bool) -> int:
    """Diagnose settings, sites, backend and integrations: a line each, ok or a cause with its remedy.

    Example: wpsa check shop
    """
    import asyncio

    from agent import report
    from agent.check import check_all
    from agent.outcome import worst_exit_code

    loaded = context.load(quiet_terminal=True)
    sites = context.chosen_sites(loaded.settings, [site] if site else ())
    found = asyncio.run(check_all(loaded, sites, redactor=context.redactor))
    findings = [replace(finding, said=context.redactor.hide(finding.said)) for finding in found]
    if as_json:
        report.print_json([finding.as_json() for finding in findings])
    else:
        report.print_findings(findings)
    return worst_exit_code([finding.exit_code for finding in findings])


@cli.command(short_help="How each site stands.")
@json_flag
@verb
def status(context: Context, as_json: bool) -> None:
    """Each site's last run, next slot, pending delivery and freshness; also beside a running daemon.

    Example: wpsa status --json
    """
    from agent import report
    from agent.look import standings

    settings = context.look().settings
    rows = standings(settings)
    if as_json:
        report.print_json([row.as_json() for row in rows])
    else:
        report.print_standings(rows)


@cli.command(short_help="Past structures of a site.")
@click.argument("site", metavar="SITE", shell_complete=configured_sites)
@json_flag
@verb
def history(context: Context, site: str, as_json: bool) -> None:
    """The past structures of a site, the newest first.

    Example: wpsa history shop
    """
    from agent import report
    from agent.look import past_structures

    settings = context.look().settings
    snapshots = past_structures(settings, site)
    if as_json:
        report.print_json([report.snapshot_json(snapshot) for snapshot in snapshots])
    else:
        report.print_snapshots(snapshots)


@cli.command(short_help="What changed at a site.")
@click.argument("site", metavar="SITE", shell_complete=configured_sites)
@click.option("--since", metavar="DATE", help="Compare with the last structure before this day (YYYY-MM-DD).")
@json_flag
@verb
def diff(context: Context, site: str, since: str | None, as_json: bool) -> None:
    """What changed between a site's last two structures, or since a day.

    Example: wpsa diff shop --since 2026-11-21
    """
    from agent import report
    from agent.look import changes_since

    changes = changes_since(context.look().settings, site, since)
    if as_json:
        report.print_json(changes.as_json())
    else:
        report.print_changes(changes)


cli.add_command(config)
cli.add_command(fleet)


@cli.group(short_help="The hub alone (extra [hub]).", invoke_without_command=True)
@click.pass_context
def hub(context: click.Context) -> None:
    """The hub alone: the backend for those who have none (extra [hub]).

    Example: WPSA_HUB_LISTEN=127.0.0.1:8765 wpsa hub
    """
    if context.invoked_subcommand is None:
        context.invoke(_serve)


@verb
def _serve(context: Context) -> None:
    import asyncio

    from agent.hubserver import serve_hub

    settings = context.settings()
    asyncio.run(serve_hub(settings))
    leave(0)


@hub.command("backup", short_help="Copy the hub's database, while it runs.")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@verb
def hub_backup(context: Context, file: Path | None) -> None:
    """Copy the hub's SQLite database to a new file, whole and at one moment, while the hub runs.

    Example: wpsa hub backup /backup/hub.sqlite3
    """
    from agent.hubserver import back_up

    click.echo(back_up(context.settings(), file))


@hub.command("createsuperuser", short_help="Make another administrator of the hub.")
@click.argument("email")
@verb
def hub_createsuperuser(context: Context, email: str) -> None:
    """Make another administrator of the hub, and print the password, once.

    Example: wpsa hub createsuperuser ops@example.com
    """
    from agent.hubserver import make_administrator

    click.echo(make_administrator(context.settings(), email))


@cli.command(short_help="A complete working example on this machine.")
@click.option("--once", is_flag=True, help="End after the first sync.")
@verb
def demo(context: Context, once: bool) -> int:
    """A complete working example on this machine: a real WordPress, the agent, the page.

    Example: wpsa demo --once
    """
    import asyncio

    from agent.demo.run import run_demo

    return asyncio.run(run_demo(context.settings(), once=once, redactor=context.redactor))


def main() -> None:
    """The installed command: our codes for what we expect, 70 for a bug, the signal's own for Ctrl-C."""
    have_streams()
    if os.getpid() == 1:
        # The kernel keeps from a container's first process each signal that it has no handler for.
        signal.signal(signal.SIGTERM, lambda number, _: os._exit(128 + number))
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that cannot show a letter is no reason to fail
    try:
        cli.main(prog_name="wpsa", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        with if_anybody_reads():
            error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - a bug: one line, and the traceback only where somebody debugs
        if isinstance(error, OSError) and tell_refusal(error):
            sys.exit(IO_ERROR)
        tell_bug(error)
        sys.exit(INTERNAL_ERROR)
