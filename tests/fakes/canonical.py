"""Canonical requests and replies, made at random: what every dialect can express of what all of them share."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from hypothesis import strategies as st
from msgspec import Raw

from proxyapi.dialects.codec import Asked, TargetModel
from proxyapi.dialects.codecs import CODECS
from proxyapi.dialects.model import (
    Document,
    Event,
    Finish,
    FunctionTool,
    Image,
    Inline,
    JsonSchema,
    Link,
    Message,
    Metered,
    Part,
    PartCitation,
    PartData,
    PartDelta,
    PartEnd,
    PartStart,
    PartState,
    PartSummary,
    Reasoning,
    ReasoningState,
    Request,
    Sampling,
    Start,
    StateKind,
    StopReason,
    Storage,
    Text,
    Thinking,
    ToolChoice,
    ToolResult,
    ToolUse,
    UrlCitation,
)
from proxyapi.dialects.quirks import Quirks
from proxyapi.usage import INPUT_TOKENS, OUTPUT_TOKENS, Unit

ORIGIN = "maker_family"
EFFORTS: Any = ("low", "medium", "high")
OPEN: dict[str, Quirks] = {
    "openai_chat": Quirks(efforts=EFFORTS),
    "openai_responses": Quirks(efforts=EFFORTS),
    "anthropic": Quirks(thinking_form="adaptive", efforts=EFFORTS, mid_system=True),
    "gemini": Quirks(thinking_form="level", efforts=EFFORTS, no_link_media=False, display_names=True),
}
"""Of models that take all that their dialect has."""
SCHEMA = Raw(b'{"type":"object", "properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}')
ENCRYPTED = "reasoning.encrypted_content"


class Can(NamedTuple):
    """What of the shared things a dialect can express."""

    mid_system: bool = True
    """Instructions in the middle of a conversation."""
    free_order: bool = True
    """An assistant's texts and calls in any order."""
    joins_texts: bool = False
    """Texts of an assistant that follow each other are one."""
    result_pictures: bool = True
    """Pictures in results of tools."""
    result_texts: int = 2
    """How many texts a result has."""
    errors: tuple[bool | None, ...] = (None,)
    """What a result may say of its failure."""
    stops: int = 4
    choices: bool = False
    parallel: bool = True
    strict: tuple[bool | None, ...] = (None, True, False)
    penalties: bool = False
    user: bool = True
    show: Literal["auto"] | None = None
    """What is said of thoughts, where efforts are."""
    link_type: str = ""
    """Media type of a picture that is told by its address."""


CAN: dict[str, Can] = {
    "openai_chat": Can(free_order=False, result_pictures=False, choices=True, penalties=True),
    "openai_responses": Can(stops=0, strict=(True, False)),
    "anthropic": Can(errors=(None, True, False)),
    "gemini": Can(
        mid_system=False, joins_texts=True, result_texts=1, errors=(None, True), stops=5, choices=True, parallel=False,
        strict=(None,),
        penalties=True, user=False, show="auto", link_type="image/png",
    ),
}  # fmt: skip


# --- conversations ------------------------------------------------------------------------------------------------

PIECES = st.text(st.sampled_from('aé日🙂 "\\<&{}\n\t'), max_size=6)
MARK = re.compile(r"(?:say|out|arg|pic|doc|ttl|dsc|stp)\d{4}")
"""Every thing that has to arrive carries one of its own, wherever it is wrapped in."""


class Maker:
    """Things that are each known by their mark."""

    def __init__(self, draw: st.DrawFn, can: Can) -> None:
        self.draw = draw
        self.can = can
        self._count = 0

    def mark(self, kind: str) -> str:
        self._count += 1
        return f"{kind}{self._count:04d}"

    def text(self, kind: str = "say") -> Text:
        return Text(f"{self.mark(kind)}{self.draw(PIECES)}.")

    def picture(self) -> Image:
        mark = self.mark("pic")
        if self.draw(st.booleans()):
            return Image(Inline(f"{mark}A", "image/png"))
        return Image(Link(f"https://a.example/{mark}.png", self.can.link_type))

    def content(self) -> Part:
        kind = self.draw(st.sampled_from(["text", "text", "picture", "document"]))
        if kind == "text":
            return self.text()
        if kind == "picture":
            return self.picture()
        return Document(Inline(f"{self.mark('doc')}A", "application/pdf"), title=self.mark("ttl"))

    def contents(self, least: int) -> list[Part]:
        return [self.content() for _ in range(self.draw(st.integers(least, 3)))]

    def call(self, names: list[str]) -> ToolUse:
        arguments = f'{{ "a":"{self.mark("arg")}", "b": [1.0, null]}}'
        return ToolUse(self.mark("call_"), self.draw(st.sampled_from(names)), arguments)

    def result(self, call: ToolUse) -> ToolResult:
        texts: list[Any] = [self.text("out") for _ in range(self.draw(st.integers(1, self.can.result_texts)))]
        pictures = [self.picture()] if self.can.result_pictures and self.draw(st.booleans()) else []
        failed = self.draw(st.sampled_from(self.can.errors))
        return ToolResult(call.id, (*texts, *pictures), name=call.name, is_error=failed)

    def said(self, names: list[str]) -> tuple[Part, ...]:
        """By the assistant."""
        texts = [self.text() for _ in range(self.draw(st.integers(0, 2)))]
        calls = [self.call(names) for _ in range(self.draw(st.integers(0 if texts else 1, 3)))]
        parts: list[Part] = [*texts, *calls]
        parts = self.draw(st.permutations(parts)) if self.can.free_order else parts
        if self.can.joins_texts:
            parts = [p for p, before in zip(parts, [None, *parts], strict=False) if not _are_texts(p, before)]
        return tuple(parts)


def _are_texts(*parts: Part | None) -> bool:
    return all(isinstance(part, Text) for part in parts)


@st.composite
def requests(draw: st.DrawFn, dialect: str) -> Request:
    """What the dialect can express, in normal form."""
    can = CAN[dialect]
    make = Maker(draw, can)
    tools = [_tool(draw, make) for _ in range(draw(st.integers(1, 2)))]
    names = [tool.name for tool in tools]
    system = tuple(make.text() for _ in range(draw(st.integers(0, 2))))
    messages = [Message(role="user", parts=tuple(make.contents(1)))]
    for _ in range(draw(st.integers(0, 3))):
        if can.mid_system and draw(st.booleans()):
            messages.append(Message(role="system", parts=(make.text(),)))
        said = make.said(names)
        messages.append(Message(role="assistant", parts=said))
        results = [make.result(part) for part in said if isinstance(part, ToolUse)]
        parts = (*results, *make.contents(0 if results else 1))
        messages.append(Message(role="user", parts=parts))
    reasoning = draw(st.none() | st.builds(Reasoning, effort=st.sampled_from(EFFORTS), show=st.just(can.show)))
    stream = draw(st.booleans())
    is_responses, is_chat = dialect == "openai_responses", dialect == "openai_chat"
    return Request(
        model="m",
        system=(Message(role="system", parts=system),) if system else (),
        messages=tuple(messages),
        tools=tuple(tools),
        tool_choice=_choice(draw, can, names),
        stream=stream,
        stream_usage=True if stream and is_chat else None,
        output_tokens_max=draw(st.integers(16, 9_000)),
        stop=tuple(make.mark("stp") for _ in range(draw(st.integers(0, can.stops)))),
        choices=draw(st.integers(1, 3)) if can.choices else 1,
        # A model that thinks takes no knobs in Messages.
        sampling=Sampling() if reasoning else _sampling(draw, can),
        reasoning=reasoning,
        format=draw(st.none() | st.just(JsonSchema(schema=SCHEMA))),
        user=draw(st.sampled_from(["", "someone"])) if can.user else "",
        storage=Storage(store=False) if is_responses else Storage(),
        include=(ENCRYPTED,) if is_responses else (),
    )


def _tool(draw: st.DrawFn, make: Maker) -> FunctionTool:
    name, strict = make.mark("tool_"), draw(st.sampled_from(make.can.strict))
    return FunctionTool(name=name, description=make.text("dsc").text, parameters=SCHEMA, strict=strict)


def _choice(draw: st.DrawFn, can: Can, names: list[str]) -> ToolChoice | None:
    mode: Any = draw(st.sampled_from([None, "auto", "none", "required", "one"]))
    if mode is None:
        return None
    parallel = draw(st.sampled_from([None, True, False])) if can.parallel and mode != "none" else None
    forced = (draw(st.sampled_from(names)),) if mode == "one" else ()
    return ToolChoice(mode="required" if forced else mode, names=forced, parallel=parallel)


def _sampling(draw: st.DrawFn, can: Can) -> Sampling:
    knob = st.none() | st.sampled_from([0.0, 0.25, 1.0])
    penalty = knob if can.penalties else st.none()
    return Sampling(
        temperature=draw(knob), top_p=draw(knob), frequency_penalty=draw(penalty), presence_penalty=draw(penalty)
    )


def targeted(dialect: str) -> TargetModel:
    return TargetModel(model="m", quirks=OPEN[dialect], origin=ORIGIN)


# --- replies ------------------------------------------------------------------------------------------------------


class Says(NamedTuple):
    """What of the shared things a reply of the dialect can hold."""

    state: StateKind
    """Of its own proofs."""
    signs: tuple[type[Part], ...]
    """Parts that they hang on."""
    free_order: bool = True
    """Texts, thoughts and calls in any order, and several of each."""
    summaries: bool = False
    """Thoughts are told by summaries."""
    redacts: bool = False
    """Some thoughts are nothing but a proof."""
    pictures: bool = True
    choices: bool = False
    spans: bool = True
    """Sources are of a span of the text; else of all of it."""
    sources_last: bool = False
    """Sources come at the end of the answer, so that they are of its last text, if nothing follows that."""
    reasons: tuple[StopReason, ...] = ("end", "length", "content_filter")


SAYS: dict[str, Says] = {
    "openai_chat": Says("google_signature", (ToolUse, Text), free_order=False, choices=True),
    "openai_responses": Says("openai_encrypted", (Thinking,), summaries=True),
    "anthropic": Says(
        "anthropic_signature",
        (Thinking,),
        redacts=True,
        pictures=False,
        spans=False,
        reasons=("end", "length", "refusal"),
    ),
    "gemini": Says("google_signature", (ToolUse, Text), choices=True, sources_last=True),
}
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), min_size=1, max_size=10)
UNITS = sorted(INPUT_TOKENS | OUTPUT_TOKENS | {Unit.WEB_SEARCH})
USAGES = st.dictionaries(st.sampled_from(UNITS), st.integers(1, 10**6), max_size=6)


class Speaker:
    """The events of one reply as they grow."""

    def __init__(self, draw: st.DrawFn, says: Says, *, draws: bool) -> None:
        """`draws`: there are pictures."""
        self.draw = draw
        self.says = says
        self._draws = draws and says.pictures
        self.events: list[Event] = [Start(id="reply_1", model="m", created_at=1)]
        self._parts = 0
        self._proves = draw(st.booleans())
        """Thoughts have proofs: all of a reply, or none."""

    def part(self, part: Part, choice: int, after: list[str]) -> None:
        """`after`: kinds of the parts that follow."""
        index, self._parts = self._parts, self._parts + 1
        draw, events = self.draw, self.events
        events.append(PartStart(index, part, choice))
        match part:
            case Image():
                events.append(PartData(index, f"{index:04d}{'A' * 8}"))
            case Thinking() if part.state is not None:
                pass
            case Thinking() if self.says.summaries:
                events += [PartSummary(index, number, draw(WORDS)) for number in range(draw(st.integers(1, 2)))]
            case ToolUse():
                text = f'{{"a": {json.dumps(draw(WORDS), ensure_ascii=False)},"b":[1.0]}}'
                cut = draw(st.integers(0, len(text)))
                events += [PartDelta(index, piece) for piece in (text[:cut], text[cut:]) if piece]
            case _:
                words = [f"{index}:", *draw(st.lists(WORDS, max_size=3))]
                events += [PartDelta(index, piece) for piece in words]
                if isinstance(part, Text) and not (after and self.says.sources_last):
                    events += self._sources(index, len("".join(words)))
        # Of several texts the last one is signed.
        proves = self._proves if isinstance(part, Thinking) else draw(st.booleans())
        if (
            part.state is None
            and proves
            and isinstance(part, self.says.signs)
            and not (isinstance(part, Text) and "text" in after)
        ):
            events.append(PartState(index, ReasoningState(self.says.state, f"sig{index:05d}")))
        events.append(PartEnd(index))

    def _sources(self, index: int, length: int) -> Iterator[Event]:
        for number in range(self.draw(st.integers(0, 2))):
            url = f"https://a.example/{index}/{number}"
            first = 0 if self.says.sources_last else self.draw(st.integers(0, length - 1))
            span = (first, length) if self.says.spans else (None, None)
            yield PartCitation(index, UrlCitation(url, "Title", *span))

    def answer(self, choice: int) -> bool:
        """One alternative; whether it calls."""
        kinds = self._kinds()
        for number, kind in enumerate(kinds):
            self.part(_BLANK[kind](f"call_{choice}_{number}"), choice, kinds[number + 1 :])
        return "call" in kinds

    def _kinds(self) -> list[str]:
        kinds = ["text", "call", "thought"]
        kinds += [kind for kind, is_said in (("picture", self._draws), ("redacted", self.says.redacts)) if is_said]
        found = self.draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=5))
        if not self.says.free_order:
            # A message has one text and one thought, and its fields have no order.
            once = [kind for kind in ("thought", "text") if kind in found]
            return [*once, *sorted(kind for kind in found if kind in ("call", "picture"))]
        # Fragments of one kind that follow each other are one part in Gemini, whoever said them.
        return [kind for kind, before in zip(found, [None, *found], strict=False) if kind != before or kind == "call"]


_BLANK: dict[str, Any] = {
    "text": lambda identity: Text(""),
    "thought": lambda identity: Thinking(),
    "redacted": lambda identity: Thinking(state=ReasoningState("anthropic_redacted", f"sig{identity}")),
    "call": lambda identity: ToolUse(identity, "tool", ""),
    "picture": lambda identity: Image(Inline("", "image/png")),
}


@st.composite
def replies(draw: st.DrawFn, dialect: str, choices: int = 1, *, draws: bool = True) -> list[Event]:
    """The events of a reply that the dialect can express."""
    speaker = Speaker(draw, SAYS[dialect], draws=draws)
    for choice in range(choices):
        called = speaker.answer(choice)
        reasons: tuple[StopReason, ...] = ("tool_use", "length") if called else speaker.says.reasons
        speaker.events.append(Finish(reason=draw(st.sampled_from(reasons)), choice=choice))
    return [*speaker.events, Metered(draw(USAGES))]


def written(dialect: str, events: list[Event], *, stream: bool) -> bytes:
    """As its provider sends it: proofs as they are."""
    asked = Asked(
        request=Request(model="m", include=(ENCRYPTED,)),
        model="m",
        reply_id="r1",
        created_at=1,
        seal=lambda state: state.data,
    )
    encoder = CODECS[dialect].encoder(stream=stream, asked=asked)
    return b"".join(encoder.feed([event]) for event in events) + encoder.close()
