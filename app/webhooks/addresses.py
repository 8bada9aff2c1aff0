"""Which addresses a webhook may go to: what is on the public internet, and networks that the settings name."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_UNICAST = IPv6Network("2000::/3")
"""All that is given out of IPv6: loopback, link-local, unique local, site-local and multicast lie outside."""
_NAT64 = IPv6Network("64:ff9b::/96")
"""An IPv4 address in its last 32 bits, which a gateway on the way translates (RFC 6052)."""
_NOT_THE_INTERNET = tuple(
    map(ip_network, ("0.0.0.0/8", "192.88.99.0/24", "224.0.0.0/3", "2001::/23", "3fff::/20", "5f00::/16"))
)
"""Beside what `is_global` knows in every version of Python: 6to4 relays, multicast and reserved, Teredo and other
protocols' own, documentation, segment routing."""


def allowed(address: Address, networks: Iterable[Network]) -> bool:
    """Return whether something may be sent there. `networks`: allowed though they are not public."""
    reached = _really(address)
    return _is_public(reached) or any(_within(one, network) for one in (address, reached) for network in networks)


def _really(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one stands for (mapped, NAT64, 6to4), or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.sixtofour or address


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _UNICAST:
        return False
    return address.is_global and not any(_within(address, network) for network in _NOT_THE_INTERNET)


def _within(address: Address, network: Network) -> bool:
    return address.version == network.version and address in network


def parsed(text: str) -> Address:
    """Return an address as the system's resolver writes it; a zone (`fe80::1%eth0`) changes nothing."""
    return ip_address(text.partition("%")[0])
