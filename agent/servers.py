"""Which server a site's host leads to: many names may share one, and it has to bear what all of them are asked."""

from functools import partial
from urllib.parse import urlsplit

from agent.crowds import Locate
from agent.net.resolver import Resolver


def locator(resolver: Resolver) -> Locate:
    """Says where hosts, such as `shop.example:8443`, lead."""
    return partial(_server_of, resolver)


async def _server_of(resolver: Resolver, netloc: str) -> str | None:
    """`192.0.2.7:8443`; None for a name that leads nowhere, and for this machine.

    On this machine an address tells nothing: whatever listens there, a tunnel or a container's port,
    belongs to somebody else.
    """
    parts = urlsplit(f"//{netloc}")
    try:
        found = await resolver.addresses((parts.hostname or "").encode("idna").decode("ascii"))
    except (OSError, ValueError):  # its reading says what is wrong
        return None
    if any(address.is_loopback for address in found):
        return None
    # Name servers turn the order of addresses about.
    return f"{min(map(str, found))}:{parts.port or ''}"
