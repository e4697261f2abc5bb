"""Values for people and for programs: tables on a terminal, plain text in a pipe, or one JSON document."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.diagnosis import Finding, Level
from agent.errors import AgentError
from agent.exchange import Exchange
from agent.structure.coverage import COVERAGE_REASONS
from agent.structure.model import Entry, Family, Structure
from agent.structure.payload import iso_utc
from agent.telemetry.visible import visible

PROGRESS_FROM = 3
"""Sites: of two it is soon seen how they went."""
PLAIN_WIDTH = 120
"""Columns of a table that is piped, where no terminal says how wide it is."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Rich would end the process with 1, which is no code of ours."""
        raise BrokenPipeError


def console(*, stderr: bool = False) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PLAIN_WIDTH
    return _Console(file=stream, width=width, highlight=False, soft_wrap=not stream.isatty())


def print_json(value: Any) -> None:
    """One document, and nothing else, on stdout."""
    escaped = not sys.stdout.encoding.lower().startswith("utf")
    sys.stdout.write(json.dumps(value, ensure_ascii=escaped, indent=2, default=str) + "\n")


def print_structure(structure: Structure) -> None:
    """One site's structure as two tables, with where the numbers came from."""
    out = console()
    provenance = structure.provenance
    version = structure.wordpress_version
    out.print(_styled(f"{provenance['title'] or provenance['home']}", "bold"), Text(_line(structure.site_url)))
    known = f"WordPress {version} (by {provenance['wordpress_version']['source']})" if version else "WordPress version unknown"
    cost = f"{provenance['requests']} requests, {provenance['duration_seconds']:.1f} s"
    out.print(Text(f"{_line(known)} · {_login_said(provenance['login'])} · {cost}"))
    out.print(Text(f"coverage: {_coverage_said(provenance['coverage'])}"))
    if provenance["languages"]:
        out.print(Text(_line(provenance["languages"])))
    for family, title in ((Family.POST_TYPE, "Post types"), (Family.TAXONOMY, "Taxonomies")):
        out.print()
        out.print(_entries_table(title, structure.of(family)))
    _print_warnings(structure.warnings)


def _print_warnings(warnings: Iterable[str]) -> None:
    """On stderr, so that a table in a pipe stays a table."""
    for warning in warnings:
        console(stderr=True).print(_styled(f"warning: {warning}", "yellow"), soft_wrap=True)


def _login_said(login: Mapping[str, Any]) -> str:
    match login["state"]:
        case "anonymous":
            return "read as a stranger"
        case "failed":
            return f"login as {_line(login['username'])} FAILED ({login['reason']}), read as a stranger"
        case state:
            roles = f" ({', '.join(map(_line, login['roles']))})" if login["roles"] else ""
            by = " by XML-RPC" if state == "proved_by_xmlrpc" else ""
            return f"logged in{by} as {_line(login['username'])}{roles}"


def _coverage_said(coverage: Mapping[str, Any]) -> str:
    reasons = [COVERAGE_REASONS.get(reason, reason) for reason in coverage["reasons"]]
    return str(coverage["completeness"]).replace("_", " ") + (f" ({'; '.join(reasons)})" if reasons else "")


def _entries_table(title: str, entries: Iterable[Entry]) -> Table:
    table = _table(title, "slug", "#count", "counted by")
    for entry in entries:
        kind, count = entry.content_type, entry.count
        source = f"{count.source}{' (stale)' if count.stale else ''}"
        table.add_row(Text(_line(kind.label)), Text(_line(kind.slug)), f"{count.value:,}", source)
    return table


def print_exchange(exchange: Exchange) -> None:
    """One request, as it ends, on stderr."""
    status = exchange.status or (exchange.error.reason if exchange.error else "cancelled")
    line = f"{exchange.method:4} {status} {exchange.duration_seconds * 1000:6.0f} ms  {exchange.url}"
    console(stderr=True).print(Text(_line(line), style="dim"), soft_wrap=True)


def print_outcomes(outcomes: Sequence[Mapping[str, Any]]) -> None:
    """A line for each site; outcomes as `asjson.outcome_json` gives them, here or through a daemon."""
    out = console()
    for outcome in outcomes:
        site, error = (f"{_line(outcome['site'])}: ", "bold"), outcome["error"]
        if error is None:
            out.print(Text.assemble(site, (_success(outcome), "green")))
            _print_warnings(outcome["structure"]["provenance"]["warnings"] if outcome["structure"] else ())
        else:
            word = {"pending": "delivery pending", "held": "delivery waits for you"}.get(outcome["result"], "failed")
            out.print(Text.assemble(site, (_line(f"{word}: {error['message']}"), "red")))
            out.print(Text(f"  hint: {_line(error['hint'])}"))


def _success(outcome: Mapping[str, Any]) -> str:
    integration = f" · integration {_line(outcome['integration_id'])}" if outcome["integration_id"] else ""
    structure = outcome["structure"]
    if structure is None:
        return f"structure synced successfully{integration}"
    types, taxonomies = structure["post_types"], structure["taxonomies"]
    items = sum(entry["count"] for entry in types.values())
    numbers = f"{_many(len(types), 'post type')}, {_many(len(taxonomies), 'taxonomy')}, {_many(items, 'item')}"
    return f"structure synced successfully{integration} · {numbers} · {outcome['duration_ms'] / 1000:.1f} s"


@contextmanager
def progress(total: int) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """A function that hears of each outcome; a bar moves by it where a person waits for several on a terminal."""
    if total < PROGRESS_FROM or not (sys.stdout.isatty() and sys.stderr.isatty()):
        yield lambda _: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[last]}", markup=False))
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task("sync", total=total, last="")
        yield lambda outcome: bar.update(task, advance=1, last=_line(outcome["site"]))


def print_error(error: AgentError) -> None:
    """One line on stderr: the cause, and the remedy."""
    line = _line(f"error: {error.message} — {error.hint}")
    console(stderr=True).print(Text(line, style="red"), soft_wrap=True)


def print_rows(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table; a column whose name begins with # holds numbers."""
    table = _table(title, *columns)
    for row in rows:
        table.add_row(*(Text(_line(cell)) for cell in row))
    console().print(table)


def ago(moment: datetime | None, *, now: datetime) -> str:
    """`3 minutes ago`, `in 2 hours`, `never`."""
    if moment is None:
        return "never"
    seconds = (now - moment).total_seconds()
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        if abs(seconds) >= size or unit == "second":
            text = _many(int(abs(seconds) // size), unit)
            return f"{text} ago" if seconds >= 0 else f"in {text}"
    raise AssertionError("a second is the smallest unit")


def exact(moment: datetime | None) -> str | None:
    return iso_utc(moment) if moment else None


def _table(first: str, *columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column(first)
    for column in columns:
        table.add_column(column.removeprefix("#"), justify="right" if column.startswith("#") else "left")
    return table


def _line(text: str) -> str:
    """One line that nothing in it can break, move or reverse: much of it is a stranger's."""
    return visible(" ".join(text.splitlines()))


def _styled(text: str, style: str) -> Text:
    return Text(_line(text), style=style)


def _many(number: int, noun: str) -> str:
    plural = noun.removesuffix("y") + "ies" if noun.endswith("y") and not noun.endswith("ay") else noun + "s"
    return f"{number:,} {noun if number == 1 else plural}"


_MARKS = {Level.OK: ("ok    ", "green"), Level.NOTE: ("note  ", "yellow"), Level.FAILED: ("FAILED", "red")}


def print_findings(findings: Sequence[Finding]) -> None:
    """A line for each finding of a check, and below it the one thing to do next."""
    out = console()
    for finding in findings:
        subject = "" if finding.subject == finding.check else f"{_line(finding.subject)} · "
        line = f"  {subject}{finding.check}: {_line(finding.said)}"
        out.print(Text.assemble(_MARKS[finding.level], line))
        if finding.hint:
            out.print(Text(f"        hint: {_line(finding.hint)}"))


def print_standings(standings: Sequence[Any]) -> None:
    """How each site stands: freshness, last run, next slot, what waits."""
    rows = [
        (
            one.site,
            one.freshness,
            ago(one.delivered_at, now=one.now),
            (one.last_run.result or "running") if one.last_run else "–",
            ago(one.next_slot_at, now=one.now) if one.next_slot_at else "not configured",
            _waiting(one),
        )
        for one in standings
    ]
    print_rows("site", ("freshness", "last delivered", "last run", "next slot", "pending delivery"), rows)
    for one in standings:
        run = one.last_run
        if run and run.message:
            console().print(Text(f"{_line(f'{one.site}: {run.message}')}\n  hint: {_line(run.hint or '')}"))


def _waiting(standing: Any) -> str:
    if standing.owed is None:
        return "–"
    owed, now = standing.owed, standing.now
    if owed.quarantined:
        return "refused; the next slot's takes its place"
    again = "now" if owed.next_at <= now else ago(owed.next_at, now=now)
    tried = f"{_many(owed.failures, 'try')} so far, next {again}"
    return f"waits for you ({tried})" if owed.held else f"waiting ({tried})"


def snapshot_json(snapshot: Any) -> dict[str, Any]:
    return {
        "generation": snapshot.generation,
        "fetched_at": exact(snapshot.fetched_at),
        "delivered_at": exact(snapshot.delivered_at),
        "changes": snapshot.changes,
        "document": snapshot.document,
    }


def print_snapshots(snapshots: Sequence[Any]) -> None:
    rows = [
        (
            exact(one.fetched_at) or "",
            exact(one.delivered_at) or "not delivered",
            str(len(one.document["post_types"])),
            str(len(one.document["taxonomies"])),
            "; ".join(one.changes["structure"] + one.changes["counts"]) or "–",
        )
        for one in snapshots
    ]
    print_rows("read", ("delivered", "#post types", "#taxonomies", "changes"), rows)


def print_changes(changes: Any) -> None:
    """The changes of the structure, then those of counts."""
    for line in (*changes.structure, *changes.counts) or ("nothing changed",):
        console().print(Text(_line(line)))
