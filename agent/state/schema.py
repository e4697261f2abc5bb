"""The tables, as an ordered list of migrations; each runs once, whole, in one transaction."""

import sqlite3
from collections.abc import Callable

from agent.errors import StateTooNew
from agent.state.records import row_sha256

Migration = Callable[[sqlite3.Connection], None]


def m001_first_tables(database: sqlite3.Connection) -> None:
    for statement in (
        "CREATE TABLE instance (id TEXT NOT NULL)",
        # The newest slot in hand of each site: open until read, owed until delivered, then closed.
        """CREATE TABLE slot (
            site TEXT PRIMARY KEY,
            day TEXT NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('open', 'owed', 'closed')),
            failures INTEGER NOT NULL DEFAULT 0,
            next_at TEXT
        ) STRICT""",
        # At most one owed document a site: its bytes and key are frozen, so that a retry repeats both.
        """CREATE TABLE outbox (
            site TEXT PRIMARY KEY,
            generation INTEGER NOT NULL,
            body BLOB NOT NULL,
            body_sha256 TEXT NOT NULL,
            idempotency_key TEXT NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('pending', 'held')),
            failures INTEGER NOT NULL DEFAULT 0,
            next_at TEXT NOT NULL,
            owed_at TEXT NOT NULL,
            reason TEXT,
            message TEXT,
            hint TEXT
        ) STRICT""",
        """CREATE TABLE run (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            site TEXT NOT NULL,
            trigger TEXT NOT NULL,
            started_at TEXT NOT NULL,
            finished_at TEXT,
            result TEXT,
            reason TEXT,
            message TEXT,
            hint TEXT,
            generation INTEGER,
            integration_id TEXT,
            provenance TEXT
        ) STRICT""",
        "CREATE INDEX run_by_site ON run (site, id)",
        """CREATE TABLE structure (
            site TEXT NOT NULL,
            generation INTEGER NOT NULL,
            digest TEXT NOT NULL,
            fetched_at TEXT NOT NULL,
            delivered_at TEXT,
            document TEXT NOT NULL,
            changes TEXT NOT NULL,
            PRIMARY KEY (site, generation)
        ) STRICT""",
        """CREATE TABLE last_count (
            site TEXT NOT NULL,
            family TEXT NOT NULL,
            slug TEXT NOT NULL,
            count INTEGER NOT NULL,
            learned_at TEXT NOT NULL,
            PRIMARY KEY (site, family, slug)
        ) STRICT""",
        "INSERT INTO instance (id) VALUES (lower(hex(randomblob(16))))",
    ):
        database.execute(statement)


def m002_checked_rows(database: sqlite3.Connection) -> None:
    """Rows that tell when they were damaged, documents that are not sent again, and looks at the backend afterwards."""
    for statement in (
        "ALTER TABLE outbox RENAME TO outbox_1",
        """CREATE TABLE outbox (
            site TEXT PRIMARY KEY,
            generation INTEGER NOT NULL,
            body BLOB NOT NULL,
            body_sha256 TEXT NOT NULL,
            row_sha256 TEXT NOT NULL,
            idempotency_key TEXT NOT NULL,
            -- Refused ones are quarantined: the same bytes would be refused again.
            state TEXT NOT NULL CHECK (state IN ('pending', 'held', 'quarantined')),
            failures INTEGER NOT NULL DEFAULT 0,
            next_at TEXT NOT NULL,
            owed_at TEXT NOT NULL,
            -- Whether this document, or one before it, may still be on its way to the backend.
            may_arrive_late INTEGER NOT NULL DEFAULT 0,
            reason TEXT,
            message TEXT,
            hint TEXT
        ) STRICT""",
        """INSERT INTO outbox (site, generation, body, body_sha256, row_sha256, idempotency_key, state, failures,
            next_at, owed_at, reason, message, hint)
           SELECT site, generation, body, body_sha256, '', idempotency_key, state, failures,
            next_at, owed_at, reason, message, hint FROM outbox_1""",
        "DROP TABLE outbox_1",
        "ALTER TABLE structure ADD COLUMN row_sha256 TEXT NOT NULL DEFAULT ''",
        # The delivered document that the backend has to show still, and how often that was looked at.
        """CREATE TABLE recheck (
            site TEXT PRIMARY KEY,
            generation INTEGER NOT NULL,
            next_at TEXT NOT NULL,
            looks INTEGER NOT NULL DEFAULT 0
        ) STRICT""",
    ):
        database.execute(statement)
    for table, columns in (
        ("outbox", "site, generation, body_sha256, idempotency_key, owed_at"),
        ("structure", "site, generation, digest, fetched_at, document, changes"),
    ):
        for number, *values in database.execute(f"SELECT rowid, {columns} FROM {table}").fetchall():  # noqa: S608 - written above
            checksum = row_sha256(*values)
            database.execute(f"UPDATE {table} SET row_sha256 = ? WHERE rowid = ?", (checksum, number))  # noqa: S608 - likewise


def m003_offers(database: sqlite3.Connection) -> None:
    """What a backend has said that it offers besides: a look-up says so, and after a restart none may come for a day."""
    database.execute(
        "CREATE TABLE offer (backend TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (backend, name)) STRICT"
    )


def m004_refusals(database: sqlite3.Connection) -> None:
    """Logins that were refused lately, whoever tried them; and what a reading that was not believed showed no longer."""
    database.execute("CREATE TABLE refused_login (account TEXT NOT NULL, at TEXT NOT NULL) STRICT")
    database.execute("ALTER TABLE run ADD COLUMN doubted TEXT")


def m005_unfinished_runs(database: sqlite3.Connection) -> None:
    """What was in hand is looked for at each start and stop, among all runs of years."""
    database.execute("CREATE INDEX run_unfinished ON run (site) WHERE finished_at IS NULL")


MIGRATIONS: tuple[Migration, ...] = (
    m001_first_tables, m002_checked_rows, m003_offers, m004_refusals, m005_unfinished_runs
)  # fmt: skip
NEWEST_VERSION = len(MIGRATIONS)


def known_version(database: sqlite3.Connection) -> int:
    """How many migrations the tables have seen; raises StateTooNew for more than there are here."""
    version: int = database.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise StateTooNew(
            f"the state was written by a newer version (schema {version}, known here up to {len(MIGRATIONS)})",
            reason="state_newer",
            hint="Run the newer version again, or name another folder by WPSA_STATE_DIR.",
        )
    return version


def migrate(database: sqlite3.Connection) -> None:
    """Bring the tables up to this version; a crash in between leaves the version before.

    Raises StateTooNew for tables of a newer version, which stay untouched.
    """
    version = known_version(database)
    for number, migration in enumerate(MIGRATIONS[version:], start=version + 1):
        database.execute("BEGIN IMMEDIATE")
        try:
            migration(database)
            database.execute(f"PRAGMA user_version = {number:d}")
        except BaseException:
            database.execute("ROLLBACK")
            raise
        database.execute("COMMIT")
