"""Which addresses may be connected to."""

from ipaddress import ip_address

import pytest

from agent.net.addresses import AddressRefused, Bounds, is_public, what_forbids

METADATA = "the metadata service of a cloud"
LINK_LOCAL = "a link-local address"
MULTICAST = "a multicast address"
RESERVED = "a reserved address"


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("169.254.169.254", LINK_LOCAL),
        ("169.254.0.1", LINK_LOCAL),
        ("fe80::1", LINK_LOCAL),
        ("fe80::1%eth0", LINK_LOCAL),
        ("100.100.100.200", METADATA),
        ("168.63.129.16", METADATA),
        ("192.0.0.192", METADATA),
        ("fd00:ec2::254", METADATA),
        ("fd20:ce::254", METADATA),
        ("224.0.0.1", MULTICAST),
        ("ff02::1", MULTICAST),
        ("0.0.0.0", RESERVED),  # noqa: S104
        ("0.1.2.3", RESERVED),
        ("240.0.0.1", RESERVED),
        ("255.255.255.255", RESERVED),
        ("::", RESERVED),
        ("4000::1", RESERVED),
        # The same IPv4 address in the clothes of IPv6: mapped, translated, tunnelled, and as it once was.
        ("::ffff:169.254.169.254", LINK_LOCAL),
        ("64:ff9b::169.254.169.254", LINK_LOCAL),
        ("2002:a9fe:a9fe::1", LINK_LOCAL),
        ("::169.254.169.254", LINK_LOCAL),
        ("::ffff:100.100.100.200", METADATA),
        ("::ffff:0.0.0.0", RESERVED),
    ],
)
def test_nobody_lives_at(address: str, kind: str) -> None:
    assert what_forbids(ip_address(address)) == kind


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("64:ff9b::93.184.216.34", True),
        ("::ffff:93.184.216.34", True),
        ("127.0.0.1", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("10.0.0.1", False),
        ("172.18.0.2", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("fd12:3456::1", False),
        ("64:ff9b::10.0.0.1", False),
    ],
)
def test_a_site_may_live_on_the_internet_or_beside_the_agent(address: str, public: bool) -> None:
    assert what_forbids(ip_address(address)) is None
    assert is_public(ip_address(address)) == public


def allowed(bounds: Bounds, *addresses: str) -> list[str]:
    return [str(address) for address in bounds.allowed("shop.example", [ip_address(text) for text in addresses])]


def test_of_several_addresses_the_harmless_are_tried() -> None:
    assert allowed(Bounds(), "169.254.169.254", "10.0.0.1", "93.184.216.34") == ["10.0.0.1", "93.184.216.34"]


@pytest.mark.parametrize("inside", ["127.0.0.1", "10.0.0.1", "::1", "fd12::1", "::ffff:192.168.0.1"])
def test_a_visit_that_began_on_the_internet_stays_there(inside: str) -> None:
    bounds = Bounds()
    bounds.reached(ip_address("93.184.216.34"))

    assert allowed(bounds, inside, "2606:2800:220:1::1") == ["2606:2800:220:1::1"]
    with pytest.raises(AddressRefused, match=r"^shop.example leads to \S+, an address inside this network$"):
        allowed(bounds, inside)


def test_a_visit_that_began_beside_its_site_may_go_anywhere_but_where_nobody_lives() -> None:
    bounds = Bounds()
    bounds.reached(ip_address("172.18.0.2"))
    bounds.reached(ip_address("93.184.216.34"))

    assert allowed(bounds, "10.0.0.1", "93.184.216.34") == ["10.0.0.1", "93.184.216.34"]
    with pytest.raises(AddressRefused, match="a link-local address"):
        allowed(bounds, "169.254.169.254")
