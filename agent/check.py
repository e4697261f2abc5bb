"""`wpsa check`: settings, sites, backend and integrations, each ok or with a named cause and its remedy."""

from collections.abc import Sequence

from agent.backend.client import BackendClient
from agent.bootstrap import open_backend, site_reader
from agent.config import Loaded
from agent.diagnosis import Finding, Level, failed, findings_of
from agent.errors import AgentError, BackendUnreachable
from agent.redact import Redactor
from agent.settings import Settings, SiteSettings
from agent.wordpress.reader import SiteReader


async def check_all(loaded: Loaded, sites: Sequence[SiteSettings], *, redactor: Redactor) -> list[Finding]:
    """Settings, each site, and each site's integration, in this order; writes nothing anywhere."""
    settings = loaded.settings
    findings = [Finding("settings", "settings", _said_of(settings))]
    findings += [Finding("settings", "settings", one.said, Level.NOTE, "unwise", one.hint) for one in loaded.cautions]
    reader = site_reader(settings, sites)
    for site in sites:
        findings += await _check_site(reader, site)
    if settings.backend.url is None:
        findings.append(Finding("backend", "backend", "the embedded hub, which starts with the agent"))
        return findings
    async with open_backend(settings, sites, redactor=redactor) as backend:
        for site in sites:
            findings.append(await _check_integration(backend, site))
    return findings


async def _check_site(reader: SiteReader, site: SiteSettings) -> list[Finding]:
    try:
        return list(findings_of(site.called, await reader.read(site.as_site(), thorough=True)))
    except AgentError as error:
        return [failed(site.called, "WordPress", error)]


async def _check_integration(backend: BackendClient, site: SiteSettings) -> Finding:
    try:
        integration_id = await backend.check(site.called)
    except AgentError as error:
        # Nothing is owed here, so nothing is pending.
        code = 69 if isinstance(error, BackendUnreachable) else None
        return failed(site.called, "integration", error, exit_code=code)
    return Finding(site.called, "integration", f"found, its id is {integration_id}")


def _said_of(settings: Settings) -> str:
    number = len(settings.all_sites)
    return f"fine, {number} site{'' if number == 1 else 's'} configured"
