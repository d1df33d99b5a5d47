"""Google's signatures come back through clients of every other dialect, on the parts that they came with."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxyapi.dialects.codec import Asked, Encoded, TargetModel, Terms
from proxyapi.dialects.codecs import CODECS
from proxyapi.dialects.model import FunctionTool, Request
from proxyapi.dialects.quirks import Quirks
from proxyapi.dialects.reshape import Reshape
from proxyapi.dialects.state import Sealer

SEALER = Sealer(b"k" * 32)
TARGET = TargetModel(
    model="gemini-3",
    origin="google_gemini-3",
    quirks=Quirks(thinking_form="level", signature_required=True),
)
CALLS = (
    {"text": "hm", "thought": True},
    {"text": "Looking."},
    {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "c2lnbmF0dXJlMQ=="},
    {"functionCall": {"name": "g", "args": {"b": 2}}},
)
ANSWER = ({"text": "Hello"}, {"text": "", "thoughtSignature": "c2lnbmF0dXJlMg=="})


def answered(dialect: str, *parts: Any) -> Any:
    """A reply of Gemini as a client of the dialect reads it."""
    content = {"parts": list(parts), "role": "model"}
    wire = {"candidates": [{"content": content, "finishReason": "STOP", "index": 0}], "responseId": "r"}
    decoder = CODECS["gemini"].decoder(stream=False, target=TARGET)
    events = [*decoder.feed(json.dumps(wire).encode()), *decoder.close()]
    functions = FunctionTool(name="f"), FunctionTool(name="g")
    request = Request(model="m", tools=functions, include=("reasoning.encrypted_content",))
    linear = dialect == "anthropic"
    shaper = Reshape(
        Terms(
            request=request, encoded=Encoded(body=b""), reply_id="r", origin=TARGET.origin, provider="G", linear=linear
        )
    )
    asked = Asked(request=request, model="m", reply_id="r", created_at=1, seal=SEALER.seal)
    encoder = CODECS[dialect].encoder(stream=False, asked=asked)
    encoder.feed([*shaper.feed(events), *shaper.close(finished=True)])
    return json.loads(encoder.close())


def of_messages(reply: Any) -> Any:
    calls = [block["id"] for block in reply["content"] if block["type"] == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": identity, "content": "x"} for identity in calls]
    turns = [{"role": "assistant", "content": reply["content"]}, {"role": "user", "content": results or "more"}]
    return {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}, *turns]}


def of_responses(reply: Any) -> Any:
    calls = [item["call_id"] for item in reply["output"] if item["type"] == "function_call"]
    results = [{"type": "function_call_output", "call_id": identity, "output": "x"} for identity in calls]
    more = [] if calls else [{"role": "user", "content": "more"}]
    return {"model": "m", "input": [{"role": "user", "content": "Hi"}, *reply["output"], *results, *more]}


def of_chat(reply: Any) -> Any:
    message = reply["choices"][0]["message"]
    calls = [call["id"] for call in message.get("tool_calls") or ()]
    results = [{"role": "tool", "tool_call_id": identity, "content": "x"} for identity in calls]
    more = [] if calls else [{"role": "user", "content": "more"}]
    return {"model": "m", "messages": [{"role": "user", "content": "Hi"}, message, *results, *more]}


NEXT = {"anthropic": of_messages, "openai_responses": of_responses, "openai_chat": of_chat}


@pytest.mark.parametrize("dialect", NEXT)
@pytest.mark.parametrize(
    "parts, signatures", [(CALLS, [None, "c2lnbmF0dXJlMQ==", None]), (ANSWER, ["c2lnbmF0dXJlMg=="])]
)
def test_a_signature_comes_back_on_its_part(dialect: str, parts: Any, signatures: list[str | None]) -> None:
    following = json.dumps(NEXT[dialect](answered(dialect, *parts))).encode()
    request = CODECS[dialect].decode(following, unseal=SEALER.unseal)
    body = json.loads(CODECS["gemini"].encode(request, TARGET).body)
    assert [part.get("thoughtSignature") for part in body["contents"][1]["parts"]] == signatures
