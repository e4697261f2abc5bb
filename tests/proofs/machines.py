"""How much of Hypothesis' state machines is run, and how a broken one is found."""

from hypothesis import HealthCheck, Phase, settings

NIGHTLY = 1_000
"""From so many histories on, each night looks for new ones."""


def histories(number: int, *, steps: int) -> settings:
    return settings(
        max_examples=number, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck),
        derandomize=number < NIGHTLY, database=None,
    )  # fmt: skip


def until_it_breaks(*, steps: int) -> settings:
    """For a rule that is broken on purpose: the first history that shows it is enough, however long."""
    return settings(histories(400, steps=steps), phases=[Phase.generate], report_multiple_bugs=False)
