"""All that a fleet speaks to, in one process on loopback: thousands of sites, and a backend that remembers every push.

A site is an address of 127.0.0.0/8, so each has a server of its own; the backend lies below /api/ of any of them.
`python fleet_world.py SECONDS` answers sites after so many seconds, prints its port, and ends with its parent.
"""

import asyncio
import json
import sys
import time
from collections import defaultdict
from itertools import count
from typing import Any

from fake_wordpress import FakeWordPress, Said

INTEGRATIONS = "/api/v1/integration/integrations/"


class World:
    """What the sites say, and what the backend was told."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.pushes: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self.numbers = count(1)
        self.push_seconds = 0.0
        """So long the answer to a push takes after it has had its effect."""
        self.shown: dict[str, Any] = {}
        """What the backend has of each integration: the last that came, whatever its generation says."""
        self.hanging: set[str] = set()
        self.requests = 0

    async def answer(self, host: str, method: str, target: str, headers: dict[str, str], body: bytes) -> Said:
        if target.startswith("/control/"):
            return self.control(target.removeprefix("/control/"), body)
        if target.startswith("/api/"):
            said = self.backend(method, target, headers, body)
            await asyncio.sleep(self.push_seconds if method == "POST" else 0)
            return said
        self.requests += 1
        while host.partition(":")[0] in self.hanging:
            await asyncio.sleep(0.05)
        await asyncio.sleep(self.seconds)
        return FakeWordPress(f"http://{host}").answer(method, target, body)

    def backend(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Said:
        integration = target.removeprefix(INTEGRATIONS).split("/")[0]
        if method == "POST" and target.endswith("/update-structure/"):
            before, document = self.pushes[integration], json.loads(body)
            push = {"key": headers["idempotency-key"], "generation": int(headers["x-structure-generation"]),
                    "at": time.time(), "number": next(self.numbers)}  # fmt: skip
            if not before or before[-1]["key"] != push["key"]:
                shown = {family: document[family] for family in ("post_types", "taxonomies")}
                self.shown[integration] = shown | {"generation": push["generation"]}
            before.append(push)
            return Said(200, b'{"success": true, "message": "Structure updated"}', {"Content-Type": "application/json"})
        shown = self.shown.get(integration, {"post_types": {}, "taxonomies": {}})
        said = shown if target.endswith("/content-types/") else []
        return Said(200, json.dumps(said).encode(), {"Content-Type": "application/json"})

    def control(self, what: str, body: bytes) -> Said:
        match what:
            case "pushes":
                said: Any = self.pushes
            case "shown":
                said = {integration: shown["generation"] for integration, shown in self.shown.items()}
            case "slow-pushes":
                self.push_seconds, said = json.loads(body), True
            case "hang":
                self.hanging, said = set(json.loads(body)), True
            case _:
                pushes = sum(map(len, self.pushes.values()))
                said = {"requests": self.requests, "pushes": pushes, "sites": len(self.pushes)}
        return Said(200, json.dumps(said).encode(), {"Content-Type": "application/json"})


async def serve(world: World, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            first, *lines = head.decode("latin-1").split("\r\n")
            method, target, _ = first.split(" ")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            said = await world.answer(headers["host"], method, target, headers, body)
            named = "".join(f"{name}: {value}\r\n" for name, value in said.headers.items())
            writer.write(f"HTTP/1.1 {said.status} Said\r\n{named}Content-Length: {len(said.body)}\r\n\r\n".encode() + said.body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    world = World(float(sys.argv[1]))
    server = await asyncio.start_server(lambda *streams: serve(world, *streams), "0.0.0.0", 0, backlog=4_096)  # noqa: S104 - all of 127.0.0.0/8
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
