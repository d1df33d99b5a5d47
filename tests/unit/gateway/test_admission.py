from __future__ import annotations

import pytest

from proxyapi.errors import TooManyRequests
from proxyapi.gateway.admission import Admission
from proxyapi.identity.keys import Caller


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def caller(rpm: int | None = None, tpm: int | None = None) -> Caller:
    return Caller(account_id=1, key_id=7, requests_per_minute=rpm, tokens_per_minute=tpm)


def test_a_key_without_limits_is_never_refused() -> None:
    admission = Admission(Clock())
    for _ in range(10_000):
        admission.admit_request(caller())
        admission.admit_tokens(caller(), 1_000_000)


def test_the_request_after_the_limit_waits_until_the_first_one_is_a_minute_old() -> None:
    clock = Clock()
    admission = Admission(clock)
    for _ in range(3):
        admission.admit_request(caller(rpm=3))
        clock.now += 10
    with pytest.raises(TooManyRequests, match=r"^Too many requests") as caught:
        admission.admit_request(caller(rpm=3))
    assert caught.value.retry_after_seconds == 31
    clock.now += 31
    admission.admit_request(caller(rpm=3))


def test_several_workers_share_the_limit_rounded_up() -> None:
    admission = Admission(Clock(), workers=2)
    for _ in range(2):
        admission.admit_request(caller(rpm=3))
    with pytest.raises(TooManyRequests):
        admission.admit_request(caller(rpm=3))


def test_tokens_of_prompts_and_answers_count_towards_the_minute() -> None:
    clock = Clock()
    admission = Admission(clock)
    admission.admit_tokens(caller(tpm=100), 40)
    admission.count_tokens(caller(tpm=100), 50)
    with pytest.raises(TooManyRequests, match="this request has 20 and 90 are used"):
        admission.admit_tokens(caller(tpm=100), 20)
    clock.now += 61
    admission.admit_tokens(caller(tpm=100), 100)


def test_keys_do_not_share_their_limits() -> None:
    admission = Admission(Clock())
    admission.admit_request(Caller(account_id=1, key_id=1, requests_per_minute=1))
    admission.admit_request(Caller(account_id=1, key_id=2, requests_per_minute=1))
