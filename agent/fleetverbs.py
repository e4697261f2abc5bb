"""The verbs of `wpsa fleet`: many sites on several machines."""

import sys
from pathlib import Path

import click

from agent.command import Context, json_flag, leave, verb


@click.group(short_help="Several machines on one PostgreSQL (extra [fleet]).")
def fleet() -> None:
    """Many sites on several machines that share a PostgreSQL (WPSA_STATE_URL, extra [fleet])."""


@fleet.command("worker", short_help="One of any number of processes that keep the sites up to date.")
@verb
def fleet_worker(context: Context) -> None:
    """Keep the sites of the fleet up to date, together with any number of other workers, until it is stopped.

    The sites are those of the settings, or those that `wpsa fleet import` has brought.

    Example: wpsa fleet worker
    """
    import asyncio

    from agent.kept import on_postgresql

    loaded = context.load()
    on_postgresql()
    from agent.workers.worker import work

    asyncio.run(work(loaded, redactor=context.redactor))
    leave(0)


@fleet.command("status", short_help="How the fleet stands.")
@json_flag
@verb
def fleet_status(context: Context, as_json: bool) -> None:
    """How many sites are up to date, due, running, late and stalled, and which workers live.

    Example: wpsa fleet status --json
    """
    from agent import report
    from agent.clock import SYSTEM
    from agent.workers.standing import fleet_standing

    standing = fleet_standing(context.settings(quiet_terminal=True), at=SYSTEM.now())
    if as_json:
        report.print_json(standing.as_json())
    else:
        report.print_rows("sites", ("number", "meaning"), list(standing.site_rows()))
        report.print_rows("worker", ("state", "sites in hand", "last sign"), list(standing.worker_rows()))


@fleet.command("import", short_help="Have the fleet know the sites of a file.")
@click.argument("file", type=click.Path(allow_dash=True, path_type=Path))
@click.option("--format", "kind", type=click.Choice(["csv", "jsonl", "toml"]), help="By the file's ending otherwise.")
@click.option("--replace", is_flag=True, help="Forget the imported sites that the file does not name.")
@json_flag
@verb
def fleet_import(context: Context, file: Path, kind: str | None, replace: bool, as_json: bool) -> None:
    """Have the fleet know the sites of a file: all of them, or none when a line is wrong.

    A CSV begins with the names of its columns, which are the keys of [[sites]]: url, name, site_id,
    username, application_password …  Importing the same file again changes nothing.

    Example: wpsa fleet import sites.csv --replace
    """
    from dataclasses import asdict

    from agent import report
    from agent.workers.importing import import_sites

    settings = context.settings(quiet_terminal=True)
    change = import_sites(settings, _read(file), kind=kind or file.suffix[1:], replace=replace)
    if as_json:
        report.print_json(asdict(change))
    else:
        removed = f", {change.removed:,} removed" if replace else ""
        click.echo(f"{change.new:,} new, {change.changed:,} changed, {change.as_before:,} as before{removed}")


def _read(file: Path) -> str:
    from agent.errors import UsageError

    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{file} cannot be read ({getattr(error, 'strerror', None) or 'it is not UTF-8'})",
            reason="usage",
            hint="Name a file of sites, or - for the standard input.",
        ) from None
