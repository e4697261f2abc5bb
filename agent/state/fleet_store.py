"""The state on PostgreSQL, for several processes at once: each has its sites in hand by a claim that nobody can double.

A worker says time and again that it lives. One that has not said so for a while is dead: its claims go, and
with them its right to write; what it had in hand is taken up by the others. One that was only cut off or
asleep finds its claims gone when it wakes, and can change nothing any more.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import errors
from psycopg.rows import DictRow, dict_row

from agent.errors import ConfigError, StateBusy, StateError, StateFailed, StateFull, StateUnwritable
from agent.state.fleet_schema import SCHEMA, migrate
from agent.state.interrupted import Quarantined, end_killed, end_stopped
from agent.state.rows import Cursor
from agent.state.sites import ERRANDS

ALIVE_SECONDS = 45
"""So long a worker counts as alive after it has said so; it says so four times as often."""
SAY_SO_SECONDS = 10.0

_CONNECT_SECONDS = 3
_LEAST_PAUSE_SECONDS = 0.5
OPTIONS = (
    f"-c search_path={SCHEMA} -c statement_timeout=15s -c lock_timeout=5s"
    " -c idle_in_transaction_session_timeout=30s -c client_min_messages=warning"
)
# A network that swallows everything is noticed within seconds, not within the two hours of the system's default.
KEEPALIVES = {"keepalives_idle": 3, "keepalives_interval": 1, "keepalives_count": 3, "tcp_user_timeout": 5_000}
# Before anybody has logged in, libpq tells what went wrong in words alone.
_LET_IN_NOBODY = ("authentication failed", "no pg_hba.conf entry", "does not exist", "not permitted to log in")
_IN_EACH_OTHERS_WAY = (errors.LockNotAvailable, errors.QueryCanceled, errors.DeadlockDetected, errors.SerializationFailure)


@dataclass(frozen=True, slots=True)
class Buried:
    """A worker that was found dead, how many sites it had in hand, and which of them wait for it now."""

    worker: str
    sites: int
    held: tuple[Quarantined, ...] = ()


class FleetStore:
    """One connection to the state, made anew when it breaks.

    worker   how this process is called in `wpsa fleet status`; None for looking only
    """

    set_aside: Path | None = None

    def __init__(self, url: str, *, worker: str | None = None) -> None:
        self._url, self._name, self._id = url, worker, ""
        self._in_hand: set[str] = set()
        self._connection: psycopg.Connection[DictRow] | None = None
        self._away: psycopg.Error | None = None
        self._asked_again_at = 0.0

    @contextmanager
    def transaction(self, site: str | None = None) -> Iterator["FleetDatabase"]:
        """All or nothing. Raises StateError, also when this process no longer has the site in hand."""
        with self._connected() as connection, connection.transaction():
            if site is not None:
                self._must_have(connection, site)
            yield FleetDatabase(connection)

    def rows(self, query: str, *values: Any) -> list[DictRow]:
        with self._connected() as connection:
            return FleetDatabase(connection).execute(query, values).fetchall()

    def take(self, site: str) -> bool:
        with self._connected() as connection:
            try:
                taken = connection.execute(
                    """INSERT INTO claim (site, worker) SELECT %s, id FROM worker WHERE id = %s
                       ON CONFLICT DO NOTHING""",
                    (site, self._id),
                ).rowcount
            except errors.ForeignKeyViolation:
                return False  # buried at this very moment
            mine = taken == 1 or _has(connection, site, self._id)
        if mine:
            self._in_hand.add(site)
        return mine

    def give_back(self, site: str) -> None:
        # What a broken connection leaves of it goes when this process says next that it lives.
        self._in_hand.discard(site)
        with self._connected() as connection:
            connection.execute("DELETE FROM claim WHERE site = %s AND worker = %s", (site, self._id))

    def bring_up_to_date(self) -> None:
        """Make the tables, or bring them up to this version. Raises StateTooNew."""
        with self._connected() as connection:
            migrate(connection)

    def begin_work(self) -> None:
        """Bring the tables up to this version, and be known as alive from now on."""
        self.bring_up_to_date()
        with self._connected() as connection:
            self._register(connection)

    def live_on(self) -> bool:
        """Say that this process lives; False when it counted as dead meanwhile, and has nothing in hand any more."""
        with self._connected() as connection:
            alive = connection.execute(
                "UPDATE worker SET alive_until = clock_timestamp() + %s * interval '1 second' WHERE id = %s",
                (ALIVE_SECONDS, self._id),
            ).rowcount
            if not alive:
                self._register(connection)
                return False
            connection.execute(
                "DELETE FROM claim WHERE worker = %s AND NOT site = ANY(%s)", (self._id, list(self._in_hand))
            )
            return True

    def bury_dead(self) -> list[Buried]:
        """Free what dead workers had in hand; a document of theirs may still be on its way to the backend."""
        with self.transaction() as database:
            dead = database.execute(
                "SELECT id, name, clock_timestamp() AS at FROM worker WHERE alive_until < clock_timestamp() FOR UPDATE SKIP LOCKED"
            ).fetchall()
            return [_found_dead(database, worker) for worker in dead]

    def close(self) -> None:
        """What is in hand is given back, and this worker is no longer known."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            if self._id:
                with connection.transaction():
                    database = FleetDatabase(connection)
                    end_stopped(database, _bury(database, self._id))
        except psycopg.Error:
            pass  # it will be found dead
        finally:
            connection.close()

    def _register(self, connection: psycopg.Connection[DictRow]) -> None:
        # A new name each time: what was written in the old one is nobody's.
        self._id = uuid4().hex
        connection.execute(
            """INSERT INTO worker (id, name, alive_until)
               VALUES (%s, %s, clock_timestamp() + %s * interval '1 second')""",
            (self._id, self._name, ALIVE_SECONDS),
        )

    def _must_have(self, connection: psycopg.Connection[DictRow], site: str) -> None:
        if not _has(connection, site, self._id, locked=True):
            raise StateBusy(
                f"{site} is in the hands of another worker",
                reason="state_claim_lost",
                hint="This process was cut off or asleep for too long; nothing is lost, the other goes on.",
            )

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[DictRow]]:
        """PostgreSQL's errors as ours."""
        try:
            if self._connection is None or self._connection.broken or self._connection.closed:
                self._connection = self._connect()
            yield self._connection
        except psycopg.Error as error:
            raise _ours(error) from error

    def _connect(self) -> psycopg.Connection[DictRow]:
        """A database that does not answer is not waited for by everybody in turn."""
        began = monotonic()
        if self._away and began < self._asked_again_at:
            raise self._away.with_traceback(None)
        try:
            connection = _connect(self._url)
        except psycopg.Error as error:
            self._away = error
            self._asked_again_at = monotonic() + max(_LEAST_PAUSE_SECONDS, 2 * (monotonic() - began))
            raise
        self._away = None
        return connection


class FleetDatabase:
    """A connection that takes `?` for each value, as SQLite does."""

    def __init__(self, connection: psycopg.Connection[DictRow]) -> None:
        self._connection = connection

    def execute(self, query: str, values: Sequence[Any] = (), /) -> Cursor:
        return self._connection.execute(_placed(query), values)

    def executemany(self, query: str, rows: Iterable[Sequence[Any]], /) -> None:
        self._connection.cursor().executemany(_placed(query), rows)


def _found_dead(database: FleetDatabase, worker: DictRow) -> Buried:
    sites = _bury(database, worker["id"])
    return Buried(worker["name"], len(sites), tuple(end_killed(database, sites, at=worker["at"])))


def _bury(database: FleetDatabase, worker: str) -> list[str]:
    """A worker is no longer known. The sites that it had in hand, whose runs are still to be ended."""
    query = "SELECT site FROM claim WHERE worker = ? AND site <> ? ORDER BY site"
    sites = [row["site"] for row in database.execute(query, (worker, ERRANDS)).fetchall()]
    database.execute("UPDATE outbox SET may_arrive_late = 1 WHERE site = ANY(?)", (sites,))
    database.execute("DELETE FROM worker WHERE id = ?", (worker,))
    return sites


def open_fleet_store(url: str, *, worker: str) -> FleetStore:
    """The state at this address, with its tables, and this process known as one that works on it. Raises StateError."""
    store = FleetStore(url, worker=worker)
    try:
        store.begin_work()
    except BaseException:
        store.close()
        raise
    return store


def read_fleet_store(url: str) -> FleetStore | None:
    """The state for looking only; None when there is none at this address yet. Raises StateError."""
    store = FleetStore(url)
    if store.rows("SELECT to_regclass(?) AS found", f"{SCHEMA}.version")[0]["found"] is None:
        store.close()
        return None
    return store


def _connect(url: str) -> psycopg.Connection[DictRow]:
    """Raises psycopg.Error, and ConfigError for an address that is none."""
    try:
        connection = psycopg.connect(
            url,
            autocommit=True,
            row_factory=dict_row,
            application_name="wpsa",
            connect_timeout=_CONNECT_SECONDS,
            options=OPTIONS,
            **KEEPALIVES,  # type: ignore[arg-type]  # numbers for libpq
        )
    except psycopg.ProgrammingError:  # of libpq, which quotes the address
        raise ConfigError(
            "WPSA_STATE_URL is no address of a database",
            reason="config",
            hint="Write postgresql://user:password@host/database, and special letters in its parts as %20.",
        ) from None
    # What is owed is sent at once: a server that forgets the last moments when it crashes would owe it twice.
    connection.execute("SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'")
    return connection


def _has(connection: psycopg.Connection[DictRow], site: str, worker: str, *, locked: bool = False) -> bool:
    query = "SELECT 1 AS one FROM claim WHERE site = %s AND worker = %s"
    cursor = connection.execute(f"{query} FOR SHARE" if locked else query, (site, worker))
    return cursor.fetchone() is not None


def _placed(query: str) -> str:
    return query.replace("?", "%s")


def _ours(error: psycopg.Error) -> StateError:
    match error:
        case errors.DiskFull():
            return StateFull(
                "the disk of the database with the state is full",
                reason="state_full",
                hint="Make room there; what was owed before is kept, and goes on by itself.",
            )
        case errors.InsufficientPrivilege() | errors.InvalidPassword() | errors.InvalidAuthorizationSpecification():
            return _refusal(error)
        case _ if isinstance(error, _IN_EACH_OTHERS_WAY):
            return StateBusy(
                f"the database with the state is busy: {_first_line(error)}",
                reason="state_busy",
                hint="It is tried again by itself.",
            )
        case psycopg.OperationalError() if any(words in str(error) for words in _LET_IN_NOBODY):
            return _refusal(error)
        case psycopg.OperationalError() | errors.ReadOnlySqlTransaction():
            return StateBusy(
                f"the database with the state cannot be reached: {_first_line(error)}",
                reason="state_unreachable",
                hint="Look at the PostgreSQL of WPSA_STATE_URL; nothing is lost, and work goes on when it is back.",
            )
        case _:
            return StateFailed(
                f"the database refuses to keep the state: {_first_line(error)}",
                reason="state_io",
                hint="Look at the log of the PostgreSQL of WPSA_STATE_URL.",
            )


def _refusal(error: psycopg.Error) -> StateUnwritable:
    return StateUnwritable(
        f"the database refuses the state: {_first_line(error)}",
        reason="state_ro",
        hint="Let the user of WPSA_STATE_URL log in, and create and own the schema wpsa.",
    )


def _first_line(error: psycopg.Error) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
