"""Reasoning states of other providers, on their way through clients that know thoughts only.

A state travels sealed where the client's dialect keeps a proof of its own: the `signature` of a thinking block in
Messages, the `encrypted_content` of a reasoning item in Responses. Every client sends those back unread. Some states
belong to the thoughts that they came with, others (Google's) to a text or a call: then a word behind the seal says on
which side of the thoughts that part stands.
"""

from __future__ import annotations

from typing import Literal

from proxyapi.dialects.codec import Seal, Unseal
from proxyapi.dialects.model import ReasoningState

Place = Literal["own", "next", "before"]
"""Whose state it is: of the thoughts themselves, of the part after them, or of the part before them."""

_WORDS: dict[Place, str] = {"own": "", "next": "/next", "before": "/before"}
"""No seal has a slash in it, so none can be taken for a part of it."""

UNSIGNED = ReasoningState("other", "")
"""Of thinking that came without a proof: clients drop what is not signed, and some models want it back."""


def written(state: ReasoningState, place: Place, seal: Seal) -> str:
    """As a client sends it back."""
    return seal(state) + _WORDS[place]


def read(text: str, unseal: Unseal) -> tuple[Place, ReasoningState | None]:
    """What a client sent back. None: it is none of ours, or holds nothing."""
    place: Place = next((place for place, word in _WORDS.items() if word and text.endswith(word)), "own")
    state = unseal(text.removesuffix(_WORDS[place]))
    return place, state if state is not None and state.data else None
