"""Law: every canonical request that Gemini can express comes back from its body as it was."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from proxyapi.dialects.codec import TargetModel
from proxyapi.dialects.gemini.codec import GeminiCodec
from proxyapi.dialects.model import (
    Audio,
    CacheOptions,
    Computer,
    Document,
    FileRef,
    FileSearch,
    FunctionTool,
    Image,
    Inline,
    JsonObject,
    JsonSchema,
    Link,
    Mcp,
    Message,
    NativeTool,
    Part,
    PlainText,
    Reasoning,
    ReasoningState,
    Request,
    Sampling,
    ServerToolResult,
    ServerToolUse,
    Text,
    Thinking,
    ToolChoice,
    ToolResult,
    ToolUse,
    Video,
    WebSearch,
)
from proxyapi.dialects.quirks import Quirks

ORIGIN = "google_g3"
FILTERS = Raw(b'[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"BLOCK_ONLY_HIGH"}]')
TARGET = TargetModel(
    model="m",
    origin=ORIGIN,
    quirks=Quirks(
        no_link_media=False,
        display_names=True,
        labels=True,
        thinking_form="level",
        efforts=("minimal", "low", "medium", "high", "xhigh"),
    ),
)


def unseal(text: str) -> ReasoningState | None:
    """Signatures of these tests are the target's own."""
    return ReasoningState("google_signature", text, ORIGIN) if len(text) == 8 and text.startswith("sig") else None


def written(value: Any, indent: int | None) -> Raw:
    return Raw(json.dumps(value, indent=indent, ensure_ascii=False).encode())


def compact(value: Any) -> Raw:
    """What is no data comes back without blanks from a body whose fields had to be spelled anew."""
    return Raw(msgspec.json.encode(value))


texts = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=12)
"""Not blank: such texts are not sent."""
names = st.from_regex(r"[a-z_][a-z0-9_.:-]{0,9}", fullmatch=True)
states = st.none() | st.builds(
    lambda n: ReasoningState("google_signature", f"sig{n:05d}", ORIGIN), st.integers(0, 99_999)
)
indents = st.none() | st.just(1)
objects = st.builds(
    written, st.dictionaries(texts, st.none() | st.booleans() | st.integers() | texts, max_size=3), indents
)
schemas = st.builds(
    lambda keys, indent: written(
        {"type": "object", "properties": {key: {"type": "string", "title": key} for key in keys}}, indent
    ),
    st.lists(names, min_size=1, max_size=3, unique=True),
    indents,
)
data = st.sampled_from(["AAAA", "AAAAAAA=", "////", "QUJD"])
details = st.sampled_from(["low", "medium", "high", "original", None])
seconds = st.none() | st.integers(0, 9_000).map(lambda tenths: tenths / 10)


def sources(*media_types: str) -> st.SearchStrategy[Any]:
    kinds = st.sampled_from(media_types)
    own = st.sampled_from(["gs://bucket/file", "https://generativelanguage.googleapis.com/v1beta/files/a"])
    return (
        st.builds(Inline, data, kinds)
        | st.builds(lambda uri, kind: FileRef(uri, media_type=kind), own, kinds)
        | st.builds(Link, st.just("https://example.com/a"), kinds)
    )


images = st.builds(Image, sources("image/png", "image/webp"), detail=details, state=states)
sounds = st.builds(Audio, sources("audio/wav", "audio/mpeg"), state=states)
films = st.builds(
    Video,
    sources("video/mp4"),
    start_seconds=seconds,
    end_seconds=seconds,
    frames_per_second=seconds,
    detail=details,
    state=states,
)
papers = st.builds(
    Document, sources("application/pdf", "text/csv"), title=st.just("") | texts, detail=details, state=states
)
words = st.builds(Text, texts, state=states)
media = images | sounds | films | papers
proven = states.filter(lambda state: state is not None)
said = (words | media).map(lambda part: msgspec.structs.replace(part, state=None))
"""By a user: only models sign what they say."""
thoughts = st.builds(Thinking, text=texts, state=proven)


@st.composite
def hosted(draw: st.DrawFn) -> tuple[Part, ...]:
    """A call of a tool that Google runs, and its result, as a provider sent them."""
    if draw(st.booleans()):
        outcome = draw(st.sampled_from(["OUTCOME_OK", "OUTCOME_FAILED"]))
        output = draw(texts)
        native = compact({"outcome": outcome, "output": output})
        failed = outcome != "OUTCOME_OK"
        code = json.dumps(draw(texts))
        return (
            ServerToolUse("", "code_execution", "code_execution", f'{{"language":"PYTHON","code":{code}}}'),
            ServerToolResult("", "code_execution", (Text(output),), failed, outcome if failed else "", native),
        )
    native = compact({"id": "t", "toolType": "URL_CONTEXT", "response": {}})
    return (
        ServerToolUse("t", "web_fetch", "URL_CONTEXT", bytes(draw(objects)).decode(), state=draw(states)),
        ServerToolResult("t", "web_fetch", native=native, state=draw(states)),
    )


@st.composite
def results(draw: st.DrawFn, call: ToolUse) -> ToolResult:
    pictures = tuple(draw(st.lists(st.builds(Image, sources("image/png"), detail=details), max_size=1)))
    form = draw(st.sampled_from(["object", "text", "error", "nothing"]))
    if form == "object":
        # Two members: one of a single word would be taken for a wrapping.
        raw = written({"a": draw(texts), "b": 1}, draw(indents))
        content, options = (Text(bytes(raw).decode()),), {"is_object": True}
    elif form == "nothing":
        content, options = (), {}
    else:
        content, options = (Text("It is " + draw(texts)),), {"is_error": True} if form == "error" else {}
    return ToolResult(tool_use_id=call.id, parts=(*content, *pictures), name=call.name, **options)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    """Turns of user and assistant; every call has its result in the next turn."""
    messages = [Message(role="user", parts=tuple(draw(st.lists(said, min_size=1, max_size=3))))]
    made = 0
    for _ in range(draw(st.integers(0, 2))):
        parts: list[Part] = [*draw(st.lists(thoughts, max_size=1)), draw(words | media)]
        parts += draw(hosted()) if draw(st.booleans()) else ()
        calls = []
        for _ in range(draw(st.integers(0, 2))):
            made += 1
            arguments = bytes(draw(objects)).decode()
            calls.append(ToolUse(f"c{made}", draw(names), arguments, state=draw(states)))
        messages.append(Message(role="assistant", parts=(*parts, *calls)))
        answers = [draw(results(call)) for call in draw(st.permutations(calls))]
        more = draw(st.lists(said, min_size=0 if answers else 1, max_size=2))
        messages.append(Message(role="user", parts=(*answers, *more)))
    return tuple(messages)


functions = st.builds(
    FunctionTool,
    name=names,
    description=st.just("") | texts,
    parameters=schemas,
    result=schemas,
    asynchronous=st.none() | st.booleans(),
)
hosted_tools = st.sampled_from(
    [
        WebSearch(wire_type="googleSearch", native=Raw(b"{}")),
        WebSearch(wire_type="enterpriseWebSearch", native=Raw(b"{}")),
        WebSearch(wire_type="googleSearch", blocked_domains=("a.com",), native=Raw(b'{"excludeDomains":["a.com"]}')),
        NativeTool(kind="web_fetch", dialect="gemini", wire_type="urlContext", body=Raw(b"{}")),
        NativeTool(kind="code_execution", dialect="gemini", wire_type="codeExecution", body=Raw(b"{}")),
        NativeTool(kind="maps", dialect="gemini", wire_type="googleMaps", body=Raw(b'{"enableWidget":true}')),
        FileSearch(stores=("s",), results_max=3, native=Raw(b'{"fileSearchStoreNames":["s"],"topK":3}')),
        Computer(wire_type="computerUse", environment="E", native=Raw(b'{"environment":"E"}')),
    ]
)
servers = st.builds(
    lambda label, token: Mcp(
        label=label,
        url="https://m",
        authorization=token,
        native=compact(
            {
                "name": label,
                "streamableHttpTransport": {"url": "https://m"}
                | ({"headers": {"Authorization": f"Bearer {token}"}} if token else {}),
            }
        ),
    ),
    texts,
    st.sampled_from(["", "token"]),
)  # fmt: skip


@st.composite
def toolsets(draw: st.DrawFn) -> tuple[Any, ToolChoice | None]:
    """Functions stand before other tools."""
    declared = draw(st.lists(functions, max_size=3, unique_by=lambda tool: tool.name))
    others = draw(st.lists(hosted_tools, max_size=2) | st.lists(servers, max_size=1))
    if not declared:
        return tuple(others), None
    some = tuple(draw(st.lists(st.sampled_from([tool.name for tool in declared]), unique=True)))
    choice = draw(
        st.none()
        | st.sampled_from([ToolChoice(), ToolChoice(mode="none"), ToolChoice(mode="validated")])
        | st.just(ToolChoice(mode="required", names=some))
    )
    return (*declared, *others), choice


fractions = st.integers(0, 4).map(lambda quarters: quarters / 4)
knobs = st.builds(
    Sampling,
    temperature=st.none() | fractions,
    top_p=st.none() | fractions,
    top_k=st.none() | st.integers(1, 99),
    frequency_penalty=st.none() | fractions,
    presence_penalty=st.none() | fractions,
    seed=st.none() | st.integers(-(2**31), 2**31 - 1),
)
thinking = st.none() | st.builds(
    Reasoning,
    effort=st.sampled_from(["minimal", "low", "medium", "high", "xhigh"]),
    show=st.sampled_from(["none", "auto"]),
)
forms = (
    st.none()
    | st.just(JsonObject())
    | st.just(PlainText())
    | st.builds(JsonSchema, schema=schemas, media_type=st.sampled_from(["application/json", "text/x.enum"]))
)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    tools, choice = draw(toolsets())
    instructions = tuple(Text(text) for text in draw(st.lists(texts, max_size=2)))
    return Request(
        model="m",
        system=(Message(role="system", parts=instructions),) if instructions else (),
        messages=draw(conversations()),
        tools=tools,
        tool_choice=choice,
        stream=draw(st.booleans()),
        output_tokens_max=draw(st.none() | st.integers(1, 99_999)),
        stop=tuple(draw(st.lists(texts, max_size=5))),
        choices=draw(st.integers(1, 8)),
        sampling=draw(knobs),
        logprobs=draw(st.none() | st.integers(0, 20)),
        reasoning=draw(thinking),
        format=draw(forms),
        modalities=draw(st.sampled_from([(), ("audio",), ("text", "image")])),
        media_detail=draw(st.sampled_from([None, "low", "medium", "high"])),
        cache=CacheOptions(content=draw(st.sampled_from(["", "cachedContents/1"]))),
        metadata=draw(st.dictionaries(names, texts, max_size=2)),
        tier=draw(st.sampled_from([None, "flex", "standard", "priority"])),
        extra=draw(st.sampled_from([{}, {"safetySettings": FILTERS, "generationConfig.audioTimestamp": Raw(b"true")}])),
    )


@given(requests())
def test_a_request_comes_back_from_its_body_as_it_was(request: Request) -> None:
    codec = GeminiCodec()
    out = codec.encode(request, TARGET)
    assert (out.dropped, out.approximated, dict(out.rewritten), out.stop) == ((), (), {}, ())
    back = codec.decode(out.body, model="m", stream=request.stream, unseal=unseal)
    extra = {name: raw for name, raw in back.extra.items() if name != "toolConfig.includeServerSideToolInvocations"}
    assert_same(back, request, but="extra")
    assert extra == request.extra


@given(requests())
def test_a_body_in_the_other_spelling_says_the_same(request: Request) -> None:
    codec = GeminiCodec()
    body = codec.encode(request, TARGET).body
    other = body.replace(b'"generationConfig":', b'"generation_config" :').replace(
        b'"maxOutputTokens":', b'"max_output_tokens":'
    )
    for camel, snake in ((b"functionResponse", b"function_response"), (b"inlineData", b"inline_data")):
        other = other.replace(b'"%b":' % camel, b'"%b":' % snake)
    one, two = (codec.decode(text, model="m", stream=False, unseal=unseal) for text in (body, other))
    assert_same(one, two, but="")


def assert_same(one: Request, other: Request, *, but: str) -> None:
    for field in Request.__struct_fields__:
        if field != but:
            assert getattr(one, field) == getattr(other, field), field
