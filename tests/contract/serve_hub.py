"""Serve a fresh hub on an ephemeral loopback port: `python serve_hub.py DIRECTORY [MORE SITES]`.

Prints one line of JSON (url, api_key, site_id, email, password) when it is ready, then serves until
its input closes. More sites have the ids that follow. Options of the hub come from `WPSA_HUB_*`.
"""

import json
import os
import secrets
import socket
import sys
import threading
from pathlib import Path

import uvicorn
from quick_hashing import quick_hashing

from agent.hub import embedded


def main() -> None:
    # The protocol by name: asyncio turns TCP_NODELAY on only for sockets that say they are TCP, and without
    # it every answer on a kept connection waits 40 ms for an acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    more = {f"site-{number}": f"https://site-{number}.example" for number in range(int([*sys.argv, "0"][2]))}
    hub = embedded.prepare(Path(sys.argv[1]), sites={"contract": "https://contract.example", **more}, listen=address)
    quick_hashing().enable()
    email, password = person()
    facts = {"url": f"http://{address}", "api_key": hub.api_key, "site_id": str(hub.site_ids["contract"])}
    print(json.dumps({**facts, "email": email, "password": password}), flush=True)
    threading.Thread(target=stop_with_parent, daemon=True).start()
    config = uvicorn.Config(
        hub.application, lifespan="off", log_level="warning", server_header=False, proxy_headers=False
    )
    uvicorn.Server(config).run(sockets=[listener])


def person() -> tuple[str, str]:
    """The owner gets a password, so that logging in can be proved too."""
    from agent.hub.integrations.models import User

    owner = User.objects.get(email=embedded.OWNER_EMAIL)
    password = secrets.token_urlsafe(12)
    owner.set_password(password)
    owner.save()
    return owner.email, password


def stop_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
