"""Which addresses may be connected to, whatever name led there."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

# Where clouds hand their secrets to whoever asks from inside; the usual 169.254.169.254 is link-local anyhow.
_METADATA = frozenset(
    map(ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"))
)
_TRANSLATED = IPv6Network("64:ff9b::/96")
_COMPATIBLE = IPv6Network("::/96")


class AddressRefused(Exception):
    """A name led to an address that nobody may be sent to."""

    def __init__(self, host: str, address: Address, kind: str) -> None:
        super().__init__(f"{host} leads to {address}, {kind}")


class Bounds:
    """Where one visit may go.

    A visit that begins on the internet stays there: neither a redirect nor another answer of the name
    servers leads it to this machine or its network. One that begins there, beside its site, may go anywhere.
    """

    def __init__(self) -> None:
        self._began_public: bool | None = None

    def reached(self, address: Address) -> None:
        """A connection was made; the first one decides."""
        if self._began_public is None:
            self._began_public = is_public(address)

    def allowed(self, host: str, addresses: Sequence[Address]) -> list[Address]:
        """Those of the host's addresses that may be tried; raises AddressRefused when none may."""
        kinds = {address: self._what_forbids(address) for address in addresses}
        allowed = [address for address, kind in kinds.items() if kind is None]
        if not allowed:
            address, kind = next(iter(kinds.items()))
            raise AddressRefused(host, address, kind or "")
        return allowed

    def _what_forbids(self, address: Address) -> str | None:
        if self._began_public and not is_public(address):
            return what_forbids(address) or "an address inside this network"
        return what_forbids(address)


def what_forbids(address: Address) -> str | None:
    """What kind of address it is that no site or backend lives at; None where one may."""
    meant = _meant(address)
    if meant.is_loopback:
        return None
    if meant in _METADATA:
        return "the metadata service of a cloud"
    if meant.is_link_local:
        return "a link-local address"
    if meant.is_multicast:
        return "a multicast address"
    if meant.is_unspecified or meant.is_reserved or (meant.version == 4 and meant.packed[0] == 0):
        return "a reserved address"
    return None


def is_public(address: Address) -> bool:
    """Whether it belongs to the internet, rather than to this machine, its network or its containers."""
    return _meant(address).is_global


def _meant(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one that stands for it: mapped, translated, tunnelled."""
    if isinstance(address, IPv4Address):
        return address
    if address in _TRANSLATED or (address in _COMPATIBLE and int(address) > 0xFFFF):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
