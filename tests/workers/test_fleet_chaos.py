"""Loss of anything: workers killed, stopped and doubled, machines cut off, the database restarted in the middle.

What has to hold afterwards, with the backend's memory as the oracle:

- Each site's structure of the day was there under exactly one Idempotency-Key. A structure is durable before it is
  sent, so whoever takes a site over sends the same document under the same key; and what was read by one who has
  lost the site is written, and sent, by nobody. A second key is right only where somebody has asked for a site again.
- What the backend has is the newest that it was ever sent, though this one believes whatever comes last.
- Nobody did anything by hand, and `wpsa fleet status` agrees.
"""

import os
import random
import signal
import time
from pathlib import Path

import postgresql
import pytest
from fleets import Machines, NewFleet, a_world, until
from networks import BACKEND, DATABASE, SITES_NETWORK, a_network

from agent.clock import SYSTEM
from agent.state.sites import Sites

TAKEN_OVER_SECONDS = 120.0


def backend_says(machines: Machines) -> dict[str, list[str]]:
    """What is wrong, by the sites of which it is."""
    pushes, shown = machines.world.told("pushes"), machines.world.told("shown")
    return {
        "under several keys": [site for site, its in pushes.items() if len({push["key"] for push in its}) > 1],
        "an older one stands": [
            site for site, its in pushes.items() if shown[site] != max(push["generation"] for push in its)
        ],
    }


RIGHT: dict[str, list[str]] = {"under several keys": [], "an older one stands": []}


def is_settled(machines: Machines, sites: int) -> bool:
    census = machines.census()
    return (census.up_to_date, census.running, census.stalled) == (sites, 0, 0)


def status_is_well(machines: Machines, sites: int) -> bool:
    """By `wpsa fleet status`; a site that is looked at once more after a push in doubt is due for a moment."""
    said = machines.status()
    return {name: said[name] for name in ("sites", "up_to_date", "due", "running", "stalled", "failing", "never")} == {
        "sites": sites, "up_to_date": sites, "due": 0, "running": 0, "stalled": 0, "failing": 0, "never": 0,
    }  # fmt: skip


def assert_all_is_well(machines: Machines, sites: int) -> None:
    until(lambda: status_is_well(machines, sites), seconds=60, what="a status that says so")
    assert len(machines.world.told("pushes")) == sites
    assert backend_says(machines) == RIGHT


def killed_again_and_again(machines: Machines, *, kills: int, sites: int, seed: int, broken: str = "") -> None:
    """Four workers at a time, one of which is killed after every few sites that reached the backend."""
    chance = random.Random(seed)
    living = [machines.start_worker(broken=broken) for _ in range(4)]
    for number in range(kills):
        goal = sites * number // kills
        end = time.monotonic() + chance.uniform(0.2, 2.0)
        while machines.world.told()["sites"] < goal and time.monotonic() < end + TAKEN_OVER_SECONDS:
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 0.05))
        killed = living.pop(chance.randrange(len(living)))
        killed.kill()
        assert killed.wait() == -signal.SIGKILL
        living.append(machines.start_worker(broken=broken))


@pytest.mark.nightly
@pytest.mark.timeout(1_800)
def test_two_hundred_kills_leave_no_site_out_and_do_none_twice(new_fleet: NewFleet) -> None:
    sites = 2_000
    machines = new_fleet(sites, WPSA_READING_SITES_AT_ONCE="8")
    machines.world.told("slow-pushes", 0.05)
    killed_again_and_again(machines, kills=200, sites=sites, seed=7)
    until(lambda: is_settled(machines, sites), seconds=TAKEN_OVER_SECONDS, what="a settled fleet")
    assert_all_is_well(machines, sites)
    repeated = sum(len(its) > 1 for its in machines.world.told("pushes").values())
    print(f"200 kills, {sites} sites: {repeated} pushed more than once, all under one key")


@pytest.mark.nightly
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("broken", "kills", "seen"),
    [("nobody is buried", 3, "a settled fleet"), ("a new document for every try", 8, "under sever")],
)
def test_kills_are_noticed_where_a_rule_is_broken(new_fleet: NewFleet, broken: str, kills: int, seen: str) -> None:
    sites = 80
    machines = new_fleet(sites, WPSA_READING_SITES_AT_ONCE="8")
    machines.world.told("slow-pushes", 0.3)
    killed_again_and_again(machines, kills=kills, sites=sites, seed=7, broken=broken)
    with pytest.raises(AssertionError, match=seen):
        until(lambda: is_settled(machines, sites), seconds=TAKEN_OVER_SECONDS, what="a settled fleet")
        assert_all_is_well(machines, sites)


# --- doubled, stopped ---------------------------------------------------------------------------


def doubled(machines: Machines, sites: int) -> None:
    """An engine that has each job three times, and keeps none of them from being taken up at once."""
    with machines.state() as store, store.transaction() as database:
        database.execute(
            """INSERT INTO procrastinate_jobs (queue_name, task_name, args)
               SELECT 'sync', 'sync_site', jsonb_build_object('site', 'site-' || number)
               FROM generate_series(0, ? - 1) AS number, generate_series(1, 3) ORDER BY number""",
            (sites,),
        )


@pytest.mark.nightly
@pytest.mark.parametrize("claims", ["unique", "not unique"])
def test_an_engine_that_doubles_its_jobs_doubles_nothing_as_long_as_claims_are_unique(
    new_fleet: NewFleet, claims: str
) -> None:
    sites = 24
    machines = new_fleet(sites, seconds=0.05, WPSA_READING_SITES_AT_ONCE="6")
    doubled(machines, sites)
    if claims == "not unique":
        with machines.state() as store, store.transaction() as database:
            database.execute("ALTER TABLE claim DROP CONSTRAINT claim_pkey")
    for _ in range(2):
        machines.start_worker()

    until(lambda: is_settled(machines, sites), seconds=60, what="a settled fleet")

    if claims == "unique":
        assert_all_is_well(machines, sites)
    else:
        assert backend_says(machines)["under several keys"]


@pytest.mark.nightly
@pytest.mark.parametrize("broken", ["", "anybody may write"])
def test_who_was_stopped_in_the_middle_of_a_reading_writes_and_sends_nothing_when_he_wakes(
    new_fleet: NewFleet, broken: str
) -> None:
    machines = new_fleet(1)
    address = machines.world.address_of(0)
    machines.world.told("hang", [address])
    workers = {worker.pid: worker for worker in (machines.start_worker(broken=broken) for _ in range(2))}
    until(lambda: machines.census().running == 1, seconds=60, what="a reading")
    [reading] = [row.name for row in machines.workers() if row.sites]
    stopped = int(reading.rpartition(":")[2])
    os.kill(stopped, signal.SIGSTOP)
    machines.let_lives_run_out()
    machines.world.told("hang", [])
    until(lambda: is_settled(machines, 1), seconds=60, what="a settled fleet")

    os.kill(stopped, signal.SIGCONT)

    if broken:
        until(lambda: backend_says(machines)["under several keys"] == ["0"], seconds=60, what="a second document")
    else:
        until(lambda: "state_claim_lost" in machines.log_of(workers[stopped]), seconds=60, what="a refused write")
        until(lambda: is_settled(machines, 1), seconds=30, what="a settled fleet")
        assert_all_is_well(machines, 1)


REFUSE_ONCE = (
    "CREATE SEQUENCE ends",
    """CREATE FUNCTION refuse_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           IF OLD.task_name = 'sync_site' AND nextval('wpsa.ends') = 1 THEN RAISE 'not now'; END IF;
           RETURN OLD;
       END $$""",
    "CREATE TRIGGER refuse_once BEFORE DELETE ON procrastinate_jobs FOR EACH ROW EXECUTE FUNCTION refuse_once()",
)


@pytest.mark.nightly
def test_a_job_whose_end_could_not_be_written_keeps_nobody_from_the_site(new_fleet: NewFleet) -> None:
    machines = new_fleet(1)
    with machines.state() as store, store.transaction() as database:
        for statement in REFUSE_ONCE:
            database.execute(statement)
    worker = machines.start_worker()
    until(lambda: "engine.lost" in machines.log_of(worker), seconds=60, what="an engine that begins anew")
    until(lambda: is_settled(machines, 1), seconds=60, what="a settled fleet")

    with machines.state() as store:
        Sites(store).ask(["site-0"], at=SYSTEM.now())

    until(lambda: len(backend_says(machines)["under several keys"]) == 1, seconds=60, what="the structure that was asked for")
    assert "never retrieved" not in machines.log_of(worker)


# --- machines cut off ---------------------------------------------------------------------------


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_machines_that_are_cut_off_or_lost_and_a_database_that_crashes_leave_nothing_to_do(tmp_path: Path) -> None:
    sites = 400
    with (
        a_network() as network,
        postgresql.server(listen_addresses=DATABASE) as url,
        a_world(seconds=0.1, network=SITES_NETWORK) as world,
    ):
        postgresql.admit(url, "host all all 10.0.0.0/8 trust")
        machines = Machines(tmp_path, f"postgresql://wpsa@{DATABASE}/hub", world, {
            "WPSA_BACKEND_URL": f"http://{BACKEND}:{world.port}", "WPSA_BACKEND_ALLOW_INSECURE_HTTP": "true",
            "WPSA_READING_SITES_AT_ONCE": "4",
        })  # fmt: skip
        imported = machines.wpsa("fleet", "import", "-", "--format", "csv", stdin=world.sites_csv(sites))
        assert imported.returncode == 0, imported.stderr
        numbers, workers = [], []
        for _ in range(4):
            number, inside = network.new_machine()
            numbers.append(number)
            workers.append(machines.start_worker(prefix=inside))
        try:
            until(lambda: world.told()["sites"] > 40, seconds=120, what="a begin")
            network.cut(numbers[0], DATABASE)
            network.cut(numbers[1], BACKEND)
            until(lambda: world.told()["sites"] > 80, seconds=60, what="work by the others")
            workers[2].kill()
            postgresql.restart(url)
            until(lambda: world.told()["sites"] > 120, seconds=60, what="work after the restart")
            workers[3].kill()
            until(lambda: "delivery pending" in machines.log_of(workers[1]), seconds=60, what="a push without a way")
            network.heal(numbers[1], BACKEND)
            lost = f":{workers[0].pid}"
            until(
                lambda: not any(row.name.endswith(lost) for row in machines.workers()),
                seconds=TAKEN_OVER_SECONDS,
                what="the burial of the one that was cut off",
            )
            network.heal(numbers[0], DATABASE)
            until(lambda: is_settled(machines, sites), seconds=2 * TAKEN_OVER_SECONDS, what="a settled fleet")
            until(lambda: len(machines.workers()) == 2, seconds=TAKEN_OVER_SECONDS, what="two that live")

            assert_all_is_well(machines, sites)
            said = machines.status()
            assert [worker["alive"] for worker in said["workers"]] == [True, True]
            assert "worker.revived" in machines.log_of(workers[0])
            assert "delivery pending" in machines.log_of(workers[1])
        finally:
            machines.stop()
        assert [worker.returncode for worker in workers] == [0, 0, -9, -9]
        assert not any("never retrieved" in machines.log_of(worker) for worker in workers)
