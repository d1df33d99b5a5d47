"""Addresses: the client's, the peer's or what trusted proxies say of it; and the request's, without its key."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import unquote_plus

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

HOPS_MAX = 32
"""A chain of proxies has two or three; what stands further left is the client's own invention."""


def parse_network(text: str) -> Network:
    """A CIDR block or a single address; bits right of the prefix are cut off. ValueError says what is wrong."""
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address or a network such as 192.0.2.0/24 or 2001:db8::/32") from None


def parse_address(text: str) -> Address | None:
    """An address as sockets and proxies write it: `1.2.3.4:5`, `[::1]:5`, `::ffff:1.2.3.4`, `fe80::1%eth0`. Or None."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def subscriber(text: str) -> str:
    """What limits are counted by: an address, of IPv6 its /64, which one household has all addresses of (RFC 6177)."""
    address = parse_address(text)
    if address is None or address.version == 4:
        return text if address is None else str(address)
    return str(ipaddress.ip_network((address, 64), strict=False))


def contains(networks: Iterable[Network], address: Address) -> bool:
    return any(address in network for network in networks)


def client_address(peer: str, forwarded: Iterable[bytes], trusted: tuple[Network, ...]) -> str:
    """The last hop of `X-Forwarded-For` that is no trusted proxy, if the peer is one; else the peer.

    `forwarded` are the header's values in order. A hop that is no address ends the search at the proxy that wrote it.
    """
    address = parse_address(peer)
    if not trusted or address is None or not contains(trusted, address):
        return peer
    hops = b",".join(forwarded).decode("latin-1").split(",")
    for hop in hops[: -HOPS_MAX - 1 : -1]:
        nearer, address = address, parse_address(hop)
        if address is None:
            return str(nearer)
        if not contains(trusted, address):
            break
    return str(address)


class ClientAddress:
    """`client_address` with the installation's proxies."""

    def __init__(self, trusted_proxies: Iterable[str] = ()) -> None:
        """ValueError if one of them is no network."""
        self._trusted = tuple(parse_network(text) for text in trusted_proxies)

    def of(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """`headers` with lower-cased names, in order."""
        if not self._trusted:
            return peer
        return client_address(peer, [value for name, value in headers if name == b"x-forwarded-for"], self._trusted)


def strip_key(query: str) -> str:
    """The query without any `key=`, for logs and providers; the rest stays as it was written."""
    if "key" not in query and "%" not in query:
        return query
    return "&".join(part for part in query.split("&") if not is_key(part.partition("=")[0]))


def is_key(name: str) -> bool:
    """Is this name of a query parameter, as sent, that of the client's key?"""
    return unquote_plus(name) == "key"
