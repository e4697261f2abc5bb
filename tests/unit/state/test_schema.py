"""Migrations: each once, whole, in one transaction."""

import sqlite3
from collections.abc import Iterator
from hashlib import sha256

import pytest

from agent.errors import StateTooNew
from agent.state import schema
from agent.state.rows import check_outbox, check_structure
from agent.state.schema import MIGRATIONS, migrate


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    yield connection
    connection.close()


def version(database: sqlite3.Connection) -> int:
    found: int = database.execute("PRAGMA user_version").fetchone()[0]
    return found


def tables(database: sqlite3.Connection) -> set[str]:
    return {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_a_new_state_gets_all_tables_and_an_identity(database: sqlite3.Connection) -> None:
    migrate(database)

    assert version(database) == len(MIGRATIONS)
    assert tables(database) >= {"instance", "slot", "outbox", "run", "structure", "last_count"}
    assert len(database.execute("SELECT id FROM instance").fetchone()[0]) == 32


def test_a_second_start_changes_nothing(database: sqlite3.Connection) -> None:
    migrate(database)
    before = database.execute("SELECT id FROM instance").fetchall()

    migrate(database)

    assert database.execute("SELECT id FROM instance").fetchall() == before


def test_what_is_owed_survives_the_way_to_checked_rows(
    database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "MIGRATIONS", MIGRATIONS[:1])
    migrate(database)
    database.execute(
        """INSERT INTO outbox (site, generation, body, body_sha256, idempotency_key, state, next_at, owed_at)
           VALUES ('shop', 7, ?, ?, 'key', 'held', '2026-11-21T10:00:00.000000Z', '2026-11-21T09:00:00.000000Z')""",
        (b"{}", sha256(b"{}").hexdigest()),
    )
    database.execute(
        "INSERT INTO structure (site, generation, digest, fetched_at, document, changes) VALUES ('shop', 7, 'd', 't', '{}', '{}')"
    )
    monkeypatch.undo()

    migrate(database)

    database.row_factory = sqlite3.Row
    check_outbox(database.execute("SELECT * FROM outbox").fetchone())
    check_structure(database.execute("SELECT * FROM structure").fetchone())
    assert database.execute("SELECT state, may_arrive_late FROM outbox").fetchone()[:] == ("held", 0)


def test_a_newer_state_is_refused_and_untouched(database: sqlite3.Connection) -> None:
    database.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")

    with pytest.raises(StateTooNew) as refused:
        migrate(database)

    assert refused.value.exit_code == 78
    assert version(database) == len(MIGRATIONS) + 1
    assert tables(database) == set()


def test_a_migration_that_fails_leaves_the_version_before(
    database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(database: sqlite3.Connection) -> None:
        database.execute("CREATE TABLE half (a)")
        raise KeyboardInterrupt

    monkeypatch.setattr(schema, "MIGRATIONS", (*MIGRATIONS, half))

    with pytest.raises(KeyboardInterrupt):
        migrate(database)

    assert version(database) == len(MIGRATIONS)
    assert "half" not in tables(database)
    assert not database.in_transaction


def test_an_older_state_takes_only_the_steps_it_lacks(
    database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(database)
    monkeypatch.setattr(
        schema, "MIGRATIONS", (*MIGRATIONS, lambda database: database.execute("CREATE TABLE newest (a)"))
    )

    migrate(database)

    assert version(database) == len(MIGRATIONS) + 1
    assert "newest" in tables(database)
