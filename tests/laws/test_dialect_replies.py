"""What must hold for every reply: one meter however it is cut and whether it streams, and bytes that pass unchanged."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from proxyapi.dialects import DIALECTS
from proxyapi.dialects.call import Call, WireName
from proxyapi.dialects.channel import Meter, Passthrough, meter_body
from proxyapi.dialects.frames import FrameDecoder
from proxyapi.dialects.openai_usage import chat_usage, response_usage, token_usage
from proxyapi.dialects.units import wire_object
from proxyapi.usage import INPUT_TOKENS, OUTPUT_TOKENS, Unit

texts = st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=5)
counts = st.integers(0, 1000)
ends = st.sampled_from([b"\n", b"\r\n", b"\r"])


def call_of(name: WireName) -> Call:
    return Call(operation="chat", dialect=name, model="gemini-3", stream=True)


def through(data: st.DataObject, name: WireName, stream: bytes, **options: bool) -> tuple[bytes, Meter]:
    """The stream in pieces of random sizes."""
    call = call_of(name)
    passthrough = Passthrough(DIALECTS[name].decoder(stream=True, call=call), call, **options)
    out, at = b"", 0
    while at < len(stream):
        size = data.draw(st.integers(1, 1 + len(stream) // 3))
        out += passthrough.feed(stream[at : at + size])
        at += size
    return out + passthrough.close(), passthrough.meter


def billed(meter: Meter) -> tuple[Any, ...]:
    """What a bill needs of a reply that reported its usage."""
    return (meter.usage, meter.others, meter.reply_id, meter.model, meter.tier, meter.finished, meter.failed)


def summary(meter: Meter) -> tuple[Any, ...]:
    return (*billed(meter), "".join(meter.texts), meter.choices)


def frames(events: list[dict[str, Any]], *, names: bool) -> bytes:
    return b"".join(
        (b"event: %b\n" % e["type"].encode() if names else b"") + b"data: " + json.dumps(e).encode() + b"\n\n"
        for e in events
    )


def check(data: st.DataObject, name: WireName, stream: bytes, body: dict[str, Any]) -> None:
    stream = stream.replace(b"\n", data.draw(ends))
    out, meter = through(data, name, stream)
    assert out == stream
    dialect, whole = DIALECTS[name], json.dumps(body).encode()
    assert billed(meter) == billed(meter_body(dialect, whole, 200, call_of(name)))
    read_in_full = Passthrough(dialect.decoder(stream=False, call=call_of(name)), call_of(name))
    assert read_in_full.feed(whole) + read_in_full.close() == whole
    assert summary(meter) == summary(read_in_full.meter)


@given(texts, texts, counts, counts, st.booleans(), st.data())
def test_chat_streams_meter_like_bodies(
    thoughts: list[str], words: list[str], prompt: int, output: int, beside: bool, data: st.DataObject
) -> None:
    usage = {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}
    head = {"id": "c", "model": "m"}
    deltas = [{"reasoning": t} for t in thoughts] + [{"content": t} for t in words]
    chunks = [head | {"choices": [{"index": 0, "delta": d}], "usage": None} for d in deltas]
    last = head | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    chunks += [last | {"usage": usage}] if beside else [last, head | {"choices": [], "usage": usage}]
    message = {"content": "".join(words), "reasoning": "".join(thoughts)}
    body = head | {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}
    check(data, "openai_chat", frames(chunks, names=False) + b"data: [DONE]\n\n", body)


@given(texts, texts, counts, counts, counts, st.data())
def test_anthropic_streams_meter_like_bodies(
    thoughts: list[str], words: list[str], prompt: int, cached: int, output: int, data: st.DataObject
) -> None:
    usage = {"input_tokens": prompt, "cache_read_input_tokens": cached, "output_tokens": output}
    head = {"id": "m", "model": "c"}
    wire: list[dict[str, Any]] = [
        {"type": "message_start", "message": head | {"content": [], "usage": usage | {"output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": t}}
            for t in thoughts
        ),
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        *({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": t}} for t in words),
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": output + 1}},
        {"type": "message_stop"},
    ]
    content = [{"type": "thinking", "thinking": "".join(thoughts)}, {"type": "text", "text": "".join(words)}]
    body = head | {"content": content, "stop_reason": "end_turn", "usage": usage | {"output_tokens": output + 1}}
    check(data, "anthropic", frames(wire, names=True), body)


@given(texts, counts, counts, st.booleans(), st.data())
def test_gemini_streams_meter_like_bodies(
    words: list[str], prompt: int, thoughts: int, array: bool, data: st.DataObject
) -> None:
    usage = {"promptTokenCount": prompt, "candidatesTokenCount": 7, "thoughtsTokenCount": thoughts}
    head = {"modelVersion": "g", "responseId": "r"}
    chunks = [
        head | {"candidates": [{"content": {"parts": [{"text": t}]}}], "usageMetadata": {"promptTokenCount": 1}}
        for t in words
    ]
    chunks[-1]["candidates"][0]["finishReason"] = "STOP"
    chunks[-1]["usageMetadata"] = usage
    parts = [{"text": "".join(words)}]
    body = head | {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}], "usageMetadata": usage}
    stream = b"[" + b",\n".join(json.dumps(c).encode() for c in chunks) + b"]\n"
    check(data, "gemini", stream if array else frames(chunks, names=False), body)


@given(texts, counts, counts, st.data())
def test_responses_streams_meter_like_bodies(words: list[str], prompt: int, output: int, data: st.DataObject) -> None:
    usage = {"input_tokens": prompt, "output_tokens": output, "output_tokens_details": {"reasoning_tokens": 3}}
    text = "".join(words)
    item = {"type": "message", "id": "m", "status": "completed", "content": [{"type": "output_text", "text": text}]}
    head = {"id": "r", "model": "g"}
    place = {"output_index": 0, "content_index": 0}
    body = head | {"status": "completed", "output": [item], "usage": usage}
    wire: list[dict[str, Any]] = [
        {"type": "response.created", "response": head | {"status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": item | {"content": []}},
        {"type": "response.content_part.added", **place, "part": {"type": "output_text", "text": ""}},
        *({"type": "response.output_text.delta", **place, "delta": t} for t in words),
        {"type": "response.content_part.done", **place, "part": {}},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": body},
    ]
    check(data, "openai_responses", frames(wire, names=True), body)


blocks = st.lists(
    st.sampled_from(
        [
            b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}',
            b": ping",
            b"data: [DONE]",
            b"event: x\ndata: {",
            b'data:{"choices": [ ], "usage": null}',
            b"data: \xff",
            b"x",
            b"",
            b'{"choices":[],"usage":7}',
        ]
    )
    | st.binary(max_size=12),
    max_size=8,
)


@given(blocks, ends, st.sampled_from(sorted(DIALECTS)), st.booleans(), st.data())
def test_bytes_pass_unchanged_where_nothing_is_stripped(
    given_blocks: list[bytes], end: bytes, name: WireName, strip: bool, data: st.DataObject
) -> None:
    stream = b"".join(block.replace(b"\n", end) + end + end for block in given_blocks)
    assert through(data, name, stream, strip_usage=strip)[0] == stream


@given(st.integers(0, 4), st.integers(0, 4), st.sampled_from([b"\n", b"\r\n"]), st.data())
def test_stripping_takes_the_usage_frame_and_not_a_byte_more(
    before: int, after: int, end: bytes, data: st.DataObject
) -> None:
    other = b'data: {"choices":[{"index":0,"delta":{"content":"\xd0\xb0"}}]}' + end + end
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}' + end + end
    stream = other * before + usage + other * after + b"data: [DONE]" + end + end
    out, meter = through(data, "openai_chat", stream, strip_usage=True)
    assert out == other * (before + after) + b"data: [DONE]" + end + end
    assert meter.usage is not None


lines = st.sampled_from([b"data: a", b"data:b", b"data", b": c", b"event: e", b"event:", b"id: 1", b"", b"", b"x"])


def plain(text: bytes) -> list[tuple[str, bytes]]:
    """The standard's algorithm, line by line."""
    found, event, data = [], "", []
    for line in [*re.split(rb"\r\n|\n|\r", text), b""]:
        if line:
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if name == b"data":
                data.append(value)
            elif name == b"event":
                event = value.decode()
            continue
        if data:
            found.append((event, b"\n".join(data)))
        event, data = "", []
    return [frame for frame in found if frame[1]]


@given(st.lists(st.tuples(lines, ends), max_size=15), st.data())
def test_frames_are_those_of_the_standard_however_they_are_cut(
    given_lines: list[tuple[bytes, bytes]], data: st.DataObject
) -> None:
    text = b"".join(line + end for line, end in given_lines)
    decoder, found, at = FrameDecoder(), [], 0
    while at < len(text):
        size = data.draw(st.integers(1, 5))
        found += decoder.feed(text[at : at + size])
        at += size
    found += decoder.close()
    assert [(frame.event, frame.data) for frame in found if frame.data] == plain(text)


numbers = st.integers(-5, 1000) | st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=2)


@given(
    counts,
    counts,
    st.dictionaries(st.sampled_from(["cached_tokens", "audio_tokens", "image_tokens", "cache_write_tokens"]), numbers),
    st.dictionaries(st.sampled_from(["reasoning_tokens", "audio_tokens", "image_tokens"]), numbers),
)
def test_units_are_never_negative_and_add_up_to_the_totals(
    prompt: int, output: int, into: dict[str, Any], out: dict[str, Any]
) -> None:
    units = token_usage(
        {
            "prompt_tokens": prompt,
            "completion_tokens": output,
            "prompt_tokens_details": into,
            "completion_tokens_details": out,
        }
    )
    assert all(quantity >= 0 for quantity in units.values())
    assert sum(units.get(unit, 0) for unit in OUTPUT_TOKENS) == output
    total = sum(units.get(unit, 0) for unit in INPUT_TOKENS)
    assert total == prompt or units[Unit.CACHE_READ] == total - prompt


usual = st.integers(0, 1000)
unusual = usual | numbers | st.booleans()


def details(names: list[str]) -> st.SearchStrategy[Any]:
    return st.none() | st.dictionaries(st.sampled_from(names), usual) | st.dictionaries(st.sampled_from(names), unusual)


@given(
    st.fixed_dictionaries(
        {"prompt_tokens": usual, "completion_tokens": usual},
        optional={
            "total_tokens": usual | st.just(2000),
            "cost": numbers,
            "prompt_cache_hit_tokens": usual,
            "prompt_tokens_details": details(["cached_tokens", "audio_tokens", "image_tokens", "cache_write_tokens"]),
            "completion_tokens_details": details(["reasoning_tokens", "audio_tokens", "image_tokens", "other"]),
        },
    ),
    st.booleans(),
)
def test_the_short_way_to_a_usage_finds_what_the_long_one_finds(usage: dict[str, Any], response: bool) -> None:
    if response:
        names = {"prompt": "input", "completion": "output"}
        usage = {re.sub("^(prompt|completion)(?=_tok)", lambda m: names[m[0]], name): n for name, n in usage.items()}
    raw = Raw(json.dumps(usage).encode())
    wire = wire_object(raw)
    assert wire is not None
    assert (response_usage if response else chat_usage)(raw) == token_usage(wire)


@given(
    st.fixed_dictionaries(
        {"input_tokens": usual, "output_tokens": usual},
        optional={
            "cache_creation_input_tokens": usual | numbers,
            "cache_read_input_tokens": usual | numbers,
            "cache_creation": details(["ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"]),
            "service_tier": st.sampled_from(["standard", "priority", None]),
            "server_tool_use": st.none(),
            "output_tokens_details": details(["thinking_tokens"]),
        },
    ),
)
def test_a_reported_message_is_metered_like_one_that_is_read_in_full(usage: dict[str, Any]) -> None:
    body = {"id": "m", "type": "message", "model": "c", "content": [], "stop_reason": "end_turn", "usage": usage}
    check_report("anthropic", body)


@given(
    st.fixed_dictionaries(
        {"promptTokenCount": usual, "totalTokenCount": usual},
        optional={
            "candidatesTokenCount": usual | numbers,
            "thoughtsTokenCount": usual,
            "cachedContentTokenCount": usual,
            "serviceTier": st.just("standard"),
            "toolUsePromptTokenCount": usual,
            "promptTokensDetails": st.lists(
                st.builds(
                    lambda kind, n: {"modality": kind, "tokenCount": n},
                    st.sampled_from(["TEXT", "AUDIO", "IMAGE", "DOCUMENT"]),
                    usual,
                ),
                max_size=2,
            ),
        },
    ),
    st.booleans(),
)
def test_a_reported_generation_is_metered_like_one_that_is_read_in_full(usage: dict[str, Any], searched: bool) -> None:
    candidate: dict[str, Any] = {"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP", "index": 0}
    if searched:
        candidate["groundingMetadata"] = {"webSearchQueries": ["a", "b"]}
    check_report("gemini", {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "g", "responseId": "r"})


def check_report(name: WireName, body: dict[str, Any]) -> None:
    text = json.dumps(body).encode()
    call = call_of(name)
    in_full = Passthrough(DIALECTS[name].decoder(stream=False, call=call), call)
    assert in_full.feed(text) + in_full.close() == text
    assert billed(meter_body(DIALECTS[name], text, 200, call)) == billed(in_full.meter)
