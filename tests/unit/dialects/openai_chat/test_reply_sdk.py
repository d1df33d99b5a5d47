"""OpenAI's own client reads what we write: every kind of chunk through its helper of streams, and the body."""

import json

import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from proxyapi.dialects.codec import Asked
from proxyapi.dialects.model import (
    Audio,
    Finish,
    Image,
    Inline,
    KeepAlive,
    Metered,
    PartCitation,
    PartData,
    PartDelta,
    PartEnd,
    PartStart,
    PartState,
    PartSummary,
    ReasoningState,
    Refusal,
    Request,
    ServerToolResult,
    ServerToolUse,
    Start,
    Text,
    Thinking,
    TokenLogprob,
    ToolUse,
    UrlCitation,
)
from proxyapi.dialects.openai_chat.codec import ChatCodec
from proxyapi.usage import Unit

OPENAI = ReasoningState("openai_encrypted", "AAAA", id="rs_1")
GOOGLE = ReasoningState("google_signature", "BBBB")
ANTHROPIC = ReasoningState("anthropic_signature", "CCCC")
EVENTS = [
    Start(id="resp_1", model="m"),
    PartStart(0, Thinking()),
    PartSummary(0, 0, "First."),
    PartState(0, OPENAI),
    PartEnd(0),
    PartStart(1, Thinking()),
    PartDelta(1, "Then."),
    PartState(1, ANTHROPIC),
    PartEnd(1),
    KeepAlive(),
    PartStart(2, Text("")),
    PartDelta(2, "It ", (TokenLogprob("It ", -0.1, (73, 116, 32)),)),
    PartDelta(2, "rains.", (TokenLogprob("rains.", -0.2),)),
    PartCitation(2, UrlCitation("https://a.example", "A", 0, 2)),
    PartCitation(2, UrlCitation("https://b.example", "B")),
    PartState(2, GOOGLE),
    PartEnd(2),
    PartStart(3, ServerToolUse(id="s", kind="code_execution", name="python", arguments='{"code":"1"}')),
    PartEnd(3, ServerToolResult(tool_use_id="s", kind="code_execution", parts=(Text(text="1"),))),
    PartStart(4, Image(Inline("", "image/png"))),
    PartData(4, "AAAA"),
    PartEnd(4),
    PartStart(5, Image(Inline("", "image/png"))),
    PartData(5, "BBBB"),
    PartEnd(5),
    PartStart(6, ToolUse("call_1", "f", "")),
    PartStart(7, ToolUse("call_2", "c", "", "custom")),
    PartDelta(7, "ls"),
    PartDelta(6, '{"x":'),
    PartDelta(6, "1}"),
    PartState(6, GOOGLE),
    PartEnd(7),
    PartEnd(6),
    PartStart(8, Refusal("")),
    PartDelta(8, "No more."),
    PartEnd(8),
    PartStart(9, Audio(Inline("", ""), id="audio_1", expires_at=5)),
    PartData(9, "AAAA"),
    PartDelta(9, "Hi"),
    PartEnd(9),
    Finish(reason="tool_use", native="tool_use"),
    Metered({Unit.INPUT: 3, Unit.CACHE_READ: 2, Unit.OUTPUT: 1}),
]


def written(*, stream):
    asked = Asked(
        request=Request(model="m"),
        model="m",
        reply_id="r",
        created_at=1,
        seal=lambda state: f"gw1.{state.data}",
        cost=lambda usage: "0.145",
        currency="RUB",
    )
    encoder = ChatCodec().encoder(stream=stream, asked=asked)
    return encoder.feed(EVENTS) + encoder.close()


@pytest.fixture
def whole():
    return ChatCompletion.model_validate_json(written(stream=False), strict=False)


@pytest.fixture
def folded():
    """What the helper makes of the chunks."""
    state = ChatCompletionStreamState()
    for frame in written(stream=True).decode().split("\n\n"):
        if frame.startswith("data: {"):
            state.handle_chunk(ChatCompletionChunk.model_validate(json.loads(frame[6:]), strict=False))
    return state.get_final_completion()


def test_the_body_is_valid_to_the_types_of_the_sdk(whole):
    message = whole.choices[0].message
    assert message.content.startswith("It rains.\n\nRan:")
    assert [call.type for call in message.tool_calls] == ["function", "custom"]
    assert (whole.usage.prompt_tokens, whole.usage.prompt_tokens_details.cached_tokens) == (5, 2)
    assert message.audio.transcript == "Hi"
    assert message.annotations[0].url_citation.end_index == 2


def test_the_helper_folds_the_stream_to_what_the_body_says(whole, folded):
    one, other = whole.choices[0], folded.choices[0]
    assert (one.finish_reason, one.message.content) == (other.finish_reason, other.message.content)
    assert one.message.refusal == other.message.refusal
    assert one.message.reasoning_content == other.message.reasoning_content == "First.\n\nThen."
    assert [call.id for call in one.message.tool_calls] == [call.id for call in other.message.tool_calls]
    assert [call.function.arguments for call in other.message.tool_calls] == ['{"x":1}', "ls"]
    assert one.logprobs.content == other.logprobs.content
    assert whole.usage == folded.usage


def test_what_the_client_has_to_echo_comes_through_the_helper_whole(whole, folded):
    one, other = (reply.choices[0].message for reply in (whole, folded))
    assert other.reasoning_details == one.reasoning_details
    assert [detail.get("data") or detail.get("signature") for detail in one.reasoning_details] == [
        None,
        "gw1.AAAA",
        "gw1.CCCC",
    ]
    assert other.extra_content == one.extra_content == {"google": {"thought_signature": "gw1.BBBB"}}
    assert other.tool_calls[0].model_extra["extra_content"] == one.tool_calls[0].model_extra["extra_content"]


def test_pictures_and_citations_come_through_the_helper_in_order(folded):
    message = folded.choices[0].message
    assert [image["image_url"]["url"][-4:] for image in message.images] == ["AAAA", "BBBB"]
    assert [note.url_citation.url[8] for note in message.annotations] == ["a", "b"]
