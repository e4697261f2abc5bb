"""Rules of the product, broken on purpose in a child: each proof has to notice."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from agent import sync
from agent.backend.client import BackendClient
from agent.state import ledger, store
from agent.state.records import Delivery, Receipt
from agent.state.store import FileStore


def receipt_before_the_push() -> None:
    """The outbox forgets what it has not sent yet."""
    deliver = sync.deliver

    async def forgetful(delivery: Delivery, ports: sync.Ports) -> Any:
        ports.state.record_receipt(delivery, Receipt("8"), at=ports.clock.now())
        return await deliver(delivery, ports)

    sync.deliver = forgetful


def one_commit_at_the_end() -> None:
    """What is sent is durable only when all is over."""

    @contextmanager
    def postponed(self: FileStore, site: str | None = None) -> Iterator[Any]:
        if not self._database.in_transaction:
            self._database.execute("BEGIN IMMEDIATE")
        yield self._database

    close = FileStore.close

    def commit_and_close(self: FileStore) -> None:
        if self._database.in_transaction:
            self._database.execute("COMMIT")
        close(self)

    FileStore.transaction = postponed  # type: ignore[method-assign]
    FileStore.close = commit_and_close  # type: ignore[method-assign]


def a_new_key_for_every_try() -> None:
    """A repeat is a new request to the backend."""
    push = BackendClient.push

    async def redrawn(self: BackendClient, delivery: Delivery) -> Receipt:
        return await push(self, replace(delivery, idempotency_key=f"{delivery.idempotency_key[:50]}-{os.getpid()}"))

    BackendClient.push = redrawn  # type: ignore[method-assign]


def errors_swallowed() -> None:
    """A transaction that failed counts as done."""

    @contextmanager
    def careless(self: FileStore, site: str | None = None) -> Iterator[Any]:
        try:
            self._database.execute("BEGIN IMMEDIATE")
            yield self._database
            self._database.execute("COMMIT")
        except store.sqlite3.Error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")

    FileStore.transaction = careless  # type: ignore[method-assign]
    # What was not written is made up.
    owe = ledger.Ledger.owe

    def pretended(self: ledger.Ledger, *given: Any, **named: Any) -> Any:
        try:
            return owe(self, *given, **named)
        except AssertionError:
            return made_up(*given, **named)

    ledger.Ledger.owe = pretended  # type: ignore[method-assign]


def made_up(run: Any, structure: Any, *, at: Any) -> Any:
    body = ledger.to_bytes(ledger.to_document(structure))
    digest = ledger.sha256(body).hexdigest()
    delivery = Delivery(
        site=run.site, generation=int(at.timestamp() * 1000), body=body, body_sha256=digest, idempotency_key=digest,
        failures=0, owed_at=at, next_at=at,
    )  # fmt: skip
    return delivery, ledger.diff(None, {})


BROKEN: dict[str, Callable[[], None]] = {
    "receipt before the push": receipt_before_the_push,
    "one commit at the end": one_commit_at_the_end,
    "a new key for every try": a_new_key_for_every_try,
    "errors swallowed": errors_swallowed,
}
