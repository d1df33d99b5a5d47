"""OpenAI Responses: parts of a reply as items for a client, each kind with its own events.

https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from base64 import b64encode

from msgspec.structs import replace

from proxyapi.dialects.model import (
    Citation,
    Compaction,
    Image,
    Inline,
    Link,
    PartDelta,
    ReasoningState,
    Refusal,
    ServerToolResult,
    ServerToolUse,
    Text,
    Thinking,
    TokenLogprob,
    ToolUse,
)
from proxyapi.dialects.openai_responses.calls_out import call
from proxyapi.dialects.openai_responses.hosted_out import Hosted, code_of
from proxyapi.dialects.openai_responses.output import Output, Wire, encode
from proxyapi.dialects.openai_responses.wire import annotation, wire_logprobs

_ARGUMENTS = {
    "function": (b"response.function_call_arguments", b"arguments"),
    "custom": (b"response.custom_tool_call_input", b"input"),
}
"""By the kind of a call: the events of its arguments, and their field."""


class Growing:
    """A part that is not whole yet. Its texts are gathered, and told as they come where `prefix` says how."""

    __slots__ = ("output", "prefix", "state", "texts")

    def __init__(self, output: Output) -> None:
        self.output = output
        self.prefix = b""
        self.texts: list[str] = []
        self.state: ReasoningState | None = None
        """Came after the part had begun."""

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def delta(self, event: PartDelta) -> None:
        """More of it, where `prefix` is not all that has to be known."""
        self.texts.append(event.text)
        self.output.delta(self.prefix, event.text)

    def summary(self, number: int, text: str) -> None:
        """Only thoughts have one."""

    def data(self, data: str) -> None:
        """Only pictures have some."""

    def cite(self, citation: Citation) -> None:
        """Only texts do."""

    def sign(self, state: ReasoningState) -> None:
        """Its state, once it has begun."""
        self.state = state

    def end(self, result: ServerToolResult | None, *, incomplete: bool) -> None:
        """It is whole, or was cut."""
        raise NotImplementedError


class Unseen(Growing):
    """A part that Responses has no item for, and its clients no need."""

    __slots__ = ()

    def end(self, result: ServerToolResult | None, *, incomplete: bool) -> None:
        """Nothing was told, nothing ends."""


# --- texts --------------------------------------------------------------------------------------------------------


class Said(Growing):
    """A text or a refusal: a content of a message."""

    __slots__ = ("_annotated", "_citations", "_index", "_logprobs", "_message", "_place", "_refuses")

    def __init__(self, output: Output, part: Text | Refusal) -> None:
        super().__init__(output)
        self._refuses = isinstance(part, Refusal)
        self._citations: list[Wire] = []
        self._annotated: list[Citation] = []
        """Citations about the whole text: they wait for its end."""
        self._logprobs: list[TokenLogprob] = []
        message = self._message = output.message()
        self._index = len(message.contents)
        message.contents.append(self._wire(""))
        message.growing += 1
        self._place = b'%b,"content_index":%d' % (message.item.place, self._index)
        output.event(b"response.content_part.added", b'%b,"part":%b' % (self._place, encode(self._wire(""))))
        if self._refuses:
            self.prefix = output.prefix(b"response.refusal.delta", self._place)
        else:
            self.prefix = output.prefix(b"response.output_text.delta", self._place + b',"logprobs":[]')

    def _wire(self, text: str) -> Wire:
        if self._refuses:
            return {"type": "refusal", "refusal": text}
        logprobs = wire_logprobs(self._logprobs)
        return {"type": "output_text", "annotations": self._citations, "logprobs": logprobs, "text": text}

    def delta(self, event: PartDelta) -> None:
        self.texts.append(event.text)
        if not event.logprobs:
            self.output.delta(self.prefix, event.text)
            return
        self._logprobs += event.logprobs
        tokens = encode(wire_logprobs(event.logprobs))
        self.output.event(
            b"response.output_text.delta",
            b'%b,"delta":%b,"logprobs":%b' % (self._place, encode(event.text), tokens),
        )

    def cite(self, citation: Citation) -> None:
        if getattr(citation, "end", 0) is None:
            self._annotated.append(citation)
        else:
            self._annotate(citation, 0)

    def _annotate(self, citation: Citation, length: int) -> None:
        wire = annotation(citation, length)
        members = b'%b,"annotation_index":%d,"annotation":%b' % (self._place, len(self._citations), encode(wire))
        self._citations.append(wire)
        self.output.event(b"response.output_text.annotation.added", members)

    def end(self, result: ServerToolResult | None, *, incomplete: bool) -> None:
        text, output = self.text, self.output
        for citation in self._annotated:
            self._annotate(citation, len(text))
        wire = self._wire(text)
        if self._refuses:
            output.event(b"response.refusal.done", b'%b,"refusal":%b' % (self._place, encode(text)))
        else:
            tokens = encode(wire["logprobs"])
            output.event(
                b"response.output_text.done", b'%b,"text":%b,"logprobs":%b' % (self._place, encode(text), tokens)
            )
        output.event(b"response.content_part.done", b'%b,"part":%b' % (self._place, encode(wire)))
        self._message.contents[self._index] = wire
        output.said(self._message)
        if self.state is not None:
            output.carry(self.state, "before")


class Thought(Growing):
    """An item of type `reasoning`: raw thoughts, summaries, or nothing that can be read."""

    __slots__ = ("_item", "_number", "_summaries", "_summary_prefix")

    def __init__(self, output: Output, part: Thinking) -> None:
        super().__init__(output)
        self.state = part.state
        self._item = output.open("rs_")
        self._summaries: list[list[str]] = []
        self._number = -1
        """Of the summary that grows, as the provider counts; below 0: none does."""
        self._summary_prefix = b""
        output.added(self._item, {"id": self._item.id, "type": "reasoning", "summary": []})
        self.prefix = output.prefix(b"response.reasoning_text.delta", self._item.place + b',"content_index":0')

    def summary(self, number: int, text: str) -> None:
        output = self.output
        if number != self._number:
            self._end_summary()
            self._number = number
            place = b'%b,"summary_index":%d' % (self._item.place, len(self._summaries))
            self._summaries.append([])
            output.event(
                b"response.reasoning_summary_part.added", b'%b,"part":{"type":"summary_text","text":""}' % place
            )
            self._summary_prefix = output.prefix(b"response.reasoning_summary_text.delta", place)
        self._summaries[-1].append(text)
        output.delta(self._summary_prefix, text)

    def _end_summary(self) -> None:
        if self._number < 0:
            return
        self._number = -1
        text = encode("".join(self._summaries[-1]))
        place = b'%b,"summary_index":%d' % (self._item.place, len(self._summaries) - 1)
        self.output.event(b"response.reasoning_summary_text.done", b'%b,"text":%b' % (place, text))
        part = b'"part":{"type":"summary_text","text":%b}' % text
        self.output.event(b"response.reasoning_summary_part.done", b"%b,%b" % (place, part))

    def end(self, result: ServerToolResult | None, *, incomplete: bool) -> None:
        self._end_summary()
        summaries = [{"type": "summary_text", "text": "".join(texts)} for texts in self._summaries]
        wire: Wire = {"id": self._item.id, "type": "reasoning", "summary": summaries}
        if text := self.text:
            members = b'%b,"content_index":0,"text":%b' % (self._item.place, encode(text))
            self.output.event(b"response.reasoning_text.done", members)
            wire["content"] = [{"type": "reasoning_text", "text": text}]
        if self.state is not None:
            wire["encrypted_content"] = self.output.sealed(self.state, "own")
        self.output.done(self._item, wire)


# --- calls of the client's tools ----------------------------------------------------------------------------------


class Call(Growing):
    """A call of a function, or of a tool that takes free text. Its arguments are told as they come."""

    __slots__ = ("_item", "_part")

    def __init__(self, output: Output, part: ToolUse) -> None:
        super().__init__(output)
        self._part = part
        wire, prefix = call(part)
        self._item = output.open(prefix)
        _, field = _ARGUMENTS[part.kind]
        output.added(self._item, self._wire(wire, "in_progress") | {field.decode(): ""})
        self.prefix = output.prefix(_ARGUMENTS[part.kind][0] + b".delta", self._item.place)

    def _wire(self, wire: Wire, status: str) -> Wire:
        return {"id": self._item.id, "status": status} | wire

    def sign(self, state: ReasoningState) -> None:
        if self.output.is_last(self._item):
            # Other calls may begin before this one ends: a state is that of the item before it.
            self.output.carry(state, "before")
        else:
            self.state = state

    def end(self, result: ServerToolResult | None, *, incomplete: bool) -> None:
        name, field = _ARGUMENTS[self._part.kind]
        whole = replace(self._part, arguments=self.text)
        wire, _ = call(whole)
        if not incomplete:
            members = b'%b,"%b":%b' % (self._item.place, field, encode(wire[field.decode()]))
            if self._part.kind == "function":
                members += b',"name":%b' % encode(self._part.name)
            self.output.event(name + b".done", members)
        else:
            wire[field.decode()] = whole.arguments
        self.output.done(self._item, self._wire(wire, "incomplete" if incomplete else "completed"))
        if self.state is not None:
            self.output.carry(self.state, "before")


class Action(Growing):
    """A call of a tool that Responses has a kind of item for: its action is an object, told once it is whole."""

    __slots__ = ("_part",)

    def __init__(self, output: Output, part: ToolUse) -> None:
        super().__init__(output)
        self._part = part

    def end(self, result: ServerToolResult | None, *, incomplete: bool) -> None:
        wire, prefix = call(replace(self._part, arguments=self.text))
        item = self.output.open(prefix)
        self.output.added(item, {"id": item.id} | wire | {"status": "in_progress"})
        self.output.done(item, {"id": item.id} | wire | {"status": "incomplete" if incomplete else "completed"})
        if self.state is not None:
            self.output.carry(self.state, "before")


# --- tools that the provider ran, and what it made ----------------------------------------------------------------


class Ran(Growing):
    """A hosted tool's call, and its outcome when that is known."""

    __slots__ = ("_about", "_item", "_use", "asked")

    def __init__(self, output: Output, use: ServerToolUse, about: Hosted) -> None:
        super().__init__(output)
        self._use = use
        self._about = about
        self.asked = False
        """Its arguments are whole."""
        self._item = output.open(about.prefix)
        output.added(self._item, self._wire("in_progress", None))
        self._tell(*about.begun)
        if about.arguments:
            self.prefix = output.prefix(f"response.{about.arguments}.delta".encode(), self._item.place)

    def _wire(self, status: str, result: ServerToolResult | None) -> Wire:
        members = self._about.item(self._use, result, self.output.include)
        return {"id": self._item.id, "type": self._about.type, "status": status} | members

    def _tell(self, *words: str) -> None:
        for word in words:
            self.output.event(f"response.{self._about.type}.{word}".encode(), self._item.place)

    def end(self, result: ServerToolResult | None, *, incomplete: bool) -> None:
        """The call is whole; its outcome may be yet to come."""
        self.asked = True
        self._use = replace(self._use, arguments=self._use.arguments or self.text)
        about, place = self._about, self._item.place
        if about.arguments:
            members = b'%b,"arguments":%b' % (place, encode(self._use.arguments or "{}"))
            self.output.event(f"response.{about.arguments}.done".encode(), members)
        elif about.asked and (text := code_of(self._use)):
            code = encode(text)
            self.output.event(f"response.{about.type}_{about.asked}.delta".encode(), b'%b,"delta":%b' % (place, code))
            self.output.event(f"response.{about.type}_{about.asked}.done".encode(), b'%b,"code":%b' % (place, code))
        if result is not None:
            self.settle(result)

    def settle(self, result: ServerToolResult | None) -> None:
        """With its outcome, or without one where none came."""
        failed = result is not None and result.is_error
        self._tell(*self._about.ran, "failed" if failed and self._about.arguments else "completed")
        self.output.done(self._item, self._wire("failed" if failed else "completed", result))
        if self.state is not None:
            self.output.carry(self.state, "before")


class Picture(Growing):
    """A picture that the model drew."""

    __slots__ = ("_data", "_item", "_part")

    def __init__(self, output: Output, part: Image) -> None:
        super().__init__(output)
        self._part = part
        self._data: list[str] = []
        self._item = output.open("ig_")
        output.added(self._item, self._wire("in_progress", None))
        for word in (b"in_progress", b"generating"):
            output.event(b"response.image_generation_call." + word, self._item.place)

    def _wire(self, status: str, result: str | None) -> Wire:
        wire: Wire = {"id": self._item.id, "type": "image_generation_call", "status": status, "result": result}
        media_type = self._part.source.media_type
        return wire | {"output_format": media_type.removeprefix("image/")} if media_type else wire

    def data(self, data: str) -> None:
        self._data.append(data)

    def end(self, result: ServerToolResult | None, *, incomplete: bool) -> None:
        source = self._part.source
        drawn = "".join(self._data) or (source.data if isinstance(source, Inline) else "")
        if isinstance(source, Link):
            # Clients expect data; an address tells those who look where the picture is.
            drawn = source.url
        self.output.event(b"response.image_generation_call.completed", self._item.place)
        self.output.done(self._item, self._wire("incomplete" if incomplete else "completed", drawn))
        if self.state is not None:
            self.output.carry(self.state, "before")


class Summed(Growing):
    """A summary of what was said before. Responses shows none: it travels sealed."""

    __slots__ = ("_item", "_part")

    def __init__(self, output: Output, part: Compaction) -> None:
        super().__init__(output)
        self.state = part.state
        self._part = part
        self._item = output.open("cmp_")
        output.added(self._item, {"id": self._item.id, "type": "compaction", "encrypted_content": ""})

    def end(self, result: ServerToolResult | None, *, incomplete: bool) -> None:
        state = self.state or ReasoningState("other", b64encode((self._part.text or self.text).encode()).decode())
        sealed = self.output.sealed(state, "own")
        self.output.done(self._item, {"id": self._item.id, "type": "compaction", "encrypted_content": sealed})
