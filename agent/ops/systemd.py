"""What systemd wants to hear of a service of Type=notify; silence wherever nobody listens."""

import os
import socket
from contextlib import suppress


def tell_systemd(state: str) -> None:
    """`READY=1`, `WATCHDOG=1`, `STOPPING=1`: one datagram to the socket that systemd named, if it did.

    Source: sd_notify(3).
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.setblocking(False)
        sender.sendto(state.encode(), address.replace("@", "\0", 1) if address.startswith("@") else address)
