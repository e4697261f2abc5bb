"""`wpsa demo`: a real WordPress on loopback, the agent, and the hub's page, until Ctrl-C."""

import asyncio
import tempfile
from pathlib import Path

from rich.text import Text

from agent import report
from agent.asjson import outcome_json
from agent.bootstrap import ANY_FREE_PORT, open_agent
from agent.daemon import keep_up, stop_on_signals
from agent.demo.errors import DemoError
from agent.demo.sources import bring_wordpress
from agent.demo.wordpress import PHP_FOLDER, WordPress
from agent.errors import AgentError
from agent.oneshot import sync_on_demand
from agent.redact import Redactor
from agent.rounds import Rounds
from agent.settings import Settings, SiteSettings

TITLE = "Paper & Ink – a bookshop"


class DemoFailed(AgentError):
    """PHP or WordPress could not be brought, or did not start."""

    exit_code = 69


async def run_demo(settings: Settings, *, once: bool, redactor: Redactor) -> int:
    """Show the whole line on this machine; all of it lives in a temporary folder that goes with it.

    once   end after the first sync
    Returns the exit code of that sync. Raises DemoFailed when WordPress cannot be had.
    """
    stop = asyncio.Event()
    stop_on_signals(stop)
    with tempfile.TemporaryDirectory(prefix="wpsa-demo-") as folder:
        _say("Starting a real WordPress with some content …")
        try:
            site = await asyncio.to_thread(_installed, Path(folder) / "wordpress")
            with site:
                return await _show(settings, site, Path(folder) / "state", stop, once=once, redactor=redactor)
        except DemoError as error:
            raise DemoFailed(error.message, reason="demo", hint=error.hint or "See config/README.md.") from error


def _installed(folder: Path) -> WordPress:
    plugin = (PHP_FOLDER / "demo-types.php").read_text(encoding="utf-8")
    site = WordPress.install(folder, bring_wordpress(), title=TITLE, mu_plugins={"demo-types.php": plugin})
    site.run_php(PHP_FOLDER / "seed_demo.php")
    return site


async def _show(
    settings: Settings, site: WordPress, state: Path, stop: asyncio.Event, *, once: bool, redactor: Redactor
) -> int:
    one = SiteSettings(url=site.url, name="demo")
    own = settings.model_copy(
        update={
            "site": one,
            "sites": (),
            "backend": type(settings.backend)(),
            "state": type(settings.state)(dir=str(state)),
        }
    )
    listen = ANY_FREE_PORT if once else settings.hub.listen
    async with open_agent(own, [one], redactor=redactor, hub_listen=listen) as agent:
        [outcome] = await sync_on_demand(agent)
        if outcome.structure:
            report.print_structure(outcome.structure)
        _say("")
        report.print_outcomes([outcome_json(outcome)])
        if not once and not stop.is_set():
            _say(f"\nWordPress:      {site.url}/wp-admin/  (login {site.blueprint.login}, password {site.blueprint.password})")
            _say(f"Content Types:  {agent.hub_url}/")
            _say("\nThe agent keeps the page up to date. End with Ctrl-C.")
            await keep_up(Rounds(agent), stop)
        return outcome.exit_code


def _say(text: str) -> None:
    report.console().print(Text(text), soft_wrap=True)
