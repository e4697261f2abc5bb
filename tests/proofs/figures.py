"""How a proof says what it reached."""

from collections.abc import Callable

Proof = Callable[[str, str, str, str], None]
"""proof(goals, what, size, result): a figure that this test reached; of the fixture `proof`."""
