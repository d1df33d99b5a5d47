"""Request ids: UUID version 7."""

from __future__ import annotations

import uuid

import pytest

from proxyapi.ids import IdSource, encode_id, format_id, greatest_id, least_id, parse_id


class Clock:
    def __init__(self, now_ns: int) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns


def test_an_id_is_a_uuid_of_version_7_with_the_time_in_front() -> None:
    made = uuid.UUID(bytes=IdSource(clock_ns=Clock(1_700_000_000_123_456_789))())
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert made.int >> 80 == 1_700_000_000_123


def test_every_id_of_a_source_is_one() -> None:
    source = IdSource()
    made = [uuid.UUID(bytes=source()) for _ in range(1_000)]
    assert {(id.version, id.variant) for id in made} == {(7, uuid.RFC_4122)}


def test_all_random_bits_are_used() -> None:
    zeros = IdSource(clock_ns=Clock(0), random_bytes=lambda count: bytes(count))()
    ones = IdSource(clock_ns=Clock(0), random_bytes=lambda count: b"\xff" * count)()
    different = int.from_bytes(zeros, "big") ^ int.from_bytes(ones, "big")
    assert different.bit_count() == 74


def test_ids_sort_by_time() -> None:
    clock = Clock(1_700_000_000_000_000_000)
    source = IdSource(clock_ns=clock)
    ids = []
    for _ in range(100):
        ids.append(source())
        clock.now_ns += 1_000_000
    assert ids == sorted(ids)


def test_ten_thousand_ids_of_one_millisecond_differ() -> None:
    source = IdSource(clock_ns=Clock(1))
    assert len({source() for _ in range(10_000)}) == 10_000


def test_randomness_is_asked_for_in_bulk() -> None:
    asked: list[int] = []

    def random_bytes(count: int) -> bytes:
        asked.append(count)
        return bytes(count)

    source = IdSource(clock_ns=Clock(1), random_bytes=random_bytes)
    for _ in range(409):
        source()
    assert len(asked) == 1
    source()
    assert len(asked) == 2


def test_an_id_reads_as_36_characters_and_back() -> None:
    made = IdSource()()
    assert format_id(made) == str(uuid.UUID(bytes=made))
    assert parse_id(format_id(made)) == made
    assert parse_id(made.hex()) == made


@pytest.mark.parametrize("text", ["", "abc", "zz" * 16, "00" * 15, "00" * 17])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_id(text)


def test_bounds_of_a_millisecond_hold_all_its_ids_and_no_others() -> None:
    at = 1_764_028_800_000
    made = IdSource(lambda: at * 1_000_000, lambda size: b"\xff" * size)()
    assert least_id(at) <= made <= greatest_id(at) < least_id(at + 1)
    assert least_id(-1) == bytes(16)
    assert greatest_id(2**60) == b"\xff" * 16


def test_an_id_has_the_same_text_in_a_header() -> None:
    id = IdSource()()
    assert encode_id(id).decode() == format_id(id) == str(uuid.UUID(bytes=id))
