"""Stop sequences for providers that don't know them: the text is cut where a sequence is complete."""

from __future__ import annotations

from collections.abc import Sequence


class StopCutter:
    """Feed it one part's text as it comes, take what can be shown.

    Only an end that may begin a sequence is held back, so the rest leaves at once. Wherever the text was cut into
    pieces, the result is the same: the sequence that is complete first wins.
    """

    __slots__ = ("_held", "_sequences", "matched")

    def __init__(self, sequences: Sequence[str]) -> None:
        """`sequences`: not empty."""
        self._sequences = sequences
        self._held = ""
        self.matched = ""
        """The sequence that ended the text; empty: none yet."""

    def feed(self, text: str) -> str:
        """What is sure now. After a match: nothing."""
        if self.matched:
            return ""
        text = self._held + text
        ends = [(at + len(stop), at, stop) for stop in self._sequences if (at := text.find(stop)) >= 0]
        if ends:
            _, start, self.matched = min(ends)
            self._held = ""
            return text[:start]
        keep = self._beginning(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def close(self) -> str:
        """The rest: the text ended without a match."""
        rest, self._held = self._held, ""
        return rest

    def _beginning(self, text: str) -> int:
        """Length of the longest end of `text` that a sequence begins with."""
        longest = 0
        for stop in self._sequences:
            for size in range(min(len(stop) - 1, len(text)), longest, -1):
                if text.endswith(stop[:size]):
                    longest = size
                    break
        return longest
