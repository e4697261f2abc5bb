"""The state on PostgreSQL among several processes: a site is in hand once, and only who has it in hand writes of it."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from threading import Barrier
from typing import Any

import postgresql
import psycopg
import pytest
from builders import NOW, a_structure
from psycopg.rows import dict_row

from agent.errors import ConfigError, StateBusy, StateError, StateFailed, StateTooNew, StateUnwritable
from agent.redact import Redactor
from agent.state import fleet_schema
from agent.state.fleet_schema import SCHEMA, STEPS, Step
from agent.state.fleet_store import ALIVE_SECONDS, Buried, FleetStore, open_fleet_store, read_fleet_store
from agent.state.ledger import Ledger
from agent.state.records import Trigger

INSERT = "INSERT INTO slot (site, day, state) VALUES (?, '2026-11-21', 'open')"
PASSWORD = "opens-nothing-at-all"

Begun = Callable[[str], FleetStore]


@pytest.fixture
def begun(state_url: str) -> Iterator[Begun]:
    """A function: a worker of this name begins its work."""
    with ExitStack() as stack:

        def begin(name: str) -> FleetStore:
            store = open_fleet_store(state_url, worker=name)
            stack.callback(store.close)
            return store

        yield begin


@contextmanager
def database(url: str) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    """From outside, as nobody's worker."""
    with psycopg.connect(url, autocommit=True, row_factory=dict_row, options=f"-c search_path={SCHEMA}") as connection:
        yield connection


def let_die(url: str, worker: str) -> None:
    """Its life has run out, though nobody has seen it yet."""
    with database(url) as connection:
        gone = "UPDATE worker SET alive_until = clock_timestamp() - interval '1 second' WHERE name = %s"
        assert connection.execute(gone, (worker,)).rowcount == 1


def cut(url: str) -> None:
    """End all connections but the one that says so."""
    with database(url) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'wpsa'")


def claims(url: str) -> dict[str, list[str]]:
    """The names of the workers that have each site in hand."""
    with database(url) as connection:
        rows = connection.execute("SELECT site, name FROM claim JOIN worker ON worker.id = claim.worker").fetchall()
    return {site: sorted(row["name"] for row in rows if row["site"] == site) for site in {row["site"] for row in rows}}


# --- who has a site in hand ---------------------------------------------------------------------


def taken_at_once(workers: list[FleetStore], sites: list[str]) -> list[int]:
    """By how many of the workers each site was taken, when all ask for it at the same moment."""
    begin = Barrier(len(workers))

    def take_all(worker: FleetStore) -> list[bool]:
        taken = []
        for site in sites:
            begin.wait()
            taken.append(worker.take(site))
        return taken

    with ThreadPoolExecutor(len(workers)) as threads:
        return [sum(taken) for taken in zip(*threads.map(take_all, workers), strict=True)]


SITES = [f"site-{number}" for number in range(30)]


def test_of_many_that_take_a_site_at_the_same_moment_one_has_it(begun: Begun) -> None:
    workers = [begun(f"worker-{number}") for number in range(4)]

    assert taken_at_once(workers, SITES) == [1] * len(SITES)


def test_without_the_primary_key_of_claims_a_site_is_taken_twice(begun: Begun, state_url: str) -> None:
    workers = [begun(f"worker-{number}") for number in range(4)]
    with database(state_url) as connection:
        connection.execute("ALTER TABLE claim DROP CONSTRAINT claim_pkey")

    assert taken_at_once(workers, SITES) != [1] * len(SITES)


def test_who_has_a_site_in_hand_may_take_it_again_and_others_once_it_was_given_back(begun: Begun) -> None:
    first, second = begun("first"), begun("second")

    assert first.take("shop") and first.take("shop") and not second.take("shop")
    first.give_back("shop")
    assert second.take("shop") and not first.take("shop")


def test_nobody_gives_back_what_another_has(begun: Begun, state_url: str) -> None:
    first, second = begun("first"), begun("second")
    first.take("shop")

    second.give_back("shop")

    assert claims(state_url) == {"shop": ["first"]}


def test_an_end_frees_what_was_in_hand_and_the_worker_is_no_longer_known(begun: Begun, state_url: str) -> None:
    first = begun("first")
    first.take("shop")

    first.close()

    with database(state_url) as connection:
        assert connection.execute("SELECT * FROM claim").fetchall() == []
        assert connection.execute("SELECT * FROM worker").fetchall() == []


def test_a_claim_whose_answer_was_lost_is_given_back_at_the_next_sign_of_life(begun: Begun, state_url: str) -> None:
    first = begun("first")
    first.take("shop")
    with database(state_url) as connection:  # it was committed, and the connection broke before the answer
        connection.execute("INSERT INTO claim (site, worker) SELECT 'blog', id FROM worker")

    assert first.live_on()

    assert claims(state_url) == {"shop": ["first"]}


def test_what_was_given_back_while_the_database_was_away_is_free_at_the_next_sign_of_life(
    begun: Begun, state_url: str
) -> None:
    first = begun("first")
    first.take("shop")
    cut(state_url)
    with pytest.raises(StateBusy):
        first.give_back("shop")

    assert first.live_on()

    assert claims(state_url) == {}


# --- the dead -----------------------------------------------------------------------------------


def test_who_has_died_is_buried_once_and_his_sites_are_anybodys(begun: Begun, state_url: str) -> None:
    dead, first, second = begun("dead"), begun("first"), begun("second")
    dead.take("shop")
    dead.take("blog")
    first.take("news")
    assert first.bury_dead() == []
    let_die(state_url, "dead")
    assert not second.take("shop")

    assert first.bury_dead() == [Buried("dead", 2)]
    assert second.bury_dead() == []
    assert claims(state_url) == {"news": ["first"]}
    assert second.take("shop")


def test_a_sign_of_life_lasts_as_long_as_it_says(begun: Begun, state_url: str) -> None:
    store = begun("first")
    let_die(state_url, "first")

    assert store.live_on()

    [row] = store.rows("SELECT extract(epoch FROM alive_until - clock_timestamp())::float8 AS seconds FROM worker")
    assert ALIVE_SECONDS - 10 < row["seconds"] <= ALIVE_SECONDS


def owe(store: FleetStore, site: str) -> Ledger:
    """A structure that nobody has sent yet."""
    ledger = Ledger(store, Redactor())
    assert ledger.take(site)
    run = ledger.begin(site, trigger=Trigger.SCHEDULE, day=NOW.date(), at=NOW)
    ledger.owe(run, a_structure(), at=NOW)
    return ledger


def test_the_runs_of_a_dead_worker_were_interrupted_and_what_it_sent_may_still_arrive(
    begun: Begun, state_url: str
) -> None:
    dead, alive = begun("dead"), begun("alive")
    owe(dead, "sent")
    owe(alive, "in other hands")
    for store, site in ((dead, "read"), (alive, "read elsewhere")):
        ledger = Ledger(store, Redactor())
        ledger.take(site)
        ledger.begin(site, trigger=Trigger.SCHEDULE, day=NOW.date(), at=NOW)
    let_die(state_url, "dead")

    alive.bury_dead()

    late = alive.rows("SELECT site, may_arrive_late FROM outbox ORDER BY site")
    assert [tuple(row.values()) for row in late] == [("in other hands", 0), ("sent", 1)]
    runs = alive.rows("SELECT site, result FROM run WHERE generation IS NULL ORDER BY site")
    assert [tuple(row.values()) for row in runs] == [("read", "interrupted"), ("read elsewhere", None)]


def test_a_site_that_each_worker_dies_of_is_held(begun: Begun, state_url: str) -> None:
    alive = begun("alive")
    found = []
    for number in range(3):
        dead = begun(f"dead{number}")
        for site in ("poison", f"beside{number}"):
            ledger = Ledger(dead, Redactor())
            assert ledger.take(site)
            ledger.begin(site, trigger=Trigger.SCHEDULE, day=NOW.date(), at=NOW)
        let_die(state_url, f"dead{number}")
        found += alive.bury_dead()

    assert [(one.sites, [(held.site, held.times) for held in one.held]) for one in found] == [
        (2, []), (2, []), (2, [("poison", 3)])
    ]  # fmt: skip
    slot = Ledger(alive, Redactor()).slot("poison")
    assert slot is not None
    assert slot.next_at == found[-1].held[0].until


def test_who_was_buried_can_write_nothing_of_a_site(begun: Begun, state_url: str) -> None:
    dead, alive = begun("dead"), begun("alive")
    ledger = owe(dead, "shop")
    delivery = ledger.owed_to("shop")
    assert delivery
    let_die(state_url, "dead")
    alive.bury_dead()

    with pytest.raises(StateBusy) as lost:
        ledger.record_failure(delivery, StateFailed("x", reason="x", hint="x"), at=NOW, next_at=NOW)
    assert lost.value.reason == "state_claim_lost"
    assert not ledger.take("shop")
    assert owe(alive, "shop").runs("shop")


def test_who_was_buried_lives_on_under_another_name_with_nothing_in_hand(begun: Begun, state_url: str) -> None:
    dead, alive = begun("dead"), begun("alive")
    dead.take("shop")
    dead.take("blog")
    let_die(state_url, "dead")
    alive.bury_dead()
    alive.take("shop")

    assert not dead.live_on()
    assert claims(state_url) == {"shop": ["alive"]}
    assert not dead.take("shop") and dead.take("blog")
    assert dead.live_on()
    assert claims(state_url) == {"shop": ["alive"], "blog": ["dead"]}


def test_a_burial_waits_for_what_is_being_written(begun: Begun, state_url: str) -> None:
    slow, other = begun("slow"), begun("other")
    slow.take("shop")
    with ThreadPoolExecutor(1) as thread:
        with slow.transaction("shop") as writing:
            let_die(state_url, "slow")
            burying = thread.submit(other.bury_dead)
            wait_for_a_lock(state_url)
            writing.execute(INSERT, ("shop",))
            assert not burying.done()
        assert burying.result() == [Buried("slow", 1)]

    assert other.rows("SELECT site FROM slot") == [{"site": "shop"}]


def test_a_site_that_is_taken_during_ones_own_burial_is_not_taken(begun: Begun, state_url: str) -> None:
    dead = begun("dead")
    with ThreadPoolExecutor(1) as thread:
        with database(state_url) as burying, burying.transaction():
            burying.execute("DELETE FROM worker")
            taking = thread.submit(dead.take, "shop")
            wait_for_a_lock(state_url)
        assert taking.result() is False

    assert claims(state_url) == {}


def wait_for_a_lock(url: str) -> None:
    """Until somebody waits for somebody."""
    with database(url) as connection:
        while not connection.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
            pass


# --- one transaction, one connection -------------------------------------------------------------


@pytest.mark.parametrize("error", [KeyError("x"), KeyboardInterrupt(), psycopg.errors.UniqueViolation("x")])
def test_what_failed_halfway_was_never_there(begun: Begun, error: BaseException) -> None:
    store = begun("first")

    with pytest.raises((type(error), StateFailed)), store.transaction() as writing:
        writing.execute(INSERT, ("a",))
        raise error

    assert store.rows("SELECT * FROM slot") == []
    with store.transaction() as writing:
        writing.execute(INSERT, ("b",))
    assert store.rows("SELECT site FROM slot") == [{"site": "b"}]


def test_a_server_that_was_killed_and_started_again_is_found_again(begun: Begun, state_url: str) -> None:
    store = begun("first")
    with store.transaction() as writing:
        writing.execute(INSERT, ("a",))
    store.take("a")
    with pytest.raises(StateBusy), store.transaction("a") as writing:
        writing.execute(INSERT, ("b",))
        postgresql.restart(state_url)
        writing.execute(INSERT, ("c",))

    assert store.live_on()
    assert store.rows("SELECT site FROM slot") == [{"site": "a"}]
    assert claims(state_url) == {"a": ["first"]}


# --- the tables ---------------------------------------------------------------------------------

BEGIN = """
import sys
from agent.state.fleet_store import open_fleet_store
print("ready", flush=True)
sys.stdin.read()
open_fleet_store(sys.argv[1], worker="w").close()
"""


def test_processes_that_start_together_make_the_tables_once(state_url: str) -> None:
    command = [sys.executable, "-c", BEGIN, state_url]
    pipe = subprocess.PIPE
    with ExitStack() as stack:
        processes = [
            stack.enter_context(subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)) for _ in range(4)
        ]
        for process in processes:
            assert process.stdout and process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin
            process.stdin.close()

        assert [(process.stderr.read(), process.wait()) for process in processes if process.stderr] == [("", 0)] * 4
    with database(state_url) as connection:
        assert len(connection.execute("SELECT * FROM version").fetchall()) == 1
        assert len(connection.execute("SELECT * FROM instance").fetchall()) == 1


def test_there_is_nothing_to_look_at_before_somebody_has_begun(begun: Begun, state_url: str) -> None:
    assert read_fleet_store(state_url) is None

    begun("first").take("shop")

    looking = read_fleet_store(state_url)
    assert looking
    assert len(looking.rows("SELECT * FROM claim")) == 1
    looking.close()
    assert claims(state_url) == {"shop": ["first"]}


ADDED = replace(STEPS[0], statements=("ALTER TABLE slot ADD COLUMN mood TEXT NOT NULL DEFAULT 'calm'",))


def test_an_older_version_works_on_beside_a_newer_one(
    begun: Begun, state_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(fleet_schema, "STEPS", (*STEPS, ADDED))
        begun("newer")

    store = begun("older")

    with store.transaction() as writing:
        writing.execute(INSERT, ("shop",))
    [row] = store.rows("SELECT mood, known, needed FROM slot, version")
    assert (row["mood"], row["known"], row["needed"]) == ("calm", len(STEPS) + 1, 0)


def test_an_older_version_leaves_alone_what_it_cannot_live_with(
    begun: Begun, state_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(fleet_schema, "STEPS", (*STEPS, Step(ADDED.statements, old_versions_go_on=False)))
        begun("newer")

    with pytest.raises(StateTooNew) as refused:
        begun("older")
    assert refused.value.reason == "state_newer"
    with database(state_url) as connection:
        assert connection.execute("SELECT name FROM worker").fetchall() == [{"name": "newer"}]


# --- what PostgreSQL refuses --------------------------------------------------------------------


def refused(url: str) -> StateError:
    with pytest.raises(StateError) as caught:
        open_fleet_store(url, worker="w")
    return caught.value


def as_user(url: str, user: str) -> str:
    return url.replace("wpsa@", f"{user}:{PASSWORD}@")


@pytest.fixture
def locked_out(state_url: str) -> Iterator[None]:
    """`stranger` is asked for a password; `guest` may come in, and make nothing."""
    made = ("DROP ROLE IF EXISTS stranger", "DROP ROLE IF EXISTS guest",
            "CREATE ROLE stranger LOGIN PASSWORD 'another'", "CREATE ROLE guest LOGIN")  # fmt: skip
    with database(state_url) as connection:
        for statement in made:
            connection.execute(statement)  # type: ignore[arg-type]  # words of our own
    postgresql.admit(state_url, "local all stranger scram-sha-256")
    yield
    with database(state_url) as connection:
        for statement in made[:2]:
            connection.execute(statement)  # type: ignore[arg-type]


def test_a_database_that_is_not_there_may_come_back() -> None:
    error = refused(f"postgresql://wpsa:{PASSWORD}@127.0.0.1:1/hub")

    assert (type(error), error.reason, error.transient) == (StateBusy, "state_unreachable", True)
    assert PASSWORD not in f"{error.message} {error.hint}"


def test_a_refused_password_is_said_and_not_shown(state_url: str, locked_out: None) -> None:
    error = refused(as_user(state_url, "stranger"))

    assert (type(error), error.reason, error.exit_code) == (StateUnwritable, "state_ro", 73)
    assert "password authentication failed" in error.message
    assert PASSWORD not in f"{error.message} {error.hint}"


def test_a_user_who_may_make_no_tables_is_told_so(state_url: str, locked_out: None) -> None:
    error = refused(as_user(state_url, "guest"))

    assert (type(error), error.reason) == (StateUnwritable, "state_ro")
    assert "permission denied" in error.message


def test_a_database_that_does_not_exist_is_named(state_url: str) -> None:
    error = refused(state_url.replace("/hub?", "/nowhere?"))

    assert "nowhere" in error.message


@pytest.mark.parametrize(
    ("before", "statement", "kind", "reason"),
    [
        ("SET LOCAL statement_timeout = '20ms'", "SELECT pg_sleep(5)", StateBusy, "state_busy"),
        ("SET TRANSACTION READ ONLY", "DELETE FROM slot", StateBusy, "state_unreachable"),
        ("SELECT 1", "SELECT pg_terminate_backend(pg_backend_pid())", StateBusy, "state_unreachable"),
        ("SELECT 1", "SELECT nonsense", StateFailed, "state_io"),
    ],
    ids=["a statement that takes too long", "a standby", "a connection that is ended", "a bug"],
)
def test_what_goes_wrong_in_a_transaction_is_one_of_our_errors(
    begun: Begun, before: str, statement: str, kind: type[StateError], reason: str
) -> None:
    store = begun("first")

    with pytest.raises(kind) as caught, store.transaction() as writing:
        writing.execute(before)
        writing.execute(statement)

    assert caught.value.reason == reason
    assert store.live_on()


def test_who_waits_too_long_for_another_is_told_that_it_is_busy(begun: Begun, state_url: str) -> None:
    first, second = begun("first"), begun("second")
    first.take("shop")
    with first.transaction("shop"), pytest.raises(StateBusy) as busy, second.transaction() as writing:
        writing.execute("SET LOCAL lock_timeout = '20ms'")
        writing.execute("DELETE FROM claim")

    assert busy.value.reason == "state_busy"


@pytest.mark.parametrize("rest", ["host name/hub", "[::1/hub", "127.0.0.1/hub?nonsense=1", "127.0.0.1/%zz"])
def test_an_address_that_is_none_is_not_repeated(rest: str) -> None:
    with pytest.raises(ConfigError, match="WPSA_STATE_URL is no address") as refused:
        open_fleet_store(f"postgresql://wpsa:{PASSWORD}@{rest}", worker="w")

    assert PASSWORD not in f"{refused.value.message} {refused.value.hint}"
