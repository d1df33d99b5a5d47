"""OpenAI Responses there and back: requests, replies as streams and as bodies, what a client sends of them again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from proxyapi.dialects.codec import Asked, TargetModel
from proxyapi.dialects.effort import SCALE
from proxyapi.dialects.media import sniffed
from proxyapi.dialects.model import (
    CacheMark,
    CacheOptions,
    CustomTool,
    Document,
    DocumentCitation,
    Event,
    FileRef,
    Finish,
    FunctionTool,
    Image,
    Inline,
    JsonObject,
    JsonSchema,
    Link,
    Mcp,
    Message,
    Metered,
    NativeTool,
    Part,
    PartCitation,
    PartData,
    PartDelta,
    PartEnd,
    PartStart,
    PartState,
    PartSummary,
    PlainText,
    Reasoning,
    ReasoningState,
    Refusal,
    Request,
    Sampling,
    Start,
    Storage,
    Text,
    Thinking,
    ToolChoice,
    ToolResult,
    ToolUse,
    UrlCitation,
    WebSearch,
)
from proxyapi.dialects.openai_responses.codec import ResponsesCodec
from proxyapi.dialects.quirks import Quirks
from proxyapi.dialects.state import Sealer
from proxyapi.usage import INPUT_TOKENS, OUTPUT_TOKENS, Unit, Usage

CODEC = ResponsesCodec()
ORIGIN = "openai/gpt-5"
TARGET = TargetModel(model="m", origin=ORIGIN, quirks=Quirks(efforts=SCALE, cache_mark_field="prompt_cache_breakpoint"))
SEALER = Sealer(b"k" * 32)
ENCRYPTED, LOGPROBS = "reasoning.encrypted_content", "message.output_text.logprobs"


def own(text: str) -> ReasoningState | None:
    """What the provider itself would read."""
    return ReasoningState("openai_encrypted", text, ORIGIN)


# --- values -------------------------------------------------------------------------------------------------------

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
names = st.from_regex(r"[a-z][a-z0-9_-]{0,10}", fullmatch=True)
base64 = st.binary(min_size=3, max_size=12).map(lambda data: data.hex() + "AA" * (len(data) % 2))
schemas = st.sampled_from([Raw(b'{"type":"object"}'), Raw(b'{ "b": [1],\n"a": {} }'), Raw(b"{}")])
marks = st.none() | st.builds(CacheMark, st.sampled_from([None, "30m", "12h"]))
pictures = st.one_of(
    base64.map(lambda data: Inline(data, sniffed(data, "image/png"))),
    names.map(lambda name: Link(f"https://x/{name}")),
    names.map(lambda name: FileRef(f"file-{name}", "openai")),
)
spans = st.integers(0, 50)
citations = st.one_of(
    st.builds(UrlCitation, words, words, spans, spans),
    st.builds(DocumentCitation, st.just("file"), spans, title=names, file_id=names),
)
spoken = st.one_of(
    st.builds(Text, words, st.lists(citations, max_size=2).map(tuple)),
    st.builds(Refusal, words),
)
thoughts = st.builds(
    Thinking,
    st.just("") | words,
    st.lists(words, max_size=2).map(tuple),
    st.just("") | names.map("rs_{}".format),
    state=base64.map(own),
)
heard = st.one_of(
    st.builds(Text, words, cache=marks),
    st.builds(Image, pictures, st.sampled_from([None, "low", "high"]), cache=marks),
    st.builds(Document, pictures, title=names, detail=st.sampled_from([None, "low"]), cache=marks),
)
FUNCTIONS = (
    FunctionTool(name="plain", parameters=Raw(b'{"type":"object"}'), strict=False),
    FunctionTool(name="inner", namespace="space", namespace_description="d", strict=False),
)
TYPED = tuple(
    NativeTool(kind=kind, dialect="openai_responses", wire_type=kind, body=Raw(b'{"type":"%b"}' % kind.encode()))
    for kind in ("local_shell", "shell", "apply_patch")
)
CUSTOM = CustomTool(name="free", syntax="lark", grammar="start: x")
KINDS: dict[str, tuple[str, str, str, str]] = {
    # kind: name, namespace, arguments, prefix of the item's id
    "plain": ("plain", "", '{"a": 1}', "fc_"),
    "inner": ("inner", "space", "{}", "fc_"),
    "custom": ("free", "", "*** text", "ctc_"),
    "local_shell": ("local_shell", "", '{"type":"exec","command":["ls"],"env":{}}', "lsh_"),
    "shell": ("shell", "", '{"commands":["ls"]}', "sh_"),
    "apply_patch": ("apply_patch", "", '{"type":"delete_file","path":"p"}', "apc_"),
}


@st.composite
def tool_uses(draw: st.DrawFn, number: int) -> ToolUse:
    kind = draw(st.sampled_from(sorted(KINDS)))
    name, namespace, arguments, prefix = KINDS[kind]
    return ToolUse(
        f"call_{number}",
        name,
        arguments,
        "function" if kind in ("plain", "inner") else kind,  # type: ignore[arg-type]
        namespace=namespace,
        item_id=draw(st.just("") | names.map(lambda word: prefix + word)),
    )


@st.composite
def results(draw: st.DrawFn, use: ToolUse) -> ToolResult:
    parts: tuple[Any, ...] = tuple(draw(st.lists(heard, max_size=3)))
    is_error = None
    if use.kind == "shell":
        parts = (Text('[{"stdout": "x"}]'),)
    elif use.kind in ("local_shell", "apply_patch"):
        parts = (Text(draw(words)),)
        is_error = True if use.kind == "apply_patch" and draw(st.booleans()) else None
    return ToolResult(use.id, parts, name=use.name, kind=use.kind, is_error=is_error)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    """User and assistant in turn; every call is answered in the next turn."""
    messages: list[Message] = [Message(role="user", parts=(Text("As json."), *draw(st.lists(heard, max_size=2))))]
    calls = 0
    for _ in range(draw(st.integers(0, 3))):
        parts: list[Part] = []
        uses: list[ToolUse] = []
        for _ in range(draw(st.integers(1, 4))):
            if draw(st.booleans()):
                parts.append(draw(thoughts))
            if draw(st.booleans()):
                parts.append(draw(spoken))
            else:
                parts.append(draw(tool_uses(calls)))
                uses.append(parts[-1])
                calls += 1
        speaks = any(isinstance(part, Text | Refusal) for part in parts)
        messages.append(
            Message(
                role="assistant",
                parts=tuple(parts),
                phase=draw(st.sampled_from(["", "commentary", "final_answer"])) if speaks else "",
                id=draw(st.just("") | names.map("msg_{}".format)) if speaks else "",
                incomplete=speaks and draw(st.booleans()),
            )
        )
        answers = [draw(results(use)) for use in uses]
        more = draw(st.lists(heard, min_size=0 if answers else 1, max_size=2))
        messages.append(Message(role="user", parts=(*answers, *more)))
    if draw(st.booleans()):
        messages.append(Message(role="developer", parts=tuple(draw(st.lists(st.builds(Text, words), min_size=1)))))
    return tuple(messages)


@st.composite
def instructions(draw: st.DrawFn) -> tuple[Message, ...]:
    texts = st.lists(st.builds(Text, words), min_size=1, max_size=2).map(tuple)
    roles = draw(st.sampled_from([(), ("system",), ("developer",), ("system", "developer"), ("developer", "system")]))
    return tuple(Message(role=role, parts=draw(texts)) for role in roles)


tools = st.lists(
    st.one_of(
        st.builds(FunctionTool, name=names, description=st.just("") | words, parameters=schemas, strict=st.just(False)),
        st.builds(CustomTool, name=names, description=st.just("") | words),
        st.builds(
            lambda size: WebSearch(
                wire_type="web_search",
                context_size=size,
                native=Raw(b'{"type":"web_search","search_context_size":"%b"}' % size.encode()),
            ),
            st.sampled_from(["low", "high"]),
        ),
        st.just(
            Mcp(
                label="l",
                url="https://u",
                approval="never",
                native=Raw(b'{"type":"mcp","server_label":"l","server_url":"https://u","require_approval":"never"}'),
            )
        ),
    ),
    max_size=3,
).map(lambda more: (*FUNCTIONS, CUSTOM, *TYPED, *more))
choices = st.none() | st.builds(
    lambda mode, names, parallel: ToolChoice(mode=mode, names=names if mode == "required" else (), parallel=parallel),
    st.sampled_from(["auto", "none", "required"]),
    st.sampled_from([(), ("plain",), ("free",), ("shell",), ("plain", "free")]),
    st.none() | st.booleans(),
)
formats = st.one_of(
    st.none(),
    st.just(PlainText()),
    st.just(JsonObject()),
    st.builds(
        JsonSchema, schema=schemas, name=names, description=st.just("") | words, strict=st.sampled_from([None, False])
    ),
)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    logprobs = draw(st.none() | st.integers(0, 20))
    include = (ENCRYPTED, LOGPROBS) if logprobs is not None else (ENCRYPTED,)
    reasoning = draw(
        st.builds(
            Reasoning,
            effort=st.none() | st.sampled_from(SCALE),
            show=st.none() | st.sampled_from(["auto", "concise", "detailed"]),
            context=st.none() | st.sampled_from(["auto", "current_turn", "all_turns"]),
            mode=st.sampled_from(["", "pro"]),
        )
    )
    return Request(
        model="m",
        system=draw(instructions()),
        messages=draw(conversations()),
        tools=draw(tools),
        tool_choice=draw(choices),
        stream=draw(st.booleans()),
        output_tokens_max=draw(st.none() | st.just(0) | st.integers(16, 10**6)),
        server_tool_calls_max=draw(st.none() | st.integers(1, 9)),
        sampling=Sampling(temperature=draw(st.none() | st.floats(0, 2)), top_p=draw(st.none() | st.floats(0, 1))),
        logprobs=logprobs,
        reasoning=None if reasoning == Reasoning() else reasoning,
        format=draw(formats),
        verbosity=draw(st.none() | st.sampled_from(["low", "medium", "high"])),
        cache=draw(
            st.builds(
                CacheOptions,
                key=st.just("") | names,
                explicit=st.none() | st.booleans(),
                lifetime=st.sampled_from([None, "30m", "12h", "24h"]),
            )
        ),
        storage=draw(st.builds(Storage, store=st.booleans(), background=st.none() | st.booleans())),
        truncation=draw(st.sampled_from([None, "auto", "disabled"])),
        compaction_threshold=draw(st.none() | st.integers(1, 10**6)),
        user=draw(st.just("") | names),
        metadata=draw(st.dictionaries(names, words, max_size=3)),
        tier=draw(st.none() | st.sampled_from(["auto", "standard", "flex", "priority", "fast", "ultrafast"])),
        include=include,
    )


# --- requests -----------------------------------------------------------------------------------------------------


def unmarked(request: Request) -> Request:
    """The last four cache marks are all that a provider takes."""
    left = 4

    def kept(part: Part) -> Part:
        nonlocal left
        if isinstance(part, ToolResult):
            return replace(part, parts=tuple(reversed([kept(inner) for inner in reversed(part.parts)])))
        if part.cache is None or (left := left - 1) >= 0:
            return part
        return replace(part, cache=None)

    messages = [
        replace(message, parts=tuple(reversed([kept(part) for part in reversed(message.parts)])))
        for message in reversed(request.messages)
    ]
    return replace(request, messages=tuple(reversed(messages)))


@given(requests())
def test_a_request_that_is_written_and_read_is_the_same(request: Request) -> None:
    request = unmarked(request)
    encoded = CODEC.encode(request, TARGET)
    assert (encoded.dropped, encoded.approximated, encoded.names) == ((), (), {})
    assert CODEC.decode(encoded.body, unseal=own) == request


# --- replies ------------------------------------------------------------------------------------------------------


class Told(msgspec.Struct):
    """What a reply says, however it came."""

    parts: list[Part]
    usage: Usage
    reason: str


def told(events: Iterable[Event]) -> Told:
    starts: dict[int, Part] = {}
    texts: dict[int, str] = {}
    summaries: dict[int, dict[int, str]] = {}
    told = Told([], {}, "")
    for event in events:
        match event:
            case PartStart(index, part):
                starts[index], texts[index] = part, ""
            case PartDelta(index, text):
                texts[index] += text
            case PartData(index, data):
                texts[index] += data
            case PartSummary(index, number, text):
                of = summaries.setdefault(index, {})
                of[number] = of.get(number, "") + text
            case PartCitation(index, citation):
                starts[index] = replace(starts[index], citations=(*starts[index].citations, citation))
            case PartState(index, state):
                starts[index] = replace(starts[index], state=state)
            case Metered(usage):
                told.usage = {unit: quantity for unit, quantity in usage.items() if quantity}
            case Finish(reason=reason):
                told.reason = reason
            case _:
                pass
    for index, part in starts.items():
        told.parts.append(whole(part, texts[index], tuple(summaries.get(index, {}).values())))
    return told


def whole(part: Part, text: str, summaries: tuple[str, ...]) -> Part:
    match part:
        case ToolUse():
            return replace(part, arguments=text, item_id="")
        case Thinking():
            return replace(part, text=text, summaries=summaries, id="")
        case Image():
            return Image(Inline(text, part.source.media_type), state=part.state)
        case _:
            return replace(part, text=text)


@st.composite
def replies(draw: st.DrawFn) -> list[Event]:
    """Events as `reshape` guarantees them to an encoder, without states of others."""
    events: list[Event] = [Start(id="resp_1", model="m", created_at=1)]
    called = refused = False
    for index in range(draw(st.integers(0, 5))):
        part = draw(st.one_of(spoken, thoughts, tool_uses(index), st.just(Image(Inline("iVBORw0KGgo=", "image/png")))))
        called = called or isinstance(part, ToolUse)
        refused = refused or isinstance(part, Refusal)
        events += grown(draw, index, part)
    reason = "tool_use" if called else "refusal" if refused else draw(st.sampled_from(["end", "length", "pause"]))
    units = st.dictionaries(st.sampled_from(sorted(INPUT_TOKENS | OUTPUT_TOKENS)), st.integers(1, 10**6))
    metered: list[Event] = [Metered(draw(units))]
    finish: list[Event] = [Finish(reason=reason)]
    return events + (metered + finish if draw(st.booleans()) else finish + metered)


def grown(draw: st.DrawFn, index: int, part: Part) -> list[Event]:
    """A part in pieces."""
    match part:
        case Image(source=Inline() as source):
            return [
                PartStart(index, Image(Inline("", source.media_type))),
                PartData(index, source.data),
                PartEnd(index),
            ]
        case ToolUse(arguments=text):
            start: Part = replace(part, arguments="")
        case Thinking(text=text):
            start = Thinking()
        case Text(text=text) | Refusal(text=text):
            start = replace(part, text="") if isinstance(part, Refusal) else Text("")
        case _:
            raise AssertionError(part)
    cut = draw(st.integers(0, len(text)))
    events: list[Event] = [PartStart(index, start)]
    events += [PartSummary(index, n, summary) for n, summary in enumerate(getattr(part, "summaries", ()))]
    events += [PartDelta(index, piece) for piece in (text[:cut], text[cut:]) if piece]
    events += [PartCitation(index, citation) for citation in getattr(part, "citations", ())]
    if part.state is not None:
        events.append(PartState(index, part.state))
    return [*events, PartEnd(index)]


def sent(events: Sequence[Event], *, stream: bool, batches: int = 1, seal: Any = None) -> bytes:
    asked = Asked(
        request=Request(model="m", include=(ENCRYPTED,)),
        model="m",
        reply_id="r1",
        created_at=2,
        seal=seal or (lambda state: state.data),
    )
    encoder = CODEC.encoder(stream=stream, asked=asked)
    size = max(1, len(events) // batches)
    out = b"".join(encoder.feed(events[at : at + size]) for at in range(0, len(events), size))
    return out + encoder.close()


def read(data: bytes, *, stream: bool, size: int = 1 << 30) -> Told:
    """In pieces of `size` bytes."""
    decoder = CODEC.decoder(stream=stream, target=TARGET)
    events = [event for at in range(0, len(data), size) for event in decoder.feed(data[at : at + size])]
    events += decoder.close()
    assert decoder.finished
    return told(events)


def unowned(reply: Told) -> Told:
    """States as the reader of replies gives them: whose they are is known by who asked."""
    parts = [
        part if part.state is None else replace(part, state=replace(part.state, origin="", id=""))
        for part in reply.parts
    ]
    return Told(parts, reply.usage, reply.reason)


@given(replies(), st.integers(1, 50), st.integers(1, 300))
def test_a_stream_that_is_written_and_read_says_the_same_wherever_it_is_cut(
    events: list[Event], batches: int, size: int
) -> None:
    data = sent(events, stream=True, batches=batches)
    assert unowned(read(data, stream=True, size=size)) == unowned(told(events))


@given(replies(), st.integers(1, 50))
def test_a_body_that_is_written_and_read_says_the_same(events: list[Event], batches: int) -> None:
    assert unowned(read(sent(events, stream=False, batches=batches), stream=False)) == unowned(told(events))


@given(replies())
def test_a_stream_ends_with_what_the_body_would_have_been(events: list[Event]) -> None:
    last = sent(events, stream=True).rstrip(b"\n").split(b"\n\n")[-1]
    final = json.loads(last.split(b"data: ")[1])["response"]
    assert final == json.loads(sent(events, stream=False))


# --- what a client sends again ------------------------------------------------------------------------------------

states = st.none() | st.builds(
    ReasoningState,
    st.sampled_from(["google_signature", "anthropic_signature"]),
    base64,
    st.just("elsewhere/model"),
)


@st.composite
def foreign_replies(draw: st.DrawFn) -> tuple[list[Event], list[Part]]:
    """Of another provider: states on texts, calls and thoughts, that come with their part, or later."""
    events: list[Event] = [Start(id="x", model="m")]
    parts: list[Part] = []
    for index in range(draw(st.integers(1, 5))):
        part: Part = draw(st.one_of(st.builds(Text, words), tool_uses(index), st.builds(Thinking, words)))
        part = replace(part, state=draw(states))
        if isinstance(part, ToolUse):
            part = replace(part, item_id="")
        parts.append(part)
        events += grown(draw, index, part)
    return [*events, Finish(reason="end"), Metered({Unit.INPUT: 1})], parts


@given(foreign_replies(), st.integers(1, 60), st.booleans())
def test_what_a_client_sends_again_is_what_the_provider_had_said(
    reply: tuple[list[Event], list[Part]], batches: int, stream: bool
) -> None:
    events, parts = reply
    data = sent(events, stream=stream, batches=batches, seal=SEALER.seal)
    final = json.loads(data.rstrip(b"\n").split(b"data: ")[-1])["response"] if stream else json.loads(data)
    items = [{"role": "user", "content": "x"}, *final["output"]]
    tools = [
        {"type": "namespace", "name": "space", "description": "", "tools": [{"type": "function", "name": "inner"}]}
    ]
    body = msgspec.json.encode({"model": "m", "input": items, "tools": tools})
    request = CODEC.decode(body, unseal=SEALER.unseal)
    found = [
        replace(part, id="")
        if isinstance(part, Thinking)
        else replace(part, item_id="")
        if isinstance(part, ToolUse)
        else part
        for part in request.messages[1].parts
    ]
    assert found == parts
