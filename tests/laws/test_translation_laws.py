"""Whatever a provider of any dialect answers, a client of any other reads all of it: every text, call and number."""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxyapi.dialects.channel import Meter
from proxyapi.dialects.codec import Asked, Encoded, TargetModel
from proxyapi.dialects.codecs import CODECS
from proxyapi.dialects.model import (
    Event,
    Failed,
    Finish,
    FunctionTool,
    Metered,
    PartDelta,
    PartEnd,
    PartStart,
    Request,
    Start,
    StopReason,
    Text,
    Thinking,
    ToolUse,
)
from proxyapi.dialects.reshape import Reshape
from proxyapi.dialects.state import Sealer
from proxyapi.dialects.translation import Translation
from proxyapi.usage import Unit, Usage

LINEAR = frozenset({"anthropic", "gemini"})
DIALECTS = sorted(CODECS)
PAIRS = [(client, provider) for client in DIALECTS for provider in DIALECTS if client != provider]
NAMES = ("look", "write_file")

texts = st.text(min_size=1, max_size=8).filter(str.strip)
pieces = st.lists(texts, min_size=1, max_size=3)
arguments = st.sampled_from(["{}", '{"a":1}', '{"b": [1, {"c": "ключ"}], "a": "\\u0001 \\"x\\""}'])


class Answer(NamedTuple):
    """What a model said, without how it was cut."""

    thoughts: str
    text: str
    calls: tuple[tuple[str, str], ...]
    reason: StopReason
    usage: Usage


@st.composite
def usages(draw: Any) -> Usage:
    units = (Unit.INPUT, Unit.CACHE_READ, Unit.OUTPUT, Unit.REASONING)
    found = {unit: draw(st.integers(0, 5_000)) for unit in units}
    return {unit: quantity for unit, quantity in found.items() if quantity or unit in (Unit.INPUT, Unit.OUTPUT)}


@st.composite
def replies(draw: Any) -> tuple[list[Event], Answer]:
    """A reply as its events: thoughts, then text, then calls, each in pieces."""
    events: list[Event] = [Start(id="reply-1", model="m", created_at=1)]
    thoughts, said, calls = "", "", []
    for index, kind in enumerate(draw(st.sampled_from(["x", "tx", "c", "xc", "tc", "txc", "txcc", "cc"]))):
        if kind == "c":
            name, text = draw(st.sampled_from(NAMES)), draw(arguments)
            calls.append((name, text))
            part: Any = ToolUse(f"call_{index}", name, "")
            cut = draw(st.integers(1, len(text)))
            deltas = [piece for piece in (text[:cut], text[cut:]) if piece]
        else:
            deltas = draw(pieces)
            part = Thinking() if kind == "t" else Text("")
            thoughts += "".join(deltas) if kind == "t" else ""
            said += "".join(deltas) if kind == "x" else ""
        events += [PartStart(index, part), *(PartDelta(index, delta) for delta in deltas), PartEnd(index)]
    reason: StopReason = "tool_use" if calls else draw(st.sampled_from(["end", "length"]))
    usage = draw(usages())
    return [*events, Metered(usage), Finish(reason=reason)], Answer(thoughts, said, tuple(calls), reason, usage)


def asked(stream: bool) -> Asked:
    tools = tuple(FunctionTool(name=name) for name in NAMES)
    request = Request(model="m", stream=stream, stream_usage=True, tools=tools)
    return Asked(request=request, model="m", reply_id="R1", created_at=1, seal=Sealer(b"key").seal)


def written(dialect: str, events: list[Event], *, stream: bool) -> bytes:
    """The reply as a provider of the dialect sends it."""
    encoder = CODECS[dialect].encoder(stream=stream, asked=asked(stream))
    return encoder.feed(events) + encoder.close()


def read(dialect: str, data: bytes, *, stream: bool) -> Answer:
    """What a client of the dialect makes of it."""
    decoder = CODECS[dialect].decoder(stream=stream, target=TargetModel(model="m"))
    thoughts, said, reason = "", "", "other"
    usage: Usage = {}
    kinds: dict[int, Any] = {}
    calls: dict[int, list[str]] = {}
    for event in [*decoder.feed(data), *decoder.close()]:
        match event:
            case PartStart(index, part):
                kinds[index] = part
                if isinstance(part, ToolUse):
                    calls[index] = [part.name, part.arguments]
                elif isinstance(part, Thinking):
                    thoughts += part.text
            case PartDelta(index, text) if isinstance(kinds[index], ToolUse):
                calls[index][1] += text
            case PartDelta(index, text) if isinstance(kinds[index], Thinking):
                thoughts += text
            case PartDelta(index, text):
                said += text
            case Finish():
                reason = event.reason
            case Metered():
                usage = event.usage
            case Failed():
                raise AssertionError(event)
            case _:
                # Summaries are thoughts that are shown.
                thoughts += getattr(event, "text", "") if type(event).__name__ == "PartSummary" else ""
    assert decoder.finished
    told = tuple((name, text) for name, text in calls.values())
    return Answer(thoughts, said, told, reason if not told else "tool_use", usage)  # type: ignore[arg-type]


def translated(client: str, provider: str, data: bytes, cut: int, *, sent: bool, wanted: bool) -> tuple[bytes, Meter]:
    """`sent`, `wanted`: whether the provider sends, and the client wants, a stream."""
    meter, told = Meter(), asked(wanted)
    channel = Translation(
        CODECS[provider].decoder(stream=sent, target=TargetModel(model="m")),
        Reshape(told.request, Encoded(body=b""), reply_id="R2", origin="o", provider="P", linear=client in LINEAR),
        CODECS[client].encoder(stream=wanted, asked=told),
        meter,
        whole=not sent,
        stream=wanted,
        count=lambda _meter: {},
        request_id="q",
    )
    out = b"".join(channel.feed(data[at : at + cut]) for at in range(0, len(data), cut)) + channel.close()
    assert channel.failed is None
    return out, meter


def tokens(usage: Usage) -> dict[Unit, int]:
    return {unit: quantity for unit, quantity in usage.items() if quantity}


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    reply=replies(),
    pair=st.sampled_from(PAIRS),
    cut=st.integers(1, 400),
    sent=st.booleans(),
    wanted=st.booleans(),
)
def test_nothing_is_lost_between_any_two_dialects(
    reply: tuple[list[Event], Answer], pair: tuple[str, str], cut: int, sent: bool, wanted: bool
) -> None:
    (events, answer), (client, provider) = reply, pair
    out, meter = translated(client, provider, written(provider, events, stream=sent), cut, sent=sent, wanted=wanted)
    found = read(client, out, stream=wanted)
    assert found.text == answer.text
    assert found.thoughts == answer.thoughts
    assert found.calls == answer.calls
    assert found.reason == answer.reason
    assert tokens(found.usage) == tokens(answer.usage)
    assert meter.usage is not None
    assert tokens(meter.usage) == tokens(answer.usage)
