"""One site's answers become its structure. Pure: the same answers give the same structure."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from agent.structure.chosen import CHOSEN, type_settings
from agent.structure.model import Answers, Choices, ContentType, Count, CountSource, Entry, Family, Structure

LastKnown = Mapping[tuple[Family, str], int]
"""The newest count that was ever learned, by family and slug."""


def build_structure(answers: Answers, *, choices: Choices, last_known: LastKnown) -> Structure:
    """Describe one site's public content types from its answers.

    A count that could not be learned is never 0: the last known one stands in, marked stale;
    where none is known the entry is left out and named in the warnings. The result is sorted by
    family and slug, so that equal sites give equal digests in whatever order they answered.
    """
    counted = [(kind, _or_last_known(kind, count, last_known)) for kind, count in answers.counted]
    entries = tuple(
        Entry(kind, count, choices.about(kind))
        for kind, count in sorted(counted, key=lambda pair: (pair[0].family, pair[0].slug))
        if count.value is not None
    )
    warnings = answers.warnings + tuple(_warning(kind, count) for kind, count in counted if count.reason)
    return Structure(
        site_url=answers.site_url,
        wordpress_version=answers.version.value,
        fetched_at=answers.finished_at,
        entries=entries,
        plugin_connection_enabled=choices.plugin_connection_enabled,
        two_way_sync_enabled=choices.two_way_sync_enabled,
        provenance=_provenance(answers, counted, warnings) | {CHOSEN: type_settings(choices.chosen)},
        warnings=warnings,
    )


def _or_last_known(kind: ContentType, count: Count, last_known: LastKnown) -> Count:
    earlier = last_known.get((kind.family, kind.slug))
    if count.value is not None or earlier is None:
        return count
    return replace(count, value=earlier, source=CountSource.LAST_KNOWN, exact=False, stale=True)


def _warning(kind: ContentType, count: Count) -> str:
    what = f"{kind.family.replace('_', ' ')} {kind.slug}: the count could not be learned ({count.reason})"
    return f"{what}; the last known one is used" if count.stale else f"{what}; the entry is left out"


def _provenance(
    answers: Answers, counted: list[tuple[ContentType, Count]], warnings: tuple[str, ...]
) -> dict[str, Any]:
    login, version, coverage = answers.login, answers.version, answers.coverage
    return {
        "home": answers.home,
        "title": answers.title,
        "rest_root": answers.root,
        "login": {
            "state": login.state,
            "username": login.username,
            "roles": list(login.roles),
            "reason": login.failure.reason if login.failure else None,
        },
        "wordpress_version": {
            "source": version.source,
            "exact": version.value is not None,
            "probable": version.probable,
            "at_least": version.at_least,
        },
        "coverage": {"completeness": coverage.completeness, "reasons": list(coverage.reasons)},
        "languages": answers.languages,
        "post_types": _sources(counted, Family.POST_TYPE),
        "taxonomies": _sources(counted, Family.TAXONOMY),
        "warnings": list(warnings),
        "requests": answers.requests,
        "duration_seconds": round(answers.duration_seconds, 3),
    }


def _sources(counted: list[tuple[ContentType, Count]], family: Family) -> dict[str, Any]:
    return {
        kind.slug: {
            "count_source": count.source,
            "exact": count.exact,
            "stale": count.stale,
            "reason": count.reason,
            "label_source": kind.label_source,
            "rest_namespace": kind.rest_namespace,
            "rest_base": kind.rest_base,
            "public": kind.public,
        }
        for kind, count in sorted(counted, key=lambda pair: pair[0].slug)
        if kind.family is family
    }
