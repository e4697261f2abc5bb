"""May this reading replace the last one? Judged purely, on what both say."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from agent.errors import SuspiciousShrink
from agent.structure.model import Answers, Family

CONFIRMED_AFTER: Final = timedelta(minutes=10)
"""A second reading that says the same this much later is believed."""

_EVERYWHERE: Final = frozenset({(Family.POST_TYPE, "post"), (Family.POST_TYPE, "page")})


@dataclass(frozen=True, slots=True)
class Doubt:
    """The last reading was not believed."""

    at: datetime
    gone: frozenset[str]
    """As `SuspiciousShrink` says it."""


def refuse_lesser_view(answers: Answers, *, before: Mapping[str, Any]) -> None:
    """A reading that saw less than the last one must not look like a site that has less.

    before   the provenance of the newest structure
    Raises what closed the site, or what made the login fail after it had worked before.
    """
    if answers.closed:
        raise answers.closed
    logged_in_before = str(before.get("login", {}).get("state", "")).startswith("proved")
    if answers.login.failure and logged_in_before:
        raise answers.login.failure


def refuse_suspicious_shrink(
    answers: Answers, *, before: frozenset[tuple[Family, str]], doubt: Doubt | None
) -> None:
    """One bad reading must not empty the backend; a second one that says the same, ten minutes later, may.

    before   the content types of the newest structure; types without a count do not count as lost
    doubt    about the last reading; None where it was believed, or there was none
    Raises SuspiciousShrink.
    """
    now = {(kind.family, kind.slug) for kind, _ in answers.counted}
    gone = before - now
    if not (gone & _EVERYWHERE or len(gone) * 2 > len(before) > 0):
        return
    named = frozenset(f"{family} {slug}" for family, slug in gone)
    if doubt and named <= doubt.gone and answers.finished_at - doubt.at >= CONFIRMED_AFTER:
        return
    names = ", ".join(sorted(slug for _, slug in gone)[:10])
    error = SuspiciousShrink(
        f"{answers.home} suddenly shows {len(gone)} of {len(before)} content types no longer ({names})",
        reason="shrink_guard",
        hint="Nothing was pushed. If it is so in ten minutes too, it is believed: wait, or sync again then.",
        retry_after_seconds=CONFIRMED_AFTER.total_seconds(),
    )
    error.gone = named
    raise error
