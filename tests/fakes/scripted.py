"""Models that follow a script, each behind its own vendor's API: they call tools, then say what the results told them.

A script is a list of turns, a turn the calls that the model makes at once. Which turn it is the model sees from the
conversation, as a real one does: so many turns with calls, so many turns of the script are over. After the last it says
the texts of all results. Before each turn of calls it thinks, and signs its thoughts. All replies have the same id, as
those of some providers do.
"""

from __future__ import annotations

import base64
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

# The names that `tests/conftest.py` gives the modules beside this one.
import proxyapi_fakes_replies as _replies
import proxyapi_fakes_upstream as _upstream

Json = dict[str, Any]


@dataclass(frozen=True)
class Do:
    """A call of the script. The tool has the name that the provider was told."""

    tool: str
    arguments: Json


@dataclass(frozen=True)
class Call:
    """A call as the conversation that came back has it."""

    id: str
    name: str
    arguments: Json


@dataclass(frozen=True)
class Result:
    """A result in the conversation."""

    id: str
    """Of the call it answers; in Gemini, which may go without, the function's name."""
    text: str
    """All its words; of media the media type in brackets."""


class Vendor(ABC):
    """One API: what a conversation says, and how a model's turn is streamed."""

    @abstractmethod
    def tools(self, body: Json) -> dict[str, Json]:
        """Schemas of the declared functions, by name."""

    @abstractmethod
    def turns(self, body: Json) -> list[tuple[list[Call], list[Result]]]:
        """The model's turns with calls so far, each with the results that followed."""

    @abstractmethod
    def history(self, body: Json) -> list[Any]:
        """Instructions and messages, in the order in which the model reads them."""

    @abstractmethod
    def states(self, body: Json) -> list[str]:
        """Signed thoughts that came back, in order."""

    @abstractmethod
    def calling(self, turn: int, calls: Sequence[Do]) -> list[bytes]:
        """Events of a signed thought and the calls it led to."""

    @abstractmethod
    def saying(self, text: str) -> list[bytes]:
        """Events of an answer."""

    @abstractmethod
    def said(self, text: str) -> bytes:
        """The answer as one body."""


def state_of(turn: int) -> str:
    """The signature of the thought before that turn's calls. Base64, for Gemini takes nothing else."""
    return base64.b64encode(f"signed thought {turn}".encode()).decode()


class Scripted:
    """What a FakeUpstream answers with. Requests without tools, such as for a title, get a short text."""

    def __init__(self, *script: Sequence[Do]) -> None:
        self.script = script

    def __call__(self, asked: Any) -> Any:
        vendor = vendor_of(asked.path)
        body = json.loads(asked.body)
        turns = vendor.turns(body)
        if body.get("stream") is not True and "streamGenerateContent" not in asked.path:
            return _upstream.Reply(body=vendor.said("A short text."))
        return _upstream.Reply(
            headers={"content-type": "text/event-stream"}, chunks=self._events(vendor, vendor.tools(body), turns)
        )

    def _events(
        self, vendor: Vendor, tools: dict[str, Json], turns: list[tuple[list[Call], list[Result]]]
    ) -> list[bytes]:
        if not tools:
            return vendor.saying("A short text.")
        if len(turns) < len(self.script):
            calls = self.script[len(turns)]
            unknown = [call.tool for call in calls if call.tool not in tools]
            if unknown:
                return vendor.saying(f"There is no tool {unknown[0]}, only {', '.join(tools)}.")
            return vendor.calling(len(turns), calls)
        return vendor.saying("\n".join(["The tools said:", *(result.text for _, found in turns for result in found)]))


def vendor_of(path: str) -> Vendor:
    """By the end of a request's path."""
    return next(vendor for ending, vendor in VENDORS.items() if ending in path)


def _arguments(text: str) -> Json:
    value: Json = json.loads(text)
    return value


def _words(content: Any) -> str:
    """Of a string, or of pieces of any of the vendors."""
    if isinstance(content, str):
        return content
    pieces = []
    for piece in content or ():
        pieces.append(piece["text"] if "text" in piece else f"[{_media(piece)}]")
    return "\n".join(pieces)


def _media(piece: Json) -> str:
    for address in (piece.get("image_url"), (piece.get("image_url") or {})):
        url = address.get("url", "") if isinstance(address, dict) else address or ""
        if url.startswith("data:"):
            return str(url[5 : url.index(";")])
    source = piece.get("source") or {}
    return str(source.get("media_type") or piece.get("type"))


# --- OpenAI Chat Completions -----------------------------------------------------------------------------------------


class Chat(Vendor):
    def tools(self, body: Json) -> dict[str, Json]:
        return {tool["function"]["name"]: tool["function"]["parameters"] for tool in body.get("tools", ())}

    def turns(self, body: Json) -> list[tuple[list[Call], list[Result]]]:
        turns: list[tuple[list[Call], list[Result]]] = []
        for message in body["messages"]:
            if message.get("tool_calls"):
                turns.append(([_chat_call(call) for call in message["tool_calls"]], []))
            elif message["role"] == "tool":
                turns[-1][1].append(Result(message["tool_call_id"], _words(message["content"])))
        return turns

    def history(self, body: Json) -> list[Any]:
        return list(body["messages"])

    def states(self, body: Json) -> list[str]:
        return [message["reasoning_content"] for message in body["messages"] if message.get("reasoning_content")]

    def calling(self, turn: int, calls: Sequence[Do]) -> list[bytes]:
        events = [_replies.chat_chunk({"role": "assistant", "reasoning_content": state_of(turn)})]
        for number, call in enumerate(calls):
            function = {"name": call.tool, "arguments": ""}
            head = {"index": number, "id": f"call_{turn}_{number}", "type": "function", "function": function}
            events.append(_replies.chat_chunk({"tool_calls": [head]}))
            events += [
                _replies.chat_chunk({"tool_calls": [{"index": number, "function": {"arguments": piece}}]})
                for piece in _pieces(call.arguments)
            ]
        return [
            *events,
            _replies.chat_chunk({}, "tool_calls"),
            _replies.chat_usage_chunk(_replies.USED),
            _replies.DONE,
        ]

    def saying(self, text: str) -> list[bytes]:
        return list(_replies.chat_events([text]))

    def said(self, text: str) -> bytes:
        return bytes(_replies.chat(text))


def _chat_call(call: Json) -> Call:
    return Call(call["id"], call["function"]["name"], _arguments(call["function"]["arguments"]))


# --- OpenAI Responses ------------------------------------------------------------------------------------------------


class Responses(Vendor):
    def tools(self, body: Json) -> dict[str, Json]:
        return {tool["name"]: tool["parameters"] for tool in body.get("tools", ()) if tool["type"] == "function"}

    def turns(self, body: Json) -> list[tuple[list[Call], list[Result]]]:
        turns: list[tuple[list[Call], list[Result]]] = []
        for item in body["input"]:
            match item.get("type"):
                case "function_call":
                    if not turns or turns[-1][1]:
                        turns.append(([], []))
                    turns[-1][0].append(Call(item["call_id"], item["name"], _arguments(item["arguments"])))
                case "function_call_output":
                    turns[-1][1].append(Result(item["call_id"], _words(item["output"])))
        return turns

    def history(self, body: Json) -> list[Any]:
        return [body.get("instructions"), *body["input"]]

    def states(self, body: Json) -> list[str]:
        return [item["encrypted_content"] for item in body["input"] if item.get("type") == "reasoning"]

    def calling(self, turn: int, calls: Sequence[Do]) -> list[bytes]:
        thought = {"type": "reasoning", "id": f"rs_{turn}", "summary": [], "encrypted_content": state_of(turn)}
        items: list[Json] = [thought]
        events: list[Json] = [
            {"type": "response.created", "response": _replies.response_object("", None, "in_progress")},
            {"type": "response.output_item.added", "output_index": 0, "item": thought | {"encrypted_content": None}},
            {"type": "response.output_item.done", "output_index": 0, "item": thought},
        ]
        for number, call in enumerate(calls):
            place = {"item_id": f"fc_{turn}_{number}", "output_index": number + 1}
            item: Json = {"type": "function_call", "id": place["item_id"], "call_id": f"call_{turn}_{number}"}
            item |= {"name": call.tool, "arguments": "", "status": "in_progress"}
            done = item | {"arguments": json.dumps(call.arguments), "status": "completed"}
            items.append(done)
            events.append({"type": "response.output_item.added", "output_index": number + 1, "item": item})
            for piece in _pieces(call.arguments):
                events.append({"type": "response.function_call_arguments.delta", "delta": piece} | place)
            events += [
                {"type": "response.function_call_arguments.done", "arguments": done["arguments"]} | place,
                {"type": "response.output_item.done", "output_index": number + 1, "item": done},
            ]
        response = _replies.response_object("", _replies.USED) | {"output": items}
        events.append({"type": "response.completed", "response": response})
        return [_replies.event(event | {"sequence_number": n}, str(event["type"])) for n, event in enumerate(events)]

    def saying(self, text: str) -> list[bytes]:
        return list(_replies.response_events([text]))

    def said(self, text: str) -> bytes:
        return bytes(_replies.response(text))


# --- Anthropic Messages ----------------------------------------------------------------------------------------------


class Messages(Vendor):
    def tools(self, body: Json) -> dict[str, Json]:
        return {tool["name"]: tool["input_schema"] for tool in body.get("tools", ()) if "input_schema" in tool}

    def turns(self, body: Json) -> list[tuple[list[Call], list[Result]]]:
        turns: list[tuple[list[Call], list[Result]]] = []
        for blocks in self._blocks(body):
            calls = [
                Call(block["id"], block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"
            ]
            results = [block for block in blocks if block["type"] == "tool_result"]
            if calls:
                turns.append((calls, []))
            if results:
                turns[-1][1].extend(Result(block["tool_use_id"], _words(block.get("content"))) for block in results)
        return turns

    def history(self, body: Json) -> list[Any]:
        return [body.get("system"), *body["messages"]]

    def states(self, body: Json) -> list[str]:
        return [block["signature"] for blocks in self._blocks(body) for block in blocks if block["type"] == "thinking"]

    @staticmethod
    def _blocks(body: Json) -> Iterator[list[Json]]:
        return (message["content"] for message in body["messages"] if isinstance(message["content"], list))

    def calling(self, turn: int, calls: Sequence[Do]) -> list[bytes]:
        start, *_ = _replies.message_events()
        thought = {"type": "thinking", "thinking": "", "signature": ""}
        events: list[Json] = [
            {"type": "content_block_start", "index": 0, "content_block": thought},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "I look."}},
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "signature_delta", "signature": state_of(turn)},
            },
            {"type": "content_block_stop", "index": 0},
        ]
        for index, call in enumerate(calls, 1):
            block = {"type": "tool_use", "id": f"toolu_{turn}_{index}", "name": call.tool, "input": {}}
            events.append({"type": "content_block_start", "index": index, "content_block": block})
            for piece in _pieces(call.arguments):
                delta = {"type": "input_json_delta", "partial_json": piece}
                events.append({"type": "content_block_delta", "index": index, "delta": delta})
            events.append({"type": "content_block_stop", "index": index})
        usage = {"output_tokens": _replies.USED[1]}
        events += [
            {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None}, "usage": usage},
            {"type": "message_stop"},
        ]
        return [start, *(_replies.event(event, str(event["type"])) for event in events)]

    def saying(self, text: str) -> list[bytes]:
        return list(_replies.message_events([text]))

    def said(self, text: str) -> bytes:
        return bytes(_replies.message(text))


# --- Gemini ----------------------------------------------------------------------------------------------------------


class Gemini(Vendor):
    def tools(self, body: Json) -> dict[str, Json]:
        return {
            function["name"]: function.get("parametersJsonSchema") or function.get("parameters") or {}
            for tool in body.get("tools", ())
            for function in tool.get("functionDeclarations", ())
        }

    def turns(self, body: Json) -> list[tuple[list[Call], list[Result]]]:
        turns: list[tuple[list[Call], list[Result]]] = []
        for content in body["contents"]:
            calls = [part["functionCall"] for part in content["parts"] if "functionCall" in part]
            results = [part["functionResponse"] for part in content["parts"] if "functionResponse" in part]
            if calls:
                turns.append(([Call(call.get("id", ""), call["name"], call.get("args", {})) for call in calls], []))
            for result in results:
                turns[-1][1].append(Result(result.get("id") or result["name"], self._told(result)))
        return turns

    @staticmethod
    def _told(result: Json) -> str:
        told = [text if isinstance(text, str) else json.dumps(text) for text in result["response"].values()]
        return "\n".join([*told, *(f"[{part['inlineData']['mimeType']}]" for part in result.get("parts", ()))])

    def history(self, body: Json) -> list[Any]:
        return [body.get("systemInstruction"), *body["contents"]]

    def states(self, body: Json) -> list[str]:
        found = (part.get("thoughtSignature") for content in body["contents"] for part in content["parts"])
        return [state for state in found if state]

    def calling(self, turn: int, calls: Sequence[Do]) -> list[bytes]:
        parts: list[Json] = [{"functionCall": {"name": call.tool, "args": call.arguments}} for call in calls]
        for number, part in enumerate(parts):
            part["functionCall"]["id"] = f"call-{turn}-{number}"
        parts[0]["thoughtSignature"] = state_of(turn)
        return [_replies.event(self._chunk([part], part is parts[-1])) for part in parts]

    @staticmethod
    def _chunk(parts: list[Json], last: bool) -> Json:
        chunk: Json = _replies.generated_object("", _replies.USED if last else None, "STOP" if last else None)
        chunk["candidates"][0]["content"]["parts"] = parts
        return chunk

    def saying(self, text: str) -> list[bytes]:
        return list(_replies.generated_events([text]))

    def said(self, text: str) -> bytes:
        return bytes(_replies.generated(text))


def _pieces(arguments: Json) -> list[str]:
    """JSON cut in the middle, as it arrives."""
    text = json.dumps(arguments)
    return [text[: len(text) // 2], text[len(text) // 2 :]]


VENDORS: dict[str, Vendor] = {
    "/chat/completions": Chat(),
    "/responses": Responses(),
    "/messages": Messages(),
    "GenerateContent": Gemini(),
    "generateContent": Gemini(),
}
