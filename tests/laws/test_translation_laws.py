"""The three laws of translation, for every dialect and for all twelve pairs of them.

1. Round trip: what a dialect can express is the same after it was written and read again.
2. Nothing lost: through any pair every text, call, result, picture, proof and number arrives, in order, once; what
   can't be said is refused before the provider is asked.
3. Same meter: the usage of a stream is that of the same answer as one body.

Here is what all dialects share. What only one of them can say is proven beside its codec in `tests/unit/dialects`.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import proxyapi_fakes_pairs as pairs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from proxyapi_fakes_canonical import CAN, MARK, OPEN, ORIGIN, SAYS, replies, requests, targeted, written
from proxyapi_fakes_pairs import DIALECTS, WAYS
from proxyapi_fakes_wires import conversation

from proxyapi.dialects import carriers
from proxyapi.dialects.codec import Untranslatable, sealed_nothing
from proxyapi.dialects.codecs import CODECS
from proxyapi.dialects.model import (
    Document,
    FunctionTool,
    Image,
    Inline,
    Link,
    Part,
    ReasoningState,
    Request,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    UrlCitation,
)

EXAMPLES = int(os.environ.get("TRANSLATION_LAW_EXAMPLES", "50"))
"""For each dialect, or pair."""
UNSHOWN = "(A picture that cannot be shown here.)"
REFUSED = "The model refused to answer."
"""Our own words, for what a client has no field for."""


@pytest.mark.parametrize("dialect", CODECS)
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_law_1_a_request_is_the_same_after_it_was_written_and_read_again(dialect: str, data: st.DataObject) -> None:
    request = data.draw(requests(dialect))
    codec = CODECS[dialect]
    encoded = codec.encode(request, targeted(dialect))
    assert (encoded.dropped, encoded.approximated) == ((), ())
    assert codec.decode(encoded.body, model="m", stream=request.stream, unseal=sealed_nothing) == request


# --- requests through pairs ---------------------------------------------------------------------------------------


def marks(value: Any) -> Iterator[str]:
    """Of all texts in a JSON value, in its order."""
    match value:
        case str():
            yield from MARK.findall(value)
        case dict():
            for inner in value.values():
                yield from marks(inner)
        case list():
            for inner in value:
                yield from marks(inner)
        case _:
            pass


def told(request: Request, *, by_content: bool) -> list[str]:
    """The marks of a conversation in its order. `by_content`: as Chat tells it, where calls stand beside the content
    and pictures of results behind the results."""
    found: list[str] = []
    for message in (*request.system, *request.messages):
        behind: list[str] = []
        parts = message.parts
        if by_content:
            parts = tuple(sorted(parts, key=lambda part: isinstance(part, ToolUse)))
        for part in parts:
            if isinstance(part, ToolResult):
                for inner in part.parts:
                    (behind if by_content and isinstance(inner, Image) else found).extend(_marks_of(inner))
            else:
                if not isinstance(part, ToolUse):
                    found += behind
                    behind = []
                found += _marks_of(part)
        found += behind
    return found


def _marks_of(part: Part) -> list[str]:
    match part:
        case Text(text):
            return MARK.findall(text)
        case Image(source=Inline(data=place)) | Image(source=Link(url=place)):
            return MARK.findall(place)
        case Document(source=Inline(data=place)):
            return MARK.findall(place)
        case ToolUse(arguments=arguments):
            return MARK.findall(arguments)
        case _:
            raise AssertionError(part)


def answers(request: Request) -> list[tuple[str, list[str]]]:
    """Which call got which texts."""
    parts = [part for message in request.messages for part in message.parts]
    return [
        (part.tool_use_id, [mark for inner in part.parts if isinstance(inner, Text) for mark in _marks_of(inner)])
        for part in parts
        if isinstance(part, ToolResult)
    ]


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_law_2_all_of_a_request_arrives_in_order_and_once(way: str, data: st.DataObject) -> None:
    client, provider = (CODECS[DIALECTS[letter]] for letter in way.split("->"))
    meant = data.draw(requests(client.name))
    body = client.encode(meant, targeted(client.name)).body
    request = client.decode(body, model="m", stream=meant.stream, unseal=sealed_nothing)
    assert request == meant
    if request.choices > 1 and not CAN[provider.name].choices:
        with pytest.raises(Untranslatable) as refused:
            provider.encode(request, targeted(provider.name))
        assert refused.value.field == "choices"
        request = replace(request, choices=1)
    encoded = provider.encode(request, targeted(provider.name))
    wire = json.loads(encoded.body)
    conversation = {name: wire[name] for name in ("system", "systemInstruction", "instructions") if name in wire}
    conversation["turns"] = next(wire[name] for name in ("messages", "input", "contents") if name in wire)
    found, wanted = list(marks(conversation)), told(request, by_content=provider.name == "openai_chat")
    assert [mark for mark in found if not mark.startswith("ttl")] == wanted
    assert [mark for mark in found if mark.startswith("ttl")] == _titles(request)
    described = [mark for tool in _tools(request) for mark in MARK.findall(tool.description)]
    assert [mark for mark in marks(wire) if mark.startswith("dsc")] == described
    assert [mark for mark in marks(wire) if mark.startswith("stp")] + list(encoded.stop) == list(request.stop)
    again = provider.decode(encoded.body, model="m", stream=request.stream, unseal=sealed_nothing)
    assert answers(again) == answers(request)
    assert [tool.name for tool in _tools(again)] == [tool.name for tool in _tools(request)]
    assert (again.stream, again.output_tokens_max) == (request.stream, request.output_tokens_max)


def _titles(request: Request) -> list[str]:
    return [part.title for message in request.messages for part in message.parts if isinstance(part, Document)]


def _tools(request: Request) -> list[FunctionTool]:
    return [tool for tool in request.tools if isinstance(tool, FunctionTool)]


def read(dialect: str, data: bytes, *, stream: bool, size: int = 1 << 20) -> Any:
    decoder = CODECS[dialect].decoder(stream=stream, target=targeted(dialect))
    events = [event for at in range(0, len(data), size) for event in decoder.feed(data[at : at + size])]
    events += decoder.close()
    assert decoder.finished
    return pairs.said(events)


SIZES = st.integers(1, 60)


@pytest.mark.parametrize("dialect", CODECS)
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_law_1_a_reply_is_the_same_after_it_was_written_and_read_again(dialect: str, data: st.DataObject) -> None:
    says = SAYS[dialect]
    events = data.draw(replies(dialect, choices=data.draw(st.integers(1, 2)) if says.choices else 1))
    stream = data.draw(st.booleans())
    again = read(dialect, written(dialect, events, stream=stream), stream=stream, size=data.draw(SIZES))
    assert meaning(dialect, again) == meaning(dialect, pairs.said(events))


def meaning(dialect: str, reply: Any) -> Any:
    """All that a reply says, as far as the dialect tells things apart."""
    parts = list(zip(reply.choices, map(_bare, reply.parts), strict=True))
    if dialect == "openai_chat":
        # Its fields have no order; alternatives may take turns.
        parts.sort(key=lambda part: (part[0], type(part[1]).__name__))
    reasons = dict(reply.reasons)
    if dialect == "gemini":
        # It has no word for an end that is a call.
        reasons = {choice: "end" if reason == "tool_use" else reason for choice, reason in reasons.items()}
    return parts, [_proof(state) for state in reply.states], reply.usage, reasons


def _bare(part: Part) -> Part:
    """Without what is compared apart, or told by its own dialect only."""
    part = replace(part, state=None)
    if isinstance(part, Text):
        sources = [source for source in part.citations if isinstance(source, UrlCitation)]
        return replace(part, citations=tuple(replace(source, quote="") for source in sources))
    return part


def _proof(state: ReasoningState) -> str:
    data = state.data
    if data.startswith("sig"):
        return data
    return b64decode(data).decode()


# --- replies through pairs ----------------------------------------------------------------------------------------

_ENDS: dict[tuple[str, str], str] = {
    ("anthropic", "content_filter"): "refusal",
    ("openai_chat", "refusal"): "content_filter",
    ("gemini", "refusal"): "content_filter",
    ("gemini", "tool_use"): "end",
}
"""Reasons that a client's dialect has no word of its own for, and what it reads instead."""


def through(way: str, data: st.DataObject, *, draws: bool = True) -> tuple[Any, Any, Any]:
    """What a provider said, what the client read of it, and the channel."""
    pair = pairs.Pair(way, thinking_form=OPEN[DIALECTS[way[-1]]].thinking_form)
    both = SAYS[pair.client.name].choices and SAYS[pair.provider.name].choices
    choices = data.draw(st.integers(1, 2)) if both else 1
    events = data.draw(replies(pair.provider.name, choices, draws=draws))
    sse, stream, size = data.draw(st.booleans()), data.draw(st.booleans()), data.draw(SIZES)
    wire = written(pair.provider.name, events, stream=sse)
    asked = {1: {}, 2: {"n": 2, "generationConfig": {"candidateCount": 2}}}[choices]
    reply = pair.reply(wire, asked, sse=sse, stream=stream, size=size)
    assert reply.channel.failed is None
    return read(pair.provider.name, wire, stream=sse), reply, pair


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_law_2_all_of_a_reply_arrives_in_order_and_once(way: str, data: st.DataObject) -> None:
    meant, reply, pair = through(way, data)
    got = reply.said
    client = pair.client.name
    for choice in meant.reasons:
        mine, its = got.of(choice), meant.of(choice)
        assert _joined(mine, Text) == _joined(its, Text)
        assert _joined(mine, Thinking) == _joined(its, Thinking)
        assert _calls(mine) == _calls(its)
        assert _pictures(mine) == _pictures(its)
        assert _sources(mine) == _sources(its)
        reason = "tool_use" if _calls(its) and meant.reasons[choice] == "end" else meant.reasons[choice]
        assert got.reasons[choice] == _ENDS.get((client, reason), reason)
    assert got.usage == meant.usage
    # Proofs of a Chat client stand beside texts and calls, each kind by itself.
    order: Any = sorted if client == "openai_chat" else list
    assert order(_opened(pair, got)) == order([state.data for state in meant.states])


def _joined(parts: list[Part], kind: type[Text] | type[Thinking]) -> str:
    """Without the paragraphs that keep apart what stood apart, and without our own words."""
    texts = [part.text + "".join(getattr(part, "summaries", ())) for part in parts if isinstance(part, kind)]
    return "".join(texts).replace("\n\n", "").replace(UNSHOWN, "").replace(REFUSED, "")


def _calls(parts: list[Part]) -> list[tuple[str, str, str]]:
    return [(part.id, part.name, part.arguments) for part in parts if isinstance(part, ToolUse)]


def _pictures(parts: list[Part]) -> int | list[str]:
    """How many, as some clients are only told that there is one; their data, where it is there."""
    words = sum(part.text.count(UNSHOWN) for part in parts if isinstance(part, Text))
    return words + sum(isinstance(part, Image) for part in parts)


def _sources(parts: list[Part]) -> set[Any]:
    """A source of a span may be told once for each piece of it."""
    cited = [source for part in parts if isinstance(part, Text) for source in part.citations]
    return {source.url for source in cited if isinstance(source, UrlCitation)}


def _opened(pair: Any, got: Any) -> list[str]:
    """The provider's proofs that the client holds, each in the envelope that only this gateway opens."""
    found: list[str] = []
    for state in got.states:
        data = b64decode(state.data).decode() if pair.client.name == "gemini" else state.data
        _, opened = carriers.read(data, pair.sealer.unseal)
        if opened is not None:
            assert opened.origin == ORIGIN
            found.append(opened.data)
    return found


@pytest.mark.parametrize("dialect", CODECS)
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_law_3_a_stream_has_the_usage_of_the_same_answer_as_one_body(dialect: str, data: st.DataObject) -> None:
    events = data.draw(replies(dialect))
    found = [
        read(dialect, written(dialect, events, stream=stream), stream=stream, size=data.draw(SIZES)).usage
        for stream in (True, False)
    ]
    assert found[0] == found[1] == pairs.said(events).usage


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=EXAMPLES // 2)
@given(data=st.data())
def test_law_3_the_meter_and_the_client_read_the_same_of_streams_and_of_bodies(way: str, data: st.DataObject) -> None:
    pair = pairs.Pair(way)
    events = data.draw(replies(pair.provider.name))
    size = data.draw(SIZES)
    usages = []
    for sse in (True, False):
        wire = written(pair.provider.name, events, stream=sse)
        for stream in (True, False):
            reply = pair.reply(wire, sse=sse, stream=stream, size=size)
            metered = {unit: quantity for unit, quantity in reply.channel.meter.usage.items() if quantity}
            usages += [metered, reply.said.usage]
    assert usages == [pairs.said(events).usage] * 8


# --- what a client sends again ------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_law_2_a_turn_that_a_client_sends_back_is_what_the_provider_had_said(way: str, data: st.DataObject) -> None:
    meant, reply, pair = through(way, data, draws=False)
    known = {state.data: replace(state, origin=ORIGIN) for state in meant.states}
    user = {"role": "user", "content": "Go on.", "parts": [{"text": "Go on."}]}
    messages = [*reply.turn, *_results(pair.client.name, meant.of(0)), user]
    body = conversation(pair.client.name, messages)
    encoded = pair.provider.encode(pair.decoded(body), targeted(pair.provider.name))
    again = pair.provider.decode(encoded.body, model="m", stream=False, unseal=known.get)
    turn = [part for message in again.messages if message.role == "assistant" for part in message.parts]
    its = _sent_back(pair, meant.of(0))
    assert _joined(turn, Text) == _joined(its, Text)
    # Clients that have arguments as an object print them anew.
    assert [(*call[:2], json.loads(call[2])) for call in _calls(turn)] == [
        (*call[:2], json.loads(call[2])) for call in _calls(its)
    ]
    assert [part.state.data for part in turn if part.state] == [part.state.data for part in its if part.state]


def _sent_back(pair: Any, parts: list[Part]) -> list[Part]:
    """What of a reply there is in the next request."""
    parts = list(parts)
    if pair.client.name == "openai_chat":
        # A message has its thoughts before its content, and its calls behind it.
        parts.sort(key=lambda part: (isinstance(part, ToolUse), not isinstance(part, Thinking)))
    while pair.provider.name == "openai_responses" and parts and isinstance(parts[-1], Thinking):
        # The provider refuses thoughts without what they led to.
        del parts[-1]
    return parts


def _results(client: str, parts: list[Part]) -> list[dict[str, Any]]:
    """Answers to the calls of a turn, as the client writes them."""
    calls = [part for part in parts if isinstance(part, ToolUse)]
    match client:
        case "openai_chat":
            return [{"role": "tool", "tool_call_id": call.id, "content": "ok"} for call in calls]
        case "openai_responses":
            return [{"type": "function_call_output", "call_id": call.id, "output": "ok"} for call in calls]
        case "anthropic":
            blocks = [{"type": "tool_result", "tool_use_id": call.id, "content": "ok"} for call in calls]
            return [{"role": "user", "content": blocks}] if blocks else []
        case _:
            answers = [{"functionResponse": {"id": c.id, "name": c.name, "response": {"a": 1}}} for c in calls]
            return [{"role": "user", "parts": answers}] if answers else []
