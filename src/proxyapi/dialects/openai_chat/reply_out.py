"""OpenAI Chat Completions: the events of a reply as a stream of chunks, or as one body.

https://platform.openai.com/docs/api-reference/chat/streaming
"""

from __future__ import annotations

from collections.abc import Iterable

from proxyapi.dialects import faults, frames
from proxyapi.dialects.codec import Asked
from proxyapi.dialects.model import Event, Failed, KeepAlive, PartDelta, TokenLogprob, ToolUse
from proxyapi.dialects.openai_chat.sound import base64_bytes, wav_head
from proxyapi.dialects.openai_chat.telling import (
    HANDLERS,
    Choice,
    Fields,
    Open,
    Teller,
    TextField,
    encode_json,
    wire_logprobs,
)

_TAIL = b'},"finish_reason":null}]}\n\n'
"""Ends the delta, its choice and the chunk."""
_ALIVE = b": \n\n"
_INSTEAD = frozenset({"tool_calls", "function_call", "audio"})
"""Fields beside which there need not be any content."""


class ChatStreamEncoder(Teller):
    """Every event leaves at once. Chunks of text, thoughts and arguments are put together from ready bytes."""

    kind = "chat.completion.chunk"

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked)
        self._out: list[bytes] = []
        self._head = b""

    def feed(self, events: Iterable[Event]) -> bytes:
        out = self._out
        for event in events:
            if type(event) is PartDelta and not event.logprobs:
                part = self._open[event.index]
                if part.before:
                    text = event.text
                    part.characters += len(text)
                    if part.pieces is not None:
                        part.pieces.append(text)
                    out.append(part.before + encode_json(text) + part.after)
                    continue
            HANDLERS[type(event)](self, event)
        return self._take()

    def close(self) -> bytes:
        if self._asked.request.stream_usage is not False:
            self._out.append(self._head + b'[],"usage":' + bytes(self.usage()) + b"}\n\n")
        self._out.append(frames.encode(b"[DONE]"))
        return self._take()

    def fail(self, failed: Failed, request_id: str) -> bytes:
        return self._take() + frames.encode(encode_json(faults.told("openai", failed, request_id)))

    def _take(self) -> bytes:
        taken = b"".join(self._out)
        self._out.clear()
        return taken

    def _begin(self, choice: Choice) -> None:
        if not self._head:
            self._head = b"data: " + encode_json(self._top)[:-1] + b',"choices":'
        choice.head = self._head + b'[{"index":%d,"delta":{' % choice.index
        self._out.append(choice.head + b'"role":"assistant"' + _TAIL)

    def _ready(self, part: Open, field: TextField) -> None:
        part.before = part.choice.head + b'"%b":' % field.encode()
        part.after = _TAIL

    def _text(self, choice: Choice, field: TextField, text: str, logprobs: tuple[TokenLogprob, ...] = ()) -> None:
        told = choice.head + b'"%b":' % field.encode() + encode_json(text)
        if logprobs:
            tail = b'},"logprobs":' + encode_json(wire_logprobs({field: list(logprobs)})) + _TAIL[1:]
            self._out.append(told + tail)
        else:
            self._out.append(told + _TAIL)

    def _write(self, choice: Choice, fields: Fields) -> None:
        self._out.append(choice.head + encode_json(fields)[1:-1] + _TAIL)

    def _wave(self, choice: Choice, media_type: str) -> Fields:
        return {"data": wav_head(media_type)}

    def _call(self, part: Open, call: ToolUse) -> None:
        """A free-text call is told as a function: the SDK's helper knows no other in a stream."""
        function = {"name": call.name, "arguments": call.arguments}
        if self._is_legacy and part.number == 0:
            self._write(part.choice, {"function_call": function})
            part.before = part.choice.head + b'"function_call":{"arguments":'
            part.after = b"}" + _TAIL
            return
        told = {"index": part.number, "id": call.id, "type": "function", "function": function}
        self._write(part.choice, {"tool_calls": [told]})
        part.before = part.choice.head + b'"tool_calls":[{"index":%d,"function":{"arguments":' % part.number
        part.after = b"}}]" + _TAIL

    def _argue(self, part: Open, text: str) -> None:
        self._out.append(part.before + encode_json(text) + part.after)

    def _sign_call(self, part: Open, signature: Fields) -> None:
        if not (self._is_legacy and part.number == 0):
            # The SDK's helper expects a function in every delta of a call.
            signed = {"index": part.number, "function": {"arguments": ""}} | signature
            self._write(part.choice, {"tool_calls": [signed]})

    def _done(self, choice: Choice, reason: str, told: Fields) -> None:
        tail = encode_json({"finish_reason": reason} | told)[1:]
        self._out.append(choice.head + b"}," + tail + b"]}\n\n")

    def _alive(self, event: KeepAlive) -> None:
        self._out.append(_ALIVE)


class _Message:
    """One alternative as it grows."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.texts: dict[TextField, list[str]] = {}
        self.logprobs: dict[TextField, list[TokenLogprob]] = {}
        self.fields: Fields = {}
        """Lists, and what is set at once."""
        self.sound: dict[str, list[str]] = {}
        """The growing texts of a sound: its data and its transcript."""
        self.samples = ""
        """Media type of a sound of bare samples, which needs a head."""
        self.calls: dict[int, tuple[Fields, list[str]]] = {}
        """By number: the call, and its arguments."""
        self.end: Fields = {"finish_reason": None}


class ChatBodyEncoder(Teller):
    """Everything leaves with `close`."""

    kind = "chat.completion"

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked)
        self._messages: dict[int, _Message] = {}

    def close(self) -> bytes:
        return encode_json(
            self._top
            | {
                "choices": [self._whole(self._messages[index]) for index in sorted(self._messages)],
                "usage": self.usage(),
            }
        )

    def fail(self, failed: Failed, request_id: str) -> bytes:
        """An error of a body has a status and a body of its own."""
        return b""

    def _take(self) -> bytes:
        return b""

    def _begin(self, choice: Choice) -> None:
        self._messages[choice.index] = _Message(choice.index)

    def _text(self, choice: Choice, field: TextField, text: str, logprobs: tuple[TokenLogprob, ...] = ()) -> None:
        message = self._messages[choice.index]
        message.texts.setdefault(field, []).append(text)
        if logprobs:
            message.logprobs.setdefault(field, []).extend(logprobs)

    def _write(self, choice: Choice, fields: Fields) -> None:
        message = self._messages[choice.index]
        for name, value in fields.items():
            if isinstance(value, list):
                message.fields.setdefault(name, []).extend(value)
            elif name == "audio":
                sound = message.fields.setdefault("audio", {})
                for key, told in value.items():
                    if key in ("data", "transcript"):
                        message.sound.setdefault(key, []).append(told)
                    else:
                        sound[key] = told
            else:
                message.fields[name] = value

    def _wave(self, choice: Choice, media_type: str) -> Fields:
        self._messages[choice.index].samples = media_type
        return {}

    def _call(self, part: Open, call: ToolUse) -> None:
        told: Fields = {"id": call.id, "type": "custom" if call.kind == "custom" else "function"}
        told[told["type"]] = {"name": call.name}
        self._messages[part.choice.index].calls[part.number] = (told, [call.arguments])

    def _argue(self, part: Open, text: str) -> None:
        self._messages[part.choice.index].calls[part.number][1].append(text)

    def _sign_call(self, part: Open, signature: Fields) -> None:
        self._messages[part.choice.index].calls[part.number][0].update(signature)

    def _cut_call(self, part: Open) -> None:
        del self._messages[part.choice.index].calls[part.number]

    def _done(self, choice: Choice, reason: str, told: Fields) -> None:
        self._messages[choice.index].end = {"finish_reason": reason} | told

    # --- the whole -----------------------------------------------------------------------------------------------

    def _whole(self, message: _Message) -> Fields:
        told: Fields = {"role": "assistant", "content": None, "refusal": None}
        told |= {field: "".join(pieces) for field, pieces in message.texts.items()}
        told |= message.fields
        told |= self._calls(message)
        if sound := told.get("audio"):
            sound |= {name: "".join(message.sound.get(name, ())) for name in ("data", "transcript")}
            if message.samples:
                sound["data"] = wav_head(message.samples, base64_bytes(sound["data"])) + sound["data"]
        for name in ("annotations", "images"):
            # Only a stream needs their places.
            for one in told.get(name, ()):
                one.pop("index", None)
        if (
            told["content"] is None
            and not {"tool_calls", "function_call", "audio"} & told.keys()
            and not told["refusal"]
        ):
            told["content"] = ""
        logprobs = wire_logprobs(message.logprobs) if message.logprobs else None
        return {"index": message.index, "message": told, "logprobs": logprobs} | message.end

    def _calls(self, message: _Message) -> Fields:
        calls: list[Fields] = []
        told: Fields = {}
        for number, (call, arguments) in sorted(message.calls.items()):
            kind = call["type"]
            call[kind]["input" if kind == "custom" else "arguments"] = "".join(arguments)
            if self._is_legacy and number == 0 and kind == "function":
                told["function_call"] = call["function"]
            else:
                calls.append(call)
        return told | ({"tool_calls": calls} if calls else {})
