"""The client's address behind trusted proxies."""

from __future__ import annotations

import pytest

from proxyapi.identity.addresses import HOPS_MAX, ClientAddress, parse_address, parse_network, subscriber

FORWARDED = b"x-forwarded-for"


def _of(peer: str, *values: bytes, trusted: tuple[str, ...] = ("10.0.0.0/8", "2001:db8::/32")) -> str:
    return ClientAddress(trusted).of(peer, [(FORWARDED, value) for value in values])


def test_without_trusted_proxies_the_peer_counts() -> None:
    assert _of("10.0.0.1", b"198.51.100.7", trusted=()) == "10.0.0.1"


def test_a_stranger_cannot_choose_its_address() -> None:
    assert _of("203.0.113.9", b"198.51.100.7") == "203.0.113.9"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((b"198.51.100.7",), "198.51.100.7"),
        ((b"1.1.1.1, 198.51.100.7",), "198.51.100.7"),
        ((b"1.1.1.1, 198.51.100.7, 10.0.0.2",), "198.51.100.7"),
        ((b"1.1.1.1", b"198.51.100.7", b"10.0.0.2,10.0.0.3"), "198.51.100.7"),
        ((b"10.0.0.3, 10.0.0.2",), "10.0.0.3"),
        ((b"198.51.100.7:4711",), "198.51.100.7"),
        ((b"[2001:db9::1]:4711",), "2001:db9::1"),
        ((b"2001:db9::1",), "2001:db9::1"),
        ((b"::ffff:198.51.100.7",), "198.51.100.7"),
        ((b"198.51.100.7, unknown, 10.0.0.2",), "10.0.0.2"),
        ((b"",), "10.0.0.1"),
        ((), "10.0.0.1"),
    ],
)
def test_the_last_hop_that_is_no_trusted_proxy_is_the_client(values: tuple[bytes, ...], expected: str) -> None:
    assert _of("10.0.0.1", *values) == expected


def test_an_ipv6_proxy_is_trusted_too() -> None:
    assert _of("2001:db8::5", b"198.51.100.7") == "198.51.100.7"


def test_an_endless_list_of_hops_is_not_read_to_its_end() -> None:
    assert _of("10.0.0.1", b"198.51.100.7" + b", 10.0.0.2" * (HOPS_MAX + 5)) == "10.0.0.2"


def test_a_wrong_proxy_is_named() -> None:
    with pytest.raises(ValueError, match=r"'10\.0\.0' is not an IP address or a network"):
        ClientAddress(["10.0.0"])


def test_zones_and_quotes_are_understood() -> None:
    assert str(parse_address("fe80::1%eth0")) == "fe80::1"
    assert str(parse_address('"[fe80::1]:80"')) == "fe80::1"
    assert parse_address("localhost") is None


def test_host_bits_of_a_network_are_cut_off() -> None:
    assert str(parse_network("192.0.2.7/24")) == "192.0.2.0/24"


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::ffff", "2001:db8:1:3::/64"),
        ("", ""),
    ],
)
def test_all_addresses_of_a_household_are_counted_as_one(address: str, counted: str) -> None:
    assert subscriber(address) == counted
