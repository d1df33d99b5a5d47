"""Signatures without a word of thought beside them, as this gateway writes redacted thinking of other providers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxyapi.dialects.codec import TargetModel
from proxyapi.dialects.gemini.codec import GeminiCodec
from proxyapi.dialects.model import PartStart, PartState, Text, Thinking

BARE: Any = {"text": "", "thought": True, "thoughtSignature": "c2ln"}
HELLO: Any = {"text": "Hello", "thoughtSignature": "c2lnbmVk"}
SHOWN: Any = {"text": "Hm.", "thought": True, "thoughtSignature": "c2lnbmVk"}


@pytest.mark.parametrize(
    ("parts", "kinds"),
    [
        ([HELLO, BARE], [Text, Thinking]),
        ([BARE, HELLO, BARE], [Thinking, Text, Thinking]),
        ([SHOWN, BARE], [Thinking, Thinking]),
        ([SHOWN, SHOWN], [Thinking, Thinking]),
        ([{"text": "Hm.", "thought": True}, BARE], [Thinking]),
        ([HELLO, {"text": "", "thoughtSignature": "c2ln"}], [Text]),
    ],
)
def test_a_proof_of_thoughts_that_are_not_shown_is_no_proof_of_the_text_before_it(
    parts: list[Any], kinds: list[Any]
) -> None:
    body = {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}], "responseId": "r"}
    decoder = GeminiCodec().decoder(stream=False, target=TargetModel(model="m"))
    events = [*decoder.feed(json.dumps(body).encode()), *decoder.close()]
    assert [type(event.part) for event in events if isinstance(event, PartStart)] == kinds
    proven = {event.index for event in events if isinstance(event, PartState)}
    assert sorted(proven) == list(range(len(kinds)))
