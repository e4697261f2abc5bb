"""Names that share a server are known as its names."""

import socket

import pytest

from agent.net.resolver import Resolver
from agent.servers import locator

pytestmark = pytest.mark.anyio

KNOWN = {
    "a.example": ["192.0.2.7"],
    "b.example": ["192.0.2.7"],
    "turns.example": ["192.0.2.9", "192.0.2.8"],
    "turned.example": ["192.0.2.8", "192.0.2.9"],
    "xn--kse-qla.example": ["192.0.2.10"],
    "tunnel.example": ["127.0.0.1"],
}


def look_up(host: str) -> list[str]:
    if host not in KNOWN:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")
    return KNOWN[host]


locate = locator(Resolver(look_up))


@pytest.mark.parametrize(
    ("one", "other"), [("a.example", "b.example"), ("turns.example", "turned.example"), ("a.example", "192.0.2.7")]
)
async def test_two_names_of_one_server_lead_to_the_same(one: str, other: str) -> None:
    assert await locate(one) == await locate(other) is not None


async def test_another_port_is_another_server() -> None:
    assert await locate("a.example") != await locate("a.example:8443")


async def test_a_name_in_any_alphabet_leads_somewhere() -> None:
    assert await locate("käse.example") == "192.0.2.10:"


@pytest.mark.parametrize("host", ["nobody.example", "127.0.0.1:8080", "[::1]:80", "tunnel.example", "a" * 64 + ".example", ""])
async def test_nothing_is_known_of_lost_names_and_of_this_machine(host: str) -> None:
    assert await locate(host) is None
