"""May this key call now? Requests and tokens per minute, and the pause after many refusals.

Rates are counted in this process; with several workers each gets its share of the limit. The pause is kept in the
store, so that every worker sees it and a restart does not end it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from proxyapi.errors import TooManyRequests
from proxyapi.identity.keys import Caller

WINDOW_SECONDS = 60.0
KEYS_MAX = 10_000
"""Keys with a rate that are remembered; the longest unused is forgotten first, which only ever forgives."""


class _Window:
    """What one key did within the last minute."""

    __slots__ = ("requests", "tokens", "tokens_sum")

    def __init__(self) -> None:
        self.requests: deque[float] = deque()
        self.tokens: deque[tuple[float, int]] = deque()
        self.tokens_sum = 0


class Admission:
    def __init__(self, clock: Callable[[], float], *, workers: int = 1) -> None:
        """`clock` is monotonic, in seconds. Each of `workers` admits its share, rounded up."""
        self._clock = clock
        self._workers = workers
        self._windows: dict[int, _Window] = {}

    def admit_request(self, caller: Caller) -> None:
        """Count one request. TooManyRequests with the seconds to wait."""
        limit = caller.requests_per_minute
        if limit is None:
            return
        now = self._clock()
        requests = self._window(caller.key_id).requests
        while requests and requests[0] <= now - WINDOW_SECONDS:
            requests.popleft()
        if len(requests) >= self._share(limit):
            raise self._too_many(f"This key may send {limit} requests a minute", requests[0] if requests else now, now)
        requests.append(now)

    def admit_tokens(self, caller: Caller, tokens: int) -> None:
        """Count the forecast prompt. A single request larger than the limit can never pass: the text says so."""
        limit = caller.tokens_per_minute
        if limit is None:
            return
        now = self._clock()
        window = self._window(caller.key_id)
        self._forget_tokens(window, now)
        if window.tokens_sum + tokens > self._share(limit):
            first = window.tokens[0][0] if window.tokens else now
            raise self._too_many(
                f"This key may use {limit} tokens a minute, this request has {tokens} and {window.tokens_sum} are used",
                first,
                now,
            )
        self._add_tokens(window, now, tokens)

    def count_tokens(self, caller: Caller, tokens: int) -> None:
        """Add the tokens of an answer to the key's minute; never refuses."""
        if caller.tokens_per_minute is not None and tokens > 0:
            self._add_tokens(self._window(caller.key_id), self._clock(), tokens)

    def _window(self, key_id: int) -> _Window:
        window = self._windows.pop(key_id, None) or _Window()
        self._windows[key_id] = window  # last used stands last
        if len(self._windows) > KEYS_MAX:
            self._windows.pop(next(iter(self._windows)))
        return window

    def _share(self, limit: int) -> int:
        return -(-limit // self._workers)

    @staticmethod
    def _add_tokens(window: _Window, now: float, tokens: int) -> None:
        window.tokens.append((now, tokens))
        window.tokens_sum += tokens

    @staticmethod
    def _forget_tokens(window: _Window, now: float) -> None:
        while window.tokens and window.tokens[0][0] <= now - WINDOW_SECONDS:
            window.tokens_sum -= window.tokens.popleft()[1]

    @staticmethod
    def _too_many(why: str, first: float, now: float) -> TooManyRequests:
        seconds = max(1, int(first + WINDOW_SECONDS - now) + 1)
        return TooManyRequests(f"Too many requests. {why}; try again in {seconds} s.", retry_after_seconds=seconds)
