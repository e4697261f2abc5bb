"""The verbs of `wpsa config`: the settings as they are, as they could be, and as a schema."""

import click

from agent.command import Context, json_flag, verb


@click.group()
def config() -> None:
    """Show, begin or describe the settings."""


@config.command("show")
@json_flag
@verb
def config_show(context: Context, as_json: bool) -> None:
    """The effective settings with the source of each; secrets are masked.

    Example: wpsa config show
    """
    from agent import report
    from agent.describe import effective

    rows = effective(context.look())
    if as_json:
        report.print_json([{"option": o, "value": v, "source": s} for o, v, s in rows])
    else:
        report.print_rows("option", ("value", "source"), rows)


@config.command("init")
@verb
def config_init(context: Context) -> None:
    """A commented example of the TOML file, on stdout.

    Example: wpsa config init > wpsa.toml
    """
    from agent.describe import example

    click.echo(example(), nl=False)


@config.command("schema")
@verb
def config_schema(context: Context) -> None:
    """The JSON Schema of the settings.

    Example: wpsa config schema > wpsa.schema.json
    """
    from agent import report
    from agent.settings import Settings

    report.print_json(Settings.model_json_schema())
