"""What a reading tells of a site's health: a finding each, with the one thing to do next. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from agent.errors import AgentError
from agent.structure.coverage import COVERAGE_REASONS
from agent.structure.model import Answers, Completeness, Family


class Level(StrEnum):
    OK = "ok"
    NOTE = "note"
    """Works, and could be better."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, and how it is."""

    subject: str
    check: str
    said: str
    level: Level = Level.OK
    reason: str | None = None
    """The cause, in a word from a closed list."""
    hint: str | None = None
    exit_code: int = 0

    def as_json(self) -> dict[str, Any]:
        return {
            "subject": self.subject,
            "check": self.check,
            "ok": self.level is not Level.FAILED,
            "level": self.level,
            "said": self.said,
            "reason": self.reason,
            "hint": self.hint,
            "exit_code": self.exit_code,
        }


def failed(subject: str, check: str, error: AgentError, *, exit_code: int | None = None) -> Finding:
    code = error.exit_code if exit_code is None else exit_code
    return Finding(subject, check, error.message, Level.FAILED, error.reason, error.hint, code)


def findings_of(site: str, answers: Answers) -> Iterator[Finding]:
    """Everything that one reading tells, in the order in which a person would ask."""
    yield _about_rest(site, answers)
    yield _about_login(site, answers)
    if answers.closed is None:
        yield _about_content(site, answers)
        yield _about_coverage(site, answers)
    yield _about_version(site, answers)
    if answers.languages:
        yield Finding(site, "languages", answers.languages, Level.NOTE, "language_scope",
                      "Compare one count with the number that wp-admin shows for all languages.")
    told = [failure.message for failure in (answers.login.failure, answers.closed) if failure]
    for warning in answers.warnings:
        if not warning.startswith(tuple(told)):
            yield Finding(site, "notice", warning, Level.NOTE, "warning")


def _about_rest(site: str, answers: Answers) -> Finding:
    if answers.closed:
        return failed(site, "REST API", answers.closed)
    if "rest_route=" in answers.root:
        return Finding(site, "REST API", f"found at {answers.root}", Level.NOTE, "plain_permalinks",
                       "Works as it is; with other permalinks than plain ones it would be at /wp-json/.")
    return Finding(site, "REST API", f"found at {answers.root}")


def _about_login(site: str, answers: Answers) -> Finding:
    login = answers.login
    if login.failure:
        return failed(site, "login", login.failure)
    if login.state == "anonymous":
        return Finding(site, "login", "none configured: the site is read as a stranger sees it")
    roles = f" ({', '.join(login.roles)})" if login.roles else ""
    if login.state == "proved_by_xmlrpc":
        return Finding(site, "login", f"works as {login.username} by XML-RPC only", Level.NOTE, "auth_stripped",
                       "Let the web server pass the Authorization header (Apache: CGIPassAuth On).")
    return Finding(site, "login", f"works as {login.username}{roles}")


def _about_content(site: str, answers: Answers) -> Finding:
    types, taxonomies = (sum(kind.family is family for kind, _ in answers.counted) for family in Family)
    said = f"{types} public post types, {taxonomies} public taxonomies"
    unknown = [kind.slug for kind, count in answers.counted if count.value is None]
    if unknown:
        return Finding(site, "content", f"{said}; not counted: {', '.join(unknown)}", Level.NOTE, "bad_count",
                       "See whether these collections answer in the REST API, or give an administrator's login.")
    return Finding(site, "content", said)


_COVERAGE_HINTS = {
    "login_failed": "Mend the login first.",
    "role_too_weak": "Give the login of a user who may edit every type, or a role made for it (see the README).",
    "xmlrpc_unavailable": "Allow xmlrpc.php for this machine, so that types hidden from REST can be seen.",
    "rest_hidden_found": "Give an administrator's login, so that labels and taxonomies hidden from REST are exact.",
    "rest_hidden_possible": "Give an administrator's login, or switch the core sitemap on (Settings → Reading).",
    "nobodys_found": "Give the administrator the rights of these types (capability_type in register_post_type).",
    "nobodys_possible": "Switch the core sitemap on (Settings → Reading: let search engines see the site).",
    "taxonomies_hidden": "Give an administrator's login, so that they can be counted.",
    "types_closed": "Let the security plugin allow /wp/v2/types and /wp/v2/taxonomies, or give a login.",
    "search_cut": "Let the plugin that changes /wp/v2/search leave its list of types alone, or give a login.",
    "no_search_route": "Let the plugin that removes /wp/v2/search keep it, or give a login.",
}


def _about_coverage(site: str, answers: Answers) -> Finding:
    coverage = answers.coverage
    said = "; ".join(COVERAGE_REASONS.get(reason, reason) for reason in coverage.reasons)
    words = str(coverage.completeness).replace("_", " ")
    if coverage.completeness is not Completeness.PARTIAL:
        return Finding(site, "coverage", f"{words}: {said}" if said else words)
    worst = next((reason for reason in _COVERAGE_HINTS if reason in coverage.reasons), None)
    return Finding(site, "coverage", f"{words}: {said}", Level.NOTE, worst, _COVERAGE_HINTS.get(worst or ""))


def _about_version(site: str, answers: Answers) -> Finding:
    version = answers.version
    if version.value:
        return Finding(site, "version", f"WordPress {version.value} (by {version.source})")
    known = version.probable or (f"{version.at_least} or newer" if version.at_least else "unknown")
    return Finding(site, "version", f"not exactly known ({known})", Level.NOTE, "version_hidden",
                   "Give a login; any role can ask WordPress for its version.")
