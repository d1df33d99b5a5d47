"""Law 1 for requests: what Messages can express is the same after it was written and read again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from proxyapi.dialects.anthropic.codec import AnthropicCodec
from proxyapi.dialects.codec import TargetModel
from proxyapi.dialects.model import (
    CacheMark,
    CacheOptions,
    Compaction,
    Document,
    DocumentCitation,
    FileRef,
    FunctionTool,
    Image,
    Inline,
    JsonSchema,
    Link,
    Mcp,
    Message,
    Native,
    NativeTool,
    Part,
    Reasoning,
    ReasoningState,
    Request,
    Sampling,
    SearchResult,
    ServerToolResult,
    ServerToolUse,
    Text,
    Thinking,
    ToolChange,
    ToolChoice,
    ToolReference,
    ToolResult,
    ToolUse,
    UrlCitation,
    WebSearch,
)
from proxyapi.dialects.quirks import Quirks

LEVELS = ("low", "medium", "high", "xhigh", "max")
# Whatever differs between models, this one takes it all.
TARGET = TargetModel(
    model="m",
    quirks=Quirks(thinking_form="adaptive", efforts=LEVELS, mid_system=True, budget_too=True),
)


def unseal(text: str) -> ReasoningState | None:
    """The proofs that the target made itself, as a gateway knows them: here they say what they are."""
    kind, _, data = text.partition(":")
    return ReasoningState(f"anthropic_{kind}", text) if data else None  # type: ignore[arg-type]


def own(kind: str) -> st.SearchStrategy[ReasoningState]:
    return st.builds(
        lambda text: ReasoningState(f"anthropic_{kind}", f"{kind}:{text}"),  # type: ignore[arg-type]
        st.from_regex(r"[A-Za-z0-9+/]{4,12}", fullmatch=True),
    )


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=12).filter(str.strip)
NAMES = st.from_regex(r"[a-zA-Z0-9_-]{1,12}", fullmatch=True)
MARKS = st.none() | st.builds(CacheMark, st.sampled_from([None, "5m", "1h"]))
SCHEMA = Raw(b'{"type":"object","properties":{"b":{},"a":{}},"required":["b","a"],"additionalProperties":false}')
ARGUMENTS = st.sampled_from(["{}", '{"b": 1.0,  "a": [null]}', '{"a":"\\u00e9"}'])
PNG = Inline("iVBORw0KGgoAAAANSUhEUg==", "image/png")
PDF = Inline("JVBERi0xLjQK", "application/pdf")

URL_CITATIONS = st.builds(UrlCitation, url=WORDS, title=WORDS, quote=WORDS, token=WORDS)
DOCUMENT_CITATIONS = st.builds(
    DocumentCitation,
    unit=st.sampled_from(["char", "page", "block"]),
    index=st.integers(0, 9),
    start=st.integers(0, 9),
    end=st.integers(0, 9),
    quote=WORDS,
    title=st.just("") | WORDS,
)
CITATIONS = st.lists(URL_CITATIONS | DOCUMENT_CITATIONS, max_size=2).map(tuple)
TEXTS = st.builds(Text, text=WORDS, citations=CITATIONS)
PLAIN_TEXTS = st.builds(Text, text=WORDS)
IMAGES = st.builds(Image, st.sampled_from([PNG, Link("https://a.example/x"), FileRef("f")]))
SOURCES = st.sampled_from([PDF, Link("https://a.example/x", "application/pdf")])
FLAGS = st.none() | st.booleans()
DOCUMENTS = st.one_of(
    st.builds(Document, source=SOURCES, title=st.just("") | WORDS, context=st.just("") | WORDS, citations=FLAGS),
    st.builds(Document, source=st.none(), text=WORDS, title=st.just("") | WORDS),
    st.builds(Document, source=st.none(), parts=st.lists(PLAIN_TEXTS, min_size=1, max_size=2).map(tuple)),
)
PASSAGES = st.lists(PLAIN_TEXTS, min_size=1, max_size=2).map(tuple)
SEARCH_RESULTS = st.builds(SearchResult, source=WORDS, title=WORDS, parts=PASSAGES, citations=FLAGS)
UPLOAD = Native("anthropic", "container_upload", Raw(b'{"type":"container_upload","file_id":"f"}'))
THOUGHTS = st.one_of(
    st.builds(Thinking, text=WORDS, state=own("signature")), st.builds(Thinking, state=own("redacted"))
)
SEARCHED = Raw(b'{"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[]}')
HOSTED: tuple[Part, ...] = (
    ServerToolUse("srvtoolu_1", "web_search", "web_search", '{"query": "q"}'),
    ServerToolResult("srvtoolu_1", "web_search", native=SEARCHED),
)
SUMMARY = Compaction("s", native=Raw(b'{"type":"compaction","content":"s"}'))


@st.composite
def turns(draw: st.DrawFn) -> tuple[Message, ...]:
    """User and assistant in turn, every call answered, at most four marks."""
    found: list[Message] = []
    calls: list[ToolUse] = []
    for _ in range(draw(st.integers(1, 3))):
        results = [draw(answers(call)) for call in calls]
        shown = draw(st.lists(TEXTS | IMAGES | DOCUMENTS | SEARCH_RESULTS | st.just(UPLOAD), min_size=1, max_size=3))
        found.append(Message(role="user", parts=(*results, *shown)))
        if draw(st.booleans()):
            found.append(Message(role="system", parts=(draw(st.just(ToolChange(removed=("f",))) | PLAIN_TEXTS),)))
        calls = [
            ToolUse(f"{number}_{len(found)}", draw(NAMES), draw(ARGUMENTS), cache=draw(MARKS))
            for number in range(draw(st.integers(0, 2)))
        ]
        thoughts = draw(st.lists(THOUGHTS, max_size=1))
        hosted = draw(st.sampled_from([(), HOSTED, (SUMMARY,)])) if len(found) < 3 else ()
        found.append(Message(role="assistant", parts=(*thoughts, *hosted, draw(TEXTS), *calls)))
    results = [draw(answers(call)) for call in calls]
    return (*found, Message(role="user", parts=(*results, draw(PLAIN_TEXTS))))


@st.composite
def answers(draw: st.DrawFn, call: ToolUse) -> ToolResult:
    shown = draw(st.lists(PLAIN_TEXTS | IMAGES | DOCUMENTS | SEARCH_RESULTS | st.just(ToolReference("f")), max_size=2))
    return ToolResult(call.id, tuple(shown), name=call.name, is_error=draw(FLAGS), cache=draw(MARKS))


FUNCTIONS = st.builds(
    FunctionTool,
    name=NAMES,
    description=st.just("") | WORDS,
    parameters=st.just(SCHEMA),
    strict=FLAGS,
    defer_loading=FLAGS,
    allowed_callers=st.sampled_from([(), ("direct",)]),
    examples=st.sampled_from([(), (Raw(b'{"b": 1}'),)]),
    stream_arguments_eagerly=FLAGS,
)
SEARCH = Raw(b'{"type":"web_search_20260209","name":"web_search","max_uses":2}')
MEMORY = Raw(b'{"type":"memory_20250818","name":"memory"}')
TOOLSET = Raw(b'{"type":"mcp_toolset","mcp_server_name":"wiki"}')
HOSTED_TOOLS = st.sampled_from([
    WebSearch(wire_type="web_search_20260209", uses_max=2, native=SEARCH),
    NativeTool(kind="memory", dialect="anthropic", wire_type="memory_20250818", body=MEMORY),
    Mcp(label="wiki", url="https://a.example", authorization="t", native=TOOLSET),
])  # fmt: skip
TOOLS = st.lists(FUNCTIONS, min_size=1, max_size=2).flatmap(
    lambda functions: st.lists(HOSTED_TOOLS, max_size=1).map(lambda hosted: (*functions, *hosted))
)
CHOICES = st.none() | st.builds(
    ToolChoice, mode=st.sampled_from(["auto", "required"]), names=st.just(()), parallel=FLAGS
)
SHOWN = st.sampled_from([None, "auto", "none"])
REASONING = st.one_of(
    st.none(),
    st.builds(Reasoning, effort=st.sampled_from(LEVELS), show=SHOWN),
    st.builds(Reasoning, adaptive=st.just(True), show=SHOWN),
    st.builds(Reasoning, budget_tokens=st.integers(1_024, 8_999), show=SHOWN),
)


SAMPLING = st.builds(
    Sampling, temperature=st.none() | st.floats(0, 1), top_p=st.none() | st.just(0.0), top_k=st.none() | st.just(0)
)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    messages = draw(turns())
    reasoning = draw(REASONING)
    if reasoning is not None and reasoning.budget_tokens and isinstance(messages[-1].parts[0], ToolResult):
        # In a turn that goes on with calls, a budget needs thinking that the target made itself.
        reasoning = None
    system = draw(st.lists(st.builds(Text, text=WORDS), max_size=2).map(tuple))
    choice = draw(CHOICES)
    if reasoning is not None and reasoning.budget_tokens and choice is not None and choice.mode == "required":
        choice = None
    return Request(
        model="m",
        system=(Message(role="system", parts=system),) if system else (),
        messages=messages,
        tools=draw(TOOLS),
        tool_choice=choice,
        stream=draw(st.booleans()),
        output_tokens_max=9_000,
        stop=draw(st.lists(WORDS, max_size=2).map(tuple)),
        sampling=Sampling() if reasoning else draw(SAMPLING),
        reasoning=reasoning,
        format=draw(st.none() | st.just(JsonSchema(schema=SCHEMA))),
        cache=CacheOptions(automatic=draw(MARKS)),
        user=draw(st.just("") | WORDS),
        tier=draw(st.sampled_from([None, "auto", "standard", "fast"])),
        container=draw(st.just("") | NAMES),
        extra=draw(st.sampled_from([{}, {"inference_geo": Raw(b'"us"')}])),
    )  # fmt: skip


def marks_of(request: Request) -> int:
    parts = [part for message in request.messages for part in message.parts]
    return sum(part.cache is not None for part in parts) + (request.cache.automatic is not None)


@given(requests().filter(lambda request: marks_of(request) <= 4))
def test_a_request_is_the_same_after_it_was_written_and_read_again(request: Request) -> None:
    codec = AnthropicCodec()
    encoded = codec.encode(request, TARGET)
    again = codec.decode(encoded.body, unseal=unseal)
    assert again == request
    assert encoded.dropped == encoded.approximated == ()
    assert codec.encode(again, TARGET).body == encoded.body
