"""The tables on PostgreSQL, as an ordered list of steps; each runs once, whole, whoever comes first.

Several versions work on one database while an upgrade goes through the machines, so a step only adds:
a column with a default, a table, an index. One that an older version could not live with is marked as such.
"""

from dataclasses import dataclass
from pathlib import Path

from psycopg import Connection
from psycopg.rows import DictRow

from agent.errors import StateTooNew

SCHEMA = "wpsa"
_LOCK = 0x77707361  # of ours alone: whoever brings the tables up, the others wait


@dataclass(frozen=True, slots=True)
class Step:
    statements: tuple[str, ...]
    old_versions_go_on: bool = True
    """Whether a program that does not know this step may work on beside it."""


FIRST_TABLES = Step((
    "CREATE TABLE instance (id TEXT NOT NULL)",
    "INSERT INTO instance (id) VALUES (replace(gen_random_uuid()::text, '-', ''))",
    """CREATE TABLE slot (
        site TEXT PRIMARY KEY,
        day TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('open', 'owed', 'closed')),
        failures INTEGER NOT NULL DEFAULT 0,
        next_at TEXT
    )""",
    """CREATE TABLE outbox (
        site TEXT PRIMARY KEY,
        generation BIGINT NOT NULL,
        body BYTEA NOT NULL,
        body_sha256 TEXT NOT NULL,
        row_sha256 TEXT NOT NULL,
        idempotency_key TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('pending', 'held', 'quarantined')),
        failures INTEGER NOT NULL DEFAULT 0,
        next_at TEXT NOT NULL,
        owed_at TEXT NOT NULL,
        may_arrive_late INTEGER NOT NULL DEFAULT 0,
        reason TEXT,
        message TEXT,
        hint TEXT
    )""",
    """CREATE TABLE run (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        site TEXT NOT NULL,
        trigger TEXT NOT NULL,
        started_at TEXT NOT NULL,
        finished_at TEXT,
        result TEXT,
        reason TEXT,
        message TEXT,
        hint TEXT,
        generation BIGINT,
        integration_id TEXT,
        provenance TEXT
    )""",
    "CREATE INDEX run_by_site ON run (site, id)",
    "CREATE INDEX run_unfinished ON run (site) WHERE finished_at IS NULL",
    """CREATE TABLE structure (
        site TEXT NOT NULL,
        generation BIGINT NOT NULL,
        digest TEXT NOT NULL,
        fetched_at TEXT NOT NULL,
        delivered_at TEXT,
        document TEXT NOT NULL,
        changes TEXT NOT NULL,
        row_sha256 TEXT NOT NULL,
        PRIMARY KEY (site, generation)
    )""",
    """CREATE TABLE last_count (
        site TEXT NOT NULL,
        family TEXT NOT NULL,
        slug TEXT NOT NULL,
        count BIGINT NOT NULL,
        learned_at TEXT NOT NULL,
        PRIMARY KEY (site, family, slug)
    )""",
    """CREATE TABLE recheck (
        site TEXT PRIMARY KEY,
        generation BIGINT NOT NULL,
        next_at TEXT NOT NULL,
        looks INTEGER NOT NULL DEFAULT 0
    )""",
    "CREATE TABLE offer (backend TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (backend, name))",
    # Who works on this state. Times of life are PostgreSQL's own: the machines' clocks need not agree.
    """CREATE TABLE worker (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        started_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
        alive_until TIMESTAMPTZ NOT NULL
    )""",
    # A site is in hand once: the primary key says so, whatever the programs believe.
    """CREATE TABLE claim (
        site TEXT PRIMARY KEY,
        worker TEXT NOT NULL REFERENCES worker (id) ON DELETE CASCADE,
        taken_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
    )""",
    "CREATE INDEX claim_by_worker ON claim (worker)",
    # The sites of a fleet, and when each wants something next.
    """CREATE TABLE site (
        name TEXT PRIMARY KEY,
        origin TEXT NOT NULL,
        settings TEXT,
        next_at TIMESTAMPTZ NOT NULL,
        asked_at TIMESTAMPTZ,
        delivered_at TEXT,
        result TEXT
    )""",
    "CREATE INDEX site_by_time ON site (next_at)",
    "CREATE INDEX site_asked ON site (asked_at) WHERE asked_at IS NOT NULL",
    # The backend asks for a site by its own ids.
    "CREATE INDEX site_by_site_id ON site ((settings::jsonb ->> 'site_id'))",
    "CREATE INDEX site_by_integration_id ON site ((settings::jsonb ->> 'integration_id'))",
))  # fmt: skip

REFUSALS = Step((
    "CREATE TABLE refused_login (account TEXT NOT NULL, at TEXT NOT NULL)",
    "ALTER TABLE run ADD COLUMN doubted TEXT",
))  # fmt: skip

STEPS: tuple[Step, ...] = (FIRST_TABLES, REFUSALS)


def migrate(connection: Connection[DictRow]) -> None:
    """Bring the tables up to this version, in one transaction. Raises StateTooNew where only newer programs may go on."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS version (known INTEGER NOT NULL, needed INTEGER NOT NULL, engine TEXT NOT NULL)"
        )
        row = connection.execute("SELECT known, needed, engine FROM version").fetchone()
        known, needed, engine = (row["known"], row["needed"], row["engine"]) if row else (0, 0, "")
        if needed > len(STEPS):
            raise StateTooNew(
                f"the state was written by a newer version (schema {known}, known here up to {len(STEPS)})",
                reason="state_newer",
                hint="Run the newer version here, too.",
            )
        for number, step in enumerate(STEPS[known:], start=known + 1):
            for statement in step.statements:
                connection.execute(statement)
            needed = needed if step.old_versions_go_on else number
        newest = _migrate_engine(connection, engine)
        if (known, engine) != (max(known, len(STEPS)), newest):
            connection.execute("DELETE FROM version")
            connection.execute(
                "INSERT INTO version (known, needed, engine) VALUES (%s, %s, %s)", (max(known, len(STEPS)), needed, newest)
            )


def _migrate_engine(connection: Connection[DictRow], known: str) -> str:
    """Procrastinate's own tables, by its own steps; the name of the newest that they have seen."""
    # Who only looks at the state does without the engine, which takes 40 ms to import.
    from procrastinate.schema import SchemaManager

    steps = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    newest = max(known, steps[-1].name)
    if not known:
        connection.execute(SchemaManager.get_schema())
        # A worker that looks for work asks who else is in the same lane.
        connection.execute("CREATE INDEX wpsa_lanes ON procrastinate_jobs (lock) WHERE status IN ('todo', 'doing')")
    for step in steps if known else ():
        if step.name > known:
            connection.execute(step.read_bytes())
    return newest
