"""Serve a fresh hub on an ephemeral loopback port, for a browser: `python serve_hub.py DIRECTORY`.

Its first line on stdout is its port. After that each line of JSON on stdin, `{"call", "arguments"}`, names a
function of `arrange.py`, and its result comes back as one line of JSON; it serves until its input closes.
"""

import json
import os
import socket
import sys
import threading
from pathlib import Path

import arrange
import uvicorn
from hub_process import CLOSED_HOST
from quick_hashing import quick_hashing

from agent.hub import embedded


def main() -> None:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    port = listener.getsockname()[1]
    os.environ["WPSA_HUB_ALLOWED_HOSTS"] = CLOSED_HOST
    hub = embedded.prepare(Path(sys.argv[1]), sites={}, listen=f"127.0.0.1:{port}")
    quick_hashing().enable()
    print(port, flush=True)
    threading.Thread(target=answer_calls, daemon=True).start()
    config = uvicorn.Config(
        hub.application, lifespan="off", log_level="warning", server_header=False, proxy_headers=False
    )
    uvicorn.Server(config).run(sockets=[listener])


def answer_calls() -> None:
    for line in sys.stdin:
        call = json.loads(line)
        print(json.dumps(getattr(arrange, call["call"])(**call["arguments"])), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
