"""Anthropic Messages: what encoding a request finds out on its way."""

from __future__ import annotations

from proxyapi.dialects.losses import Losses


class Draft(Losses):
    """What is lost, and what has to be told beside the fields themselves."""

    __slots__ = ("_betas", "sentences")

    def __init__(self) -> None:
        super().__init__()
        self._betas: dict[str, None] = {}
        self.sentences: list[str] = []
        """Instructions of the gateway itself, after those of the client."""

    def beta(self, name: str) -> None:
        """A feature that has to be named in the header `anthropic-beta`."""
        self._betas[name] = None

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        return ((b"anthropic-beta", ",".join(self._betas).encode()),) if self._betas else ()
