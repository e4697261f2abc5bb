"""Sites for a fleet's table: read from a file, checked as settings are, and all of them or none."""

import csv
import io
import json
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationError

from agent.clock import SYSTEM
from agent.config import said_of
from agent.consistency import about_login
from agent.errors import ConfigError
from agent.kept import address, on_postgresql
from agent.settings import Settings, SiteSettings
from agent.state.sites import Change, Entry, Sites

FORMATS = ("csv", "jsonl", "toml")
NAMED_MOST = 10
"""Mistakes that are shown; a file of a hundred thousand lines may have as many."""


def import_sites(settings: Settings, text: str, *, kind: str, replace: bool) -> Change:
    """Have the fleet of these settings know the sites of a file. Raises ConfigError and StateError."""
    url = address(settings)
    if kind not in FORMATS:
        raise ConfigError(
            f"the kind of the file is not known ({kind or 'it has no ending'})",
            reason="config",
            hint="Name it by --format csv, jsonl or toml.",
        )
    entries = entries_of(sites_in(text, kind=kind), with_settings=True)
    store = on_postgresql().FleetStore(url)
    try:
        store.bring_up_to_date()
        return Sites(store).put(entries, at=SYSTEM.now(), replace=replace, among="table")
    finally:
        store.close()


def sites_in(text: str, *, kind: str) -> list[SiteSettings]:
    """The sites of a file, each with its place in it when it is refused. Raises ConfigError that quotes no value."""
    problems: list[str] = []
    sites: dict[str, SiteSettings] = {}
    for place, row in _rows(text, kind):
        try:
            site = SiteSettings.model_validate(row)
        except ValidationError as error:
            problems += [f"{place}: {'.'.join(map(str, one['loc']))} {said_of(one)}" for one in _errors(error)]
            continue
        problems += [f"{place}: {problem}" for problem in _about(site)]
        if site.called in sites:
            problems.append(f"{place}: there is another site that is called {site.called}")
        sites[site.called] = site
    if not (sites or problems):
        problems.append("the file names no site")
    if problems:
        more = f"; and {len(problems) - NAMED_MOST:,} more" if len(problems) > NAMED_MOST else ""
        raise ConfigError(
            "; ".join(problems[:NAMED_MOST]) + more,
            reason="config",
            hint="Correct the file and import it again; nothing of it was taken.",
        )
    return list(sites.values())


def entries_of(sites: Sequence[SiteSettings], *, with_settings: bool) -> list[Entry]:
    return [
        Entry(site.called, urlsplit(site.internal_url or site.url).netloc, as_json(site) if with_settings else None)
        for site in sites
    ]


def as_json(site: SiteSettings) -> str:
    """With its secrets, for the table alone."""
    given = site.model_dump(mode="python", exclude_unset=True)
    return json.dumps(_revealed(given), ensure_ascii=False, sort_keys=True)


def _revealed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _revealed(inner) for key, inner in value.items()}
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _rows(text: str, kind: str) -> Iterator[tuple[str, Any]]:
    """(where it stands, what it says) of each site."""
    try:
        match kind:
            case "csv":
                # Empty cells are as good as left out: a sheet has the same columns for every site.
                lines = csv.DictReader(io.StringIO(text, newline=""), strict=True)
                for row in lines:
                    yield f"line {lines.line_num}", {key: value for key, value in row.items() if value not in ("", None)}
            case "jsonl":
                for number, line in enumerate(text.split("\n"), start=1):
                    if line.strip():
                        yield f"line {number}", json.loads(line)
            case _:  # TOML, as in the settings
                for number, row in enumerate(tomllib.loads(text).get("sites", ()), start=1):
                    yield f"[[sites]] {number}", row
    except (csv.Error, ValueError, RecursionError) as error:
        raise ConfigError(
            f"the file is no {kind.upper()} ({str(error).splitlines()[0]})",
            reason="config",
            hint="Name its kind by --format, and begin a CSV with a line of names such as url,name,site_id.",
        ) from None


def _about(site: SiteSettings) -> Iterator[str]:
    yield from about_login(site)
    if not (site.site_id or site.integration_id):
        yield f"site {site.called}: its site_id at the backend is missing"
    if site.ping_url:
        yield f"site {site.called}: a ping_url of its own has only a site of the settings"


def _errors(error: ValidationError) -> Any:
    return error.errors(include_input=False, include_url=False, include_context=False)
