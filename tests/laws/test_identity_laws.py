"""What holds for every credential, address, pattern and amount."""

from __future__ import annotations

import ipaddress
import os
import string
from urllib.parse import quote, unquote_plus

from hypothesis import given
from hypothesis import strategies as st

from proxyapi.identity.addresses import ClientAddress, contains, parse_address, parse_network, strip_key
from proxyapi.identity.keys import credential, digest_of, new_key
from proxyapi.identity.pause import Pause, PausePolicy, strike
from proxyapi.identity.permissions import model_allowed
from proxyapi.money import NANOS_MAX, format_amount, parse_amount

NAMES = st.text(string.ascii_lowercase + string.digits + "-./", min_size=1, max_size=30)
ADDRESSES = st.ip_addresses().filter(lambda address: address.version == 4 or not address.ipv4_mapped)
PARTS = st.lists(
    st.one_of(
        st.sampled_from(["key=sk-secret", "k%65y=sk-secret", "%6b%65%79=sk-secret", "key", "alt=sse"]),
        st.text(string.ascii_letters + "%=+;", max_size=12),
    ),
    max_size=6,
)


@given(st.integers(-NANOS_MAX, NANOS_MAX))
def test_every_amount_reads_back_as_it_was_shown(nanos: int) -> None:
    assert parse_amount(format_amount(nanos)) == nanos


@given(PARTS)
def test_no_key_survives_in_a_stripped_query(parts: list[str]) -> None:
    stripped = strip_key("&".join(parts))
    left = stripped.split("&") if stripped else []
    assert all(unquote_plus(part.partition("=")[0]) != "key" for part in left)
    assert strip_key(stripped) == stripped
    assert credential([], stripped) is None


@given(st.binary(min_size=1, max_size=100))
def test_a_percent_encoded_key_is_read_back(key: bytes) -> None:
    text = key.decode("latin-1")
    assert credential([], f"alt=sse&key={quote(text, safe='')}") == text.encode()


@given(st.permutations(range(3)), st.sets(st.integers(0, 2), min_size=1))
def test_the_order_of_headers_does_not_change_who_wins(order: list[int], sent: set[int]) -> None:
    headers = [(b"authorization", b"Bearer k0"), (b"x-api-key", b"k1"), (b"x-goog-api-key", b"k2")]
    chosen = [headers[at] for at in order if at in sent]
    assert credential(chosen, "key=k3") == b"k%d" % min(sent)


@given(st.integers(1, 50))
def test_keys_never_repeat(count: int) -> None:
    assert len({digest_of(new_key(os.urandom).encode()) for _ in range(count)}) == count


@given(NAMES, NAMES)
def test_the_own_name_and_the_star_always_match(vendor: str, model: str) -> None:
    name = f"{vendor}/{model}"
    assert model_allowed((name,), name, model)
    assert model_allowed((model,), name, model) is ("/" not in model), "with a slash it would name another vendor's"
    assert model_allowed(("*",), name, model)
    assert model_allowed((f"{vendor}/*",), name, model)


@given(NAMES, NAMES, st.lists(NAMES, max_size=5))
def test_patterns_without_a_wildcard_allow_only_what_they_name(vendor: str, model: str, patterns: list[str]) -> None:
    name = f"{vendor}/{model}"
    bare = model in patterns and "/" not in model
    assert model_allowed(patterns, name, model) is (not patterns or name in patterns or bare)


@given(ADDRESSES)
def test_an_address_is_in_its_own_network_however_it_is_written(address: ipaddress.IPv4Address) -> None:
    networks = (parse_network(str(address)),)
    forms = [str(address), f" {address} ", f"[{address}]:80"]
    forms += [f"{address}:80", f"::ffff:{address}"] if address.version == 4 else [f"{address}%eth0"]
    for form in forms:
        parsed = parse_address(form)
        assert parsed is not None
        assert contains(networks, parsed)


@given(st.lists(ADDRESSES, max_size=6), st.binary(max_size=40))
def test_what_a_client_claims_never_displaces_what_the_proxy_saw(
    claimed: list[ipaddress.IPv4Address], junk: bytes
) -> None:
    seen = "203.0.113.9"
    client = ClientAddress(["10.0.0.0/8"])
    forged = b",".join([junk.replace(b",", b""), *(str(address).encode() for address in claimed)])
    assert client.of("10.0.0.1", [(b"x-forwarded-for", forged), (b"x-forwarded-for", seen.encode())]) == seen
    assert client.of(seen, [(b"x-forwarded-for", forged)]) == seen


@given(st.lists(st.integers(0, 10**6), max_size=60), st.none() | st.integers(1, 4))
def test_a_pause_is_only_ever_started_by_enough_errors_and_lasts_as_its_step_says(
    ages: list[int], level: int | None
) -> None:
    now, policy = 10**9, PausePolicy()
    before = None if level is None else Pause(level, now - 10**7, now - 2 * 10**7)
    started = strike(now, [now - age for age in ages], before, policy)
    enough = sum(age < policy.window_ms for age in ages) >= policy.strikes
    assert (started is not None) is enough
    if started is not None:
        assert started.until - now == policy.steps_ms[started.level - 1]
        assert started.level <= len(policy.steps_ms)
