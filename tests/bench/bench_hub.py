"""How fast the hub is when it is full: 10,000 sites, 40 content types, 90 days of history.

    bash tests/bench/hub [sqlite|postgresql …] [--sites 10000] [--seconds 20]
    bash tests/bench/hub --pages [--sites 100000]        the page of all sites alone, without a history

Fills a database of its own, serves it with two web processes, asks over real sockets, and prints a table.
The clock on the wall knows what else this machine does; the CPU time per push, of the web processes and of
PostgreSQL, does not. The client is a bare socket, because a comfortable one would cost as much as the hub.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

sys.path.insert(0, str(Path(__file__).parents[1]))
import postgresql

TYPES, DAYS, PROCESSES = 40, 90, 2
ROOT = Path(__file__).parents[2]
PAGES = {
    "page of all sites": "/?state=",
    "… sorted by freshness": "/?sort=-fetched",
    "… page 50 of it": "/?sort=-fetched&page=50",
    "… the stale ones": "/?state=stale",
    "… searched": "/?search=op+77",
}


def a_document(day: int) -> dict[str, Any]:
    """Of every type the count of that day: no two days are the same, which is the worst for the history."""

    def entries(number: int) -> dict[str, Any]:
        return {
            f"type_{n:02}": {"label": f"Content type {n}", "count": 100 * n + day, "enabled": True, "fetch_limit": 100}
            for n in range(number)
        }

    return {
        "site_url": "https://shop.example",
        "wordpress_version": "7.1.4",
        "timestamp": "2026-11-21T10:00:00Z",
        "post_types": entries(TYPES // 2),
        "taxonomies": entries(TYPES // 2),
        "plugin_connection_enabled": True,
        "two_way_sync_enabled": True,
    }


def fill(sites: int, days: int = DAYS) -> tuple[str, list[int], str]:
    """(API key, ids of the integrations, session cookie of their owner)."""
    from django.db import connection, transaction

    from agent.hub.integrations.history import PRUNED_EVERY, digest_of
    from agent.hub.integrations.intake import RECEIPTS_KEPT
    from agent.hub.integrations.models import ApiKey, Content, Site, SiteIntegration, User

    owner = User.objects.create_user("owner@example.com", None)
    now, random_age = datetime.now(UTC), random.Random(1)
    Site.objects.bulk_create(
        [
            Site(owner=owner, name=f"Shop {n}", sort_name=f"shop {n}", url=f"https://shop{n}.example")
            for n in range(sites)
        ],
        batch_size=1_000,
    )
    document = a_document(0)
    content_types = {"post_types": document["post_types"], "taxonomies": document["taxonomies"],
                     "last_structure_fetch": now.isoformat()}  # fmt: skip
    receipts = [{"key": secrets.token_hex(32), "body_sha256": secrets.token_hex(32), "received_at": now.isoformat(),
                 "counts": {"post_types": 20, "taxonomies": 20}} for _ in range(RECEIPTS_KEPT)]  # fmt: skip
    SiteIntegration.objects.bulk_create(
        [
            SiteIntegration(site_id=pk, owner=owner, config_json={"content_types": content_types}, wordpress_version="7.1.4",
                            receipts=receipts, changes_since_pruning=pk % PRUNED_EVERY,
                            last_structure_fetch=now - timedelta(hours=random_age.randrange(30)),
                            post_types=20, posts=random_age.randrange(10_000), taxonomies=20, terms=500)
            for pk in Site.objects.values_list("pk", flat=True)
        ],
        batch_size=500,
    )  # fmt: skip
    ids = list(SiteIntegration.objects.values_list("pk", flat=True))
    Content.objects.bulk_create(
        [Content(integration_id=pk, family="post_type", type=f"type_{n % 20:02}", external_id=str(n))
         for pk in ids[:100] for n in range(1_000)],
        batch_size=2_000,
    )  # fmt: skip
    json_type = "jsonb" if connection.vendor == "postgresql" else "text"
    time_type = "timestamptz" if connection.vendor == "postgresql" else "text"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE day (number int, at {time_type}, digest text, document {json_type})")
        for day in range(days):
            at = (now - timedelta(days=days - day)).replace(tzinfo=UTC if connection.vendor == "postgresql" else None)
            document = a_document(day)
            row = [day, str(at), digest_of(document), json.dumps(document)]
            cursor.execute("INSERT INTO day VALUES (%s, %s, %s, %s)", row)
        no = "false" if connection.vendor == "postgresql" else "0"
        cursor.execute(
            "INSERT INTO integrations_structuresnapshot"  # noqa: S608 - words of our own
            " (integration_id, received_at, confirmed_at, is_passing, generation, digest, document)"
            f" SELECT i.id, d.at, d.at, {no}, d.number, d.digest, d.document"
            " FROM integrations_siteintegration i CROSS JOIN day d"
        )
        cursor.execute("DROP TABLE day")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return ApiKey.issue(owner), ids, a_session(owner)


def a_session(owner: Any) -> str:
    """The cookie of somebody who has signed in."""
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore

    session = SessionStore()
    backend = "django.contrib.auth.backends.ModelBackend"
    session.update({SESSION_KEY: str(owner.pk), BACKEND_SESSION_KEY: backend,
                    HASH_SESSION_KEY: owner.get_session_auth_hash()})  # fmt: skip
    session.save()
    return f"wpsa_session={session.session_key}"


@contextlib.contextmanager
def serving(environment: dict[str, str]) -> Iterator[tuple[int, list[int]]]:
    """(port, process ids) of the hub behind uvicorn with two processes."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    listener.close()
    command = [sys.executable, "-m", "uvicorn", "agent.hub.asgi:application", "--host", "127.0.0.1", "--port", str(port),
               "--workers", str(PROCESSES), "--http", "agent.web:Protocol", "--lifespan", "off", "--no-access-log", "--log-level", "warning",
               "--no-proxy-headers"]  # fmt: skip
    with subprocess.Popen(command, cwd=ROOT, env=environment) as process:
        try:
            while subprocess.run(["curl", "-so/dev/null", f"http://127.0.0.1:{port}/healthz"]).returncode:
                time.sleep(0.2)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            yield port, [int(child) for child in children]
        finally:
            process.terminate()


class Wire:
    """One kept connection, speaking just enough HTTP."""

    def __init__(self, port: int, bearer: str = "") -> None:
        self.port, self.bearer = port, f"Authorization: Bearer {bearer}\r\n" if bearer else ""

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()

    async def ask(self, method: str, path: str, body: bytes = b"", headers: str = "") -> tuple[int, float]:
        began = time.perf_counter()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{self.bearer}{headers}Content-Length: {len(body)}\r\n\r\n"
        )
        self.writer.write(head.encode() + body)
        answer = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        length = next(int(line[15:]) for line in answer.lower().split("\r\n") if line.startswith("content-length:"))
        await self.reader.readexactly(length)
        return int(answer[9:12]), 1_000 * (time.perf_counter() - began)


class Bench:
    def __init__(self, port: int, key: str, ids: list[int]) -> None:
        self.port, self.key, self.ids = port, key, ids
        self.random = random.Random(2)
        self.number = 0
        # Written beforehand: the client shares its cores with what it measures.
        self.bodies = [json.dumps(a_document(1_000 + number)).encode() for number in range(199)]

    def push(self) -> tuple[str, str, bytes, str]:
        self.number += 1
        body = self.bodies[self.number % len(self.bodies)]
        # A day's push: another document, a new key, a growing generation.
        path = f"/api/v1/integration/integrations/{self.random.choice(self.ids)}/update-structure/"
        headers = (f"Content-Type: application/json\r\nIdempotency-Key: bench-{self.number}\r\n"
                   f"X-Structure-Generation: {1_000 + self.number}\r\n")  # fmt: skip
        return "POST", path, body, headers

    def content_types(self) -> tuple[str, str]:
        return "GET", f"/api/v1/integration/integrations/{self.random.choice(self.ids)}/content-types/"

    async def pages(self, address: str, session: str) -> list[float]:
        async with Wire(self.port) as wire:
            answers = [await wire.ask("GET", address, headers=f"Cookie: {session}\r\n") for _ in range(22)]
        assert {status for status, _ in answers} == {200}, answers[:3]
        return [took for _, took in answers]

    async def one_by_one(self, make: Any, times: int) -> list[float]:
        async with Wire(self.port, self.key) as wire:
            answers = [await wire.ask(*make()) for _ in range(times)]
        assert {status for status, _ in answers} == {200}, answers[:3]
        return [took for _, took in answers]

    async def together(self, seconds: float, connections: int) -> tuple[float, list[float]]:
        """(pushes per second, how long each took) with so many agents at once."""
        took: list[float] = []
        refused: list[int] = []
        began = time.perf_counter()

        async def agent(number: int) -> None:
            # One after another, as agents come: who arrives in one breath is taken by one of the two processes.
            await asyncio.sleep(number / 10)
            async with Wire(self.port, self.key) as wire:
                while time.perf_counter() - began < seconds:
                    status, milliseconds = await wire.ask(*self.push())
                    took.append(milliseconds)
                    if status not in (200, 409):  # a neighbour's newer one came first
                        refused.append(status)

        await asyncio.gather(*map(agent, range(connections)))
        assert not refused, refused[:5]
        return len(took) / (time.perf_counter() - began), took


def cpu_seconds(pids: list[int]) -> float:
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12]) + int(fields[13]) + int(fields[14])
    return ticks / os.sysconf("SC_CLK_TCK")


def postgres_pids(folder: str) -> list[int]:
    pid = int((Path(folder) / "db" / "postmaster.pid").read_text().split()[0])
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def said(name: str, took: list[float], promise: str = "") -> None:
    p95 = statistics.quantiles(took, n=20)[-1]
    print(f"  {name:<34}{statistics.median(took):>8.1f} ms median {p95:>8.1f} ms p95   {promise}", flush=True)


def run(kind: str, sites: int, seconds: float, *, only_pages: bool) -> None:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wpsa-bench-")))
        environment = {**os.environ, "WPSA_HUB_DIR": str(folder / "hub")}
        if kind == "postgresql":
            # Durable, as a server in earnest is.
            url = stack.enter_context(postgresql.server(fsync="on", synchronous_commit="on", full_page_writes="on",
                                                        shared_buffers="512MB", max_wal_size="4GB"))  # fmt: skip
            environment["WPSA_HUB_DATABASE_URL"] = url
        began = time.perf_counter()
        days = 0 if only_pages else DAYS
        filled = subprocess.run([sys.executable, __file__, "--fill", str(sites), "--days", str(days)], cwd=ROOT,
                                env=environment, stdout=subprocess.PIPE, check=True, text=True)  # fmt: skip
        facts = json.loads(filled.stdout.splitlines()[-1])
        print(f"{kind}: {sites:,} sites × {TYPES} types × {days} days = {sites * days:,} structures, "
              f"filled in {time.perf_counter() - began:.0f} s", flush=True)  # fmt: skip
        port, pids = stack.enter_context(serving(environment))
        bench = Bench(port, facts["key"], facts["ids"])
        for name, address in PAGES.items():
            before = cpu_seconds(pids)
            took = asyncio.run(bench.pages(address, facts["session"]))
            said(name, took[2:], f"promised: 300 ms, {1_000 * (cpu_seconds(pids) - before) / len(took):.0f} ms CPU")
        if only_pages:
            return
        for name, make, promised in (("content-types", bench.content_types, 50), ("update-structure", bench.push, 30)):
            asyncio.run(bench.one_by_one(make, 50))
            before = cpu_seconds(pids)
            took = asyncio.run(bench.one_by_one(make, 500))
            said(name, took, f"promised: {promised} ms, {2 * (cpu_seconds(pids) - before):.1f} ms CPU")
        database = postgres_pids(url.partition("host=")[2]) if kind == "postgresql" else []
        before, database_before = cpu_seconds(pids), cpu_seconds(database)
        rate, took = asyncio.run(bench.together(seconds, connections=8))
        web, base = cpu_seconds(pids) - before, cpu_seconds(database) - database_before
        promise = "promised: 200" if kind == "postgresql" else ""
        print(f"  {'pushes per second, 8 agents at once':<34}{rate:>8.0f} /s  {promise}")
        said("… each", took)
        print(f"  {'… CPU per push':<34}{1_000 * web / len(took):>8.1f} ms web    {1_000 * base / len(took):>8.1f} ms PostgreSQL"
              f"   load now {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)  # fmt: skip


def fill_and_tell(sites: int, days: int) -> None:
    from agent.hub.configure import configure, migrate
    from agent.hub.options import HubOptions

    configure(HubOptions.from_environment(os.environ))
    migrate()
    key, ids, session = fill(sites, days)
    print(json.dumps({"key": key, "ids": ids, "session": session}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("kinds", nargs="*", default=["sqlite", "postgresql"])
    parser.add_argument("--sites", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--pages", action="store_true")
    parser.add_argument("--fill", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--days", type=int, default=DAYS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.fill:
        fill_and_tell(given.fill, given.days)
    else:
        for one in given.kinds:
            run(one, given.sites, given.seconds, only_pages=given.pages)
