"""`wpsa check`: one finding for each thing that has to work, ok or a named cause with its remedy."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any

from agent.bootstrap import open_backend, site_reader
from agent.errors import AgentError, BackendUnreachable
from agent.redact import Redactor
from agent.settings import Settings, SiteSettings
from agent.structure.model import Answers, Family


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, and how it is."""

    subject: str
    what: str
    said: str
    error: AgentError | None = None

    def as_json(self) -> dict[str, Any]:
        error = self.error
        return {
            "subject": self.subject,
            "check": self.what,
            "ok": error is None,
            "said": self.said,
            "reason": error.reason if error else None,
            "hint": error.hint if error else None,
            "exit_code": error.exit_code if error else 0,
        }


async def check_all(settings: Settings, sites: Sequence[SiteSettings], *, redactor: Redactor) -> list[Finding]:
    """Settings, each site, and each site's integration, in this order; writes nothing anywhere."""
    findings = [Finding("settings", "settings", f"{len(settings.all_sites)} configured")]
    reader = site_reader(settings, sites)
    for site in sites:
        findings.append(await _found(site.called, "WordPress", reader.read(site.as_site()), _said_of))
    if settings.backend.url is None:
        findings.append(Finding("backend", "backend", "the embedded hub, which starts with the agent"))
        return findings
    async with open_backend(settings, sites, redactor=redactor) as backend:
        for site in sites:
            asking = backend.integration_of(site.called)
            findings.append(await _found(site.called, "integration", asking, lambda found: f"integration {found}"))
    return findings


async def _found(subject: str, what: str, asking: Awaitable[Any], said: Any) -> Finding:
    try:
        return Finding(subject, what, said(await asking))
    except AgentError as error:
        if isinstance(error, BackendUnreachable):
            error.exit_code = 69  # nothing is owed here, so nothing is pending
        return Finding(subject, what, error.message, error)


def _said_of(answers: Answers) -> str:
    types, taxonomies = (sum(kind.family is family for kind, _ in answers.counted) for family in Family)
    version = answers.version.value or "of unknown version"
    return f"WordPress {version} at {answers.root}: {types} public post types, {taxonomies} taxonomies"
