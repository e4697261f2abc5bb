"""Rules of the product, broken on purpose in a worker: each proof has to notice."""

from collections.abc import Callable
from typing import Any

from agent.state.fleet_store import FleetStore
from agent.state.ledger import Ledger


def nobody_is_buried() -> None:
    """What the dead had in hand stays theirs."""
    FleetStore.bury_dead = lambda self: []  # type: ignore[method-assign]


def anybody_may_write() -> None:
    """Who has lost a site writes of it all the same."""
    FleetStore._must_have = lambda self, connection, site: None  # type: ignore[method-assign]  # noqa: SLF001 - broken on purpose


def a_new_document_for_every_try() -> None:
    """What is owed by the dead is read anew, instead of being sent as it is."""
    Ledger.waiting = lambda self, site, *, now: None  # type: ignore[method-assign]
    slot = Ledger.slot

    def forgetful(self: Ledger, site: str) -> Any:
        row = slot(self, site)
        return None if row and row.state != "closed" else row

    Ledger.slot = forgetful  # type: ignore[method-assign,assignment]


BROKEN: dict[str, Callable[[], None]] = {
    "nobody is buried": nobody_is_buried,
    "anybody may write": anybody_may_write,
    "a new document for every try": a_new_document_for_every_try,
}
