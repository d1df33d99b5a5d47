"""Law 1 for requests: what Chat can express is the same after it was written and read again."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from proxyapi.dialects.codec import TargetModel, sealed_nothing
from proxyapi.dialects.effort import SCALE
from proxyapi.dialects.model import (
    Audio,
    CacheMark,
    CacheOptions,
    CustomTool,
    Document,
    FileRef,
    FunctionTool,
    Image,
    Inline,
    JsonObject,
    JsonSchema,
    Link,
    Location,
    Message,
    PlainText,
    Reasoning,
    Refusal,
    Request,
    Sampling,
    Storage,
    Text,
    Thinking,
    ToolChoice,
    ToolResult,
    ToolUse,
    Video,
    WebSearch,
)
from proxyapi.dialects.openai_chat.codec import ChatCodec
from proxyapi.dialects.quirks import Quirks

# Whatever differs between speakers, this one takes it all, and wants the thoughts of turns with calls back.
TARGET = TargetModel(
    model="m",
    quirks=Quirks(
        efforts=SCALE,
        cache_mark_field="cache_control",
        file_link_field="document_url",
        web_search=True,
        echo_reasoning=True,
    ),
)
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=20)
# OpenAI refuses JSON formats where nobody speaks of JSON, so somebody does.
NAMES = st.from_regex(r"[a-zA-Z0-9_-]{1,12}", fullmatch=True)
SCHEMA = Raw(b'{"type":"object","properties":{"b":{},"a":{}},"required":["b","a"],"additionalProperties":false}')
MARKS = st.none() | st.builds(CacheMark, st.sampled_from([None, "5m", "1h"]))
PNG = Inline("iVBORw0KGgoAAAANSUhEUg==", "image/png")
LINKS = st.just(Link("https://a.example/x"))


texts = st.builds(Text, text=WORDS)
contents = st.one_of(
    texts,
    st.builds(Image, source=st.just(PNG) | LINKS, detail=st.sampled_from([None, "low", "high"])),
    st.builds(Audio, source=st.just(Inline("UklGRiQAAABXQVZF", "audio/wav"))),
    st.builds(Video, source=LINKS),
    st.builds(Document, source=st.just(Inline("JVBERi0xLjQK", "application/pdf")), title=NAMES),
    st.builds(Document, source=LINKS, title=st.just("") | NAMES),
    st.builds(Document, source=st.builds(FileRef, NAMES)),
)


@st.composite
def turns(draw):
    """One turn of the assistant with its calls, and the user's answer to it."""
    prefix = draw(st.uuids()).hex[:8]
    calls = tuple(
        ToolUse(id=f"{prefix}_{number}", name=name, arguments=draw(st.sampled_from(["{}", '{"a": 1.0}', "half {"])))
        for number, name in enumerate(draw(st.lists(NAMES, max_size=3)))
    )
    said = draw(st.lists(texts, max_size=2))
    refused = draw(st.just(()) | st.builds(Refusal, text=WORDS).map(lambda part: (part,)))
    thought = (Thinking(text=draw(WORDS)),) if calls else ()
    results = tuple(
        ToolResult(tool_use_id=call.id, name=call.name, parts=tuple(draw(st.lists(texts, max_size=2))))
        for call in draw(st.permutations(calls))
    )
    asked = draw(st.lists(contents, min_size=0 if results else 1, max_size=3))
    return (
        Message(role="assistant", parts=(*thought, *said, *refused, *calls)),
        Message(role="user", parts=(*results, *asked)),
    )


@st.composite
def conversations(draw):
    first = Message(role="user", parts=(*draw(st.lists(contents, max_size=3)), Text(text="JSON", cache=draw(MARKS))))
    rest = [message for turn in draw(st.lists(turns(), max_size=3)) for message in turn]
    return (first, *rest)


tools = st.lists(
    st.one_of(
        st.builds(
            FunctionTool,
            name=NAMES,
            description=st.just("") | WORDS,
            parameters=st.just(SCHEMA),
            strict=st.sampled_from([None, True, False]),
            cache=st.none() | st.just(CacheMark("1h")),
        ),
        st.builds(CustomTool, name=NAMES, syntax=st.just("lark"), grammar=WORDS),
        st.builds(
            WebSearch,
            context_size=st.sampled_from([None, "low"]),
            location=st.none() | st.builds(Location, city=WORDS),
        ),
    ),
    max_size=2,
    unique_by=lambda tool: getattr(tool, "name", ""),
).map(lambda found: tuple(sorted(found, key=lambda tool: isinstance(tool, WebSearch))))


def choices(declared):
    """Of the tools that are declared; a search of the provider's own is no choice."""
    names = [tool.name for tool in declared if not isinstance(tool, WebSearch)]
    if not names:
        return st.none()
    parallel = st.sampled_from([None, True, False])
    return st.none() | st.one_of(
        st.builds(ToolChoice, mode=st.sampled_from(["auto", "none", "required"]), parallel=parallel),
        st.builds(ToolChoice, mode=st.just("required"), names=st.sampled_from(names).map(lambda name: (name,))),
        st.builds(ToolChoice, names=st.just(tuple(names))),
    )


NUMBERS = st.none() | st.floats(0, 2)


@st.composite
def requests(draw):
    declared = draw(tools)
    messages = draw(conversations())
    custom = {tool.name for tool in declared if isinstance(tool, CustomTool)}
    called = {part.name for message in messages for part in message.parts if isinstance(part, ToolUse)}
    if custom & called:
        declared = ()
    return Request(
        model="m",
        system=draw(st.just(()) | st.builds(_system, st.lists(WORDS, min_size=1, max_size=3), MARKS)),
        messages=messages,
        tools=declared,
        tool_choice=draw(choices(declared)),
        stream=(stream := draw(st.booleans())),
        stream_usage=True if stream else None,
        output_tokens_max=draw(st.none() | st.integers(1, 10**6)),
        stop=draw(st.lists(WORDS, max_size=4).map(tuple)),
        choices=draw(st.integers(1, 4)),
        sampling=draw(
            st.builds(
                Sampling,
                temperature=NUMBERS,
                top_p=NUMBERS,
                frequency_penalty=NUMBERS,
                presence_penalty=NUMBERS,
                seed=st.none() | st.integers(-(2**40), 2**40),
                logit_bias=st.dictionaries(st.integers(0, 9).map(str), st.floats(-100, 100), max_size=2),
            )
        ),
        logprobs=draw(st.none() | st.integers(0, 20)),
        reasoning=draw(st.none() | st.builds(Reasoning, effort=st.sampled_from(SCALE))),
        format=draw(
            st.none()
            | st.just(PlainText())
            | st.just(JsonObject())
            | st.builds(JsonSchema, schema=st.just(SCHEMA), name=NAMES, strict=st.sampled_from([None, True, False]))
        ),
        verbosity=draw(st.sampled_from([None, "low", "high"])),
        prediction=draw(st.none() | WORDS),
        cache=draw(
            st.builds(
                CacheOptions,
                key=st.just("") | WORDS,
                explicit=st.sampled_from([None, True, False]),
                lifetime=st.sampled_from([None, "30m", "12h", "24h"]),
                automatic=MARKS,
            )
        ),
        storage=Storage(store=True),
        user=draw(st.just("") | NAMES),
        metadata=draw(st.dictionaries(NAMES, WORDS, max_size=2)),
        tier=draw(st.sampled_from([None, "auto", "standard", "flex", "priority", "fast", "scale"])),
    )


def _system(words, mark):
    *first, last = words
    parts = (*(Text(text=word) for word in first), Text(text=last, cache=mark))
    return (Message(role="system", parts=parts),)


@given(requests())
def test_a_request_that_chat_can_express_survives_the_wire(request):
    codec = ChatCodec()
    encoded = codec.encode(request, TARGET)
    assert codec.decode(encoded.body, unseal=sealed_nothing) == request
    assert (encoded.dropped, encoded.approximated) == ((), ())
