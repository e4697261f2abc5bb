"""The command `wpsa`: each verb reads the settings, makes one call, prints, and returns a code."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from io import TextIOWrapper
from pathlib import Path

import click

from agent import __version__, report
from agent.command import INTERNAL_ERROR, Context, json_flag, leave, tell_bug, verb
from agent.naming import chosen_sites
from agent.outcome import exit_code_of, worst_exit_code
from agent.settings import Settings


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", type=click.Path(path_type=Path), help="The TOML file with the settings.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="What goes to stderr.")
@click.option("--log-format", type=click.Choice(["auto", "json", "console"]), help="auto: JSON unless on a terminal.")
@click.version_option(__version__, prog_name="wpsa", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context, config: Path | None, log_level: str | None, log_format: str | None) -> None:
    """Tell a backend what WordPress sites contain, read from outside."""
    context.obj = Context(config, log_level, log_format)


@cli.command(short_help="Read a site and print its structure.")
@click.argument("site", metavar="SITE|URL")
@click.option("-v", "--verbose", is_flag=True, help="List the requests, on stderr.")
@json_flag
@verb
def show(context: Context, site: str, verbose: bool, as_json: bool) -> None:
    """Read a site and print its structure; push nothing, store nothing.

    Example: wpsa show https://example.com --json
    """
    from agent.look import look_at

    settings = context.settings(quiet_terminal=True)
    [chosen] = chosen_sites(settings, [site])
    observers = (report.print_exchange,) if verbose else ()
    structure = asyncio.run(look_at(settings, chosen, observers=observers))
    if as_json:
        report.print_json(report.structure_json(structure))
    else:
        report.print_structure(structure)


@cli.command(short_help="Read sites and push their structures now.")
@click.argument("sites", nargs=-1, metavar="[SITE|URL]...")
@json_flag
@verb
def sync(context: Context, sites: Sequence[str], as_json: bool) -> int:
    """Read sites and push their structures now; without a name, all configured ones.

    Example: wpsa sync shop
    """
    from agent.oneshot import sync_now

    settings = context.settings(quiet_terminal=True)
    outcomes = asyncio.run(sync_now(settings, chosen_sites(settings, sites), redactor=context.redactor))
    code = exit_code_of(outcomes)
    for outcome in outcomes:
        if outcome.error:
            context.hide(outcome.error)
    if as_json:
        report.print_json({"exit_code": code, "sites": [report.outcome_json(outcome) for outcome in outcomes]})
    else:
        report.print_outcomes(outcomes)
    return code


@cli.command(short_help="The daemon: on connect, daily, on demand.")
@verb
def run(context: Context) -> None:
    """The daemon: pushes when a site is new, then daily, until it is stopped."""
    from agent import daemon

    settings = context.settings()
    asyncio.run(daemon.run(settings, chosen_sites(settings, ()), redactor=context.redactor))
    # A name that never resolves would hold the interpreter's exit for minutes; everything is closed by now.
    leave(0)


@cli.command(short_help="Diagnose settings, sites, login and backend.")
@click.argument("site", required=False, metavar="[SITE|URL]")
@json_flag
@verb
def check(context: Context, site: str | None, as_json: bool) -> int:
    """Diagnose settings, sites, backend and integrations: a line each, ok or a cause with its remedy."""
    from agent.check import check_all

    settings = context.settings(quiet_terminal=True)
    sites = chosen_sites(settings, [site] if site else ())
    found = asyncio.run(check_all(settings, sites, redactor=context.redactor))
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
    """Each site's last run, next slot, pending delivery and freshness; also beside a running daemon."""
    from agent.look import standings

    settings = context.settings(quiet_terminal=True)
    rows = standings(settings)
    if as_json:
        report.print_json([row.as_json() for row in rows])
    else:
        report.print_standings(rows)


@cli.command(short_help="Past structures of a site.")
@click.argument("site", metavar="SITE")
@json_flag
@verb
def history(context: Context, site: str, as_json: bool) -> None:
    """The past structures of a site, the newest first."""
    from agent.look import past_structures

    settings = context.settings(quiet_terminal=True)
    snapshots = past_structures(settings, site)
    if as_json:
        report.print_json([report.snapshot_json(snapshot) for snapshot in snapshots])
    else:
        report.print_snapshots(snapshots)


@cli.command(short_help="What changed at a site.")
@click.argument("site", metavar="SITE")
@click.option("--since", metavar="DATE", help="Compare with the last structure before this day (YYYY-MM-DD).")
@json_flag
@verb
def diff(context: Context, site: str, since: str | None, as_json: bool) -> None:
    """What changed between a site's last two structures, or since a day."""
    from agent.look import changes_since

    changes = changes_since(context.settings(quiet_terminal=True), site, since)
    if as_json:
        report.print_json(changes.as_json())
    else:
        report.print_changes(changes)


@cli.group()
def config() -> None:
    """Show, begin or describe the settings."""


@config.command("show")
@json_flag
@verb
def config_show(context: Context, as_json: bool) -> None:
    """The effective settings with the source of each; secrets are masked."""
    from agent.describe import effective

    rows = effective(context.load(quiet_terminal=True))
    if as_json:
        report.print_json([{"option": o, "value": v, "source": s} for o, v, s in rows])
    else:
        report.print_rows("option", ("value", "source"), rows)


@config.command("init")
@verb
def config_init(context: Context) -> None:
    """A commented example of the TOML file, on stdout."""
    from agent.describe import example

    click.echo(example(), nl=False)


@config.command("schema")
@verb
def config_schema(context: Context) -> None:
    """The JSON Schema of the settings."""
    report.print_json(Settings.model_json_schema())


@cli.command(short_help="The hub alone (extra [hub]).")
@verb
def hub(context: Context) -> None:
    """The hub alone: the backend for those who have none (extra [hub])."""
    from agent.hubserver import serve_hub

    settings = context.settings()
    asyncio.run(serve_hub(settings))
    leave(0)


@cli.command(short_help="A complete working example on this machine.")
@click.option("--once", is_flag=True, help="End after the first sync.")
@verb
def demo(context: Context, once: bool) -> int:
    """A complete working example on this machine: a real WordPress, the agent, the page."""
    from agent.demo.run import run_demo

    return asyncio.run(run_demo(context.settings(), once=once, redactor=context.redactor))


def main() -> None:
    """The installed command: our codes for what we expect, 70 for a bug, the signal's own for Ctrl-C."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that cannot show a letter is no reason to fail
    try:
        cli.main(prog_name="wpsa", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - a bug: one line, and the traceback only where somebody debugs
        tell_bug(error)
        sys.exit(INTERNAL_ERROR)
