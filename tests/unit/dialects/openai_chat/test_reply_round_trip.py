"""Laws 1 and 3 for replies: what Chat can express survives the wire, as a stream cut anywhere and as one body."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyapi.dialects.codec import Asked, TargetModel
from proxyapi.dialects.model import (
    Audio,
    Finish,
    Image,
    Inline,
    Metered,
    PartCitation,
    PartData,
    PartDelta,
    PartEnd,
    PartStart,
    PartState,
    ReasoningState,
    Refusal,
    Request,
    Start,
    Text,
    Thinking,
    ToolUse,
    UrlCitation,
)
from proxyapi.dialects.openai_chat.codec import ChatCodec
from proxyapi.usage import INPUT_TOKENS, OUTPUT_TOKENS, Unit

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=12)
PIECES = st.lists(WORDS, min_size=1, max_size=3)
BASE64 = st.sampled_from(["AAAA", "BBBBCCCC"])
STATES = st.builds(
    ReasoningState,
    st.sampled_from(["anthropic_signature", "anthropic_redacted", "openai_encrypted", "xai_encrypted"]),
    BASE64,
    id=st.sampled_from(["", "rs_1"]),
)
SIGNATURES = st.builds(ReasoningState, st.just("google_signature"), BASE64)
REASONS = st.sampled_from(["end", "length", "tool_use", "content_filter"])
UNITS = sorted(INPUT_TOKENS | OUTPUT_TOKENS | {Unit.WEB_SEARCH, Unit.CODE_SESSION})
USAGES = st.dictionaries(st.sampled_from(UNITS), st.integers(1, 10**6))


@st.composite
def thinking(draw):
    """A thought with its proof, or without; one thought only, since Chat joins them."""
    return (Thinking(), draw(PIECES), (), draw(st.none() | STATES))


@st.composite
def texts(draw):
    pieces = draw(PIECES)
    length = len("".join(pieces))
    starts, ends = st.integers(0, length), st.integers(1, length)
    sources = st.builds(UrlCitation, st.just("https://a.example"), WORDS, starts, ends, st.just("") | WORDS)
    return (Text(""), pieces, tuple(draw(st.lists(sources, max_size=2))), draw(st.none() | SIGNATURES))


@st.composite
def messages(draw):
    """Parts in the order of a message of Chat: part, deltas, citations, state."""
    parts = []
    if draw(st.booleans()):
        parts.append(draw(thinking()))
    if draw(st.booleans()):
        parts.append(draw(texts()))
    for number, name in enumerate(draw(st.lists(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), max_size=3))):
        parts.append((ToolUse(f"call_{number}", name, ""), draw(PIECES), (), draw(st.none() | SIGNATURES)))
    if draw(st.booleans()):
        parts.append((Refusal(""), draw(PIECES), (), None))
    for _ in range(draw(st.integers(0, 2))):
        parts.append((Image(Inline("", "image/png")), draw(st.lists(BASE64, min_size=1, max_size=2)), (), None))
    if draw(st.booleans()):
        parts.append((Audio(Inline("", ""), id="audio_1", expires_at=5), draw(PIECES), (), None))
    return parts, draw(REASONS)


@st.composite
def replies(draw):
    events = [Start(id="chatcmpl-1", model="m", created_at=1_700_000_000)]
    index = 0
    for choice in range(draw(st.integers(1, 2))):
        parts, reason = draw(messages())
        for part, pieces, citations, state in parts:
            events.append(PartStart(index, part, choice))
            if isinstance(part, Image):
                events += [PartData(index, piece) for piece in pieces]
            else:
                events += [PartDelta(index, piece) for piece in pieces]
            events += [PartCitation(index, citation) for citation in citations]
            events += [PartState(index, state)] if state else []
            events.append(PartEnd(index))
            index += 1
        events.append(Finish(reason=reason, choice=choice))
    return [*events, Metered(draw(USAGES))]


def meaning(events):
    """What a reply says, however it was cut into deltas and in whatever order its parts ended."""
    parts, said = {}, {}
    for event in events:
        match event:
            case Start():
                said["id"], said["time"] = event.id, event.created_at
            case PartStart():
                parts[event.index] = [event.choice, event.part, "", "", [], None]
            case PartDelta():
                parts[event.index][2] += event.text
            case PartData():
                parts[event.index][3] += event.data
            case PartCitation():
                parts[event.index][4].append(event.citation)
            case PartState():
                parts[event.index][5] = event.state
            case Finish():
                said[event.choice] = event.reason
            case Metered():
                said["usage"] = {unit: quantity for unit, quantity in event.usage.items() if quantity}
    for choice in {part[0] for part in parts.values()}:
        # A message of Chat has one field for each kind of part.
        said[choice, "parts"] = sorted(
            (part for part in parts.values() if part[0] == choice), key=lambda p: type(p[1]).__name__
        )
    return said


def written(events, *, stream):
    # A state of another maker than this is sealed; here it comes back as it is.
    asked = Asked(request=Request(model="m"), model="m", reply_id="r", created_at=1, seal=lambda state: state.data)
    encoder = ChatCodec().encoder(stream=stream, asked=asked)
    return encoder.feed(events) + encoder.close()


def read(data, *, stream, size):
    decoder = ChatCodec().decoder(stream=stream, target=TargetModel(model="m"))
    events = [event for at in range(0, len(data), size) for event in decoder.feed(data[at : at + size])]
    events += decoder.close()
    assert decoder.finished
    return events


@pytest.mark.parametrize("stream", [True, False])
@given(replies(), st.integers(1, 40))
def test_a_reply_that_chat_can_express_survives_the_wire_wherever_it_is_cut(stream, events, size):
    assert meaning(read(written(events, stream=stream), stream=stream, size=size)) == meaning(events)


@given(replies())
def test_usage_of_a_stream_is_that_of_the_same_answer_as_one_body(events):
    usages = [
        meaning(read(written(events, stream=stream), stream=stream, size=1 << 20))["usage"] for stream in (True, False)
    ]
    assert usages[0] == usages[1] == meaning(events)["usage"]
