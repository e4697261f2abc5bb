"""May this reading replace the last one? Judged purely, on what both say of themselves."""

from collections.abc import Mapping
from typing import Any

from agent.structure.model import Answers


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
