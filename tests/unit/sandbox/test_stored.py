"""The memory of responses is bounded."""

from proxyapi.sandbox.stored import Stored, StoredResponses


def test_the_oldest_response_goes_when_there_are_too_many() -> None:
    kept = StoredResponses()
    for number in range(2_001):
        kept.put(f"resp_{number}", Stored({}, [], 1, 1))
    assert kept.get("resp_0") is None
    assert kept.get("resp_2000") is not None


def test_the_oldest_go_when_they_are_too_large_but_the_newest_stays() -> None:
    kept = StoredResponses()
    kept.put("a", Stored({}, [], 1, 40 * 2**20))
    kept.put("b", Stored({}, [], 1, 40 * 2**20))
    assert kept.get("a") is None
    kept.put("c", Stored({}, [], 1, 100 * 2**20))
    assert kept.get("b") is None and kept.get("c") is not None


def test_a_removed_response_is_gone_once() -> None:
    kept = StoredResponses()
    kept.put("a", Stored({}, [], 1, 1))
    assert kept.remove("a") is True
    assert kept.remove("a") is False
