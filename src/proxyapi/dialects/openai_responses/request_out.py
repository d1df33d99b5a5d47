"""OpenAI Responses: a canonical request as a provider takes it, as its quirks demand."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec.structs import replace

from proxyapi.dialects import openai_knobs as knobs
from proxyapi.dialects.codec import Encoded, TargetModel, Untranslatable
from proxyapi.dialects.losses import Losses
from proxyapi.dialects.model import JsonObject, JsonSchema, Message, PlainText, Request, Text, Tier, Tool, ToolChange
from proxyapi.dialects.openai_responses.messages_out import write_messages
from proxyapi.dialects.openai_responses.request_in import LOGPROBS
from proxyapi.dialects.openai_responses.tools_out import offered, write_choice, write_tools
from proxyapi.dialects.toolset import settled

Wire = dict[str, Any]

OUTPUT_TOKENS_MIN = 16
"""Less is refused. https://platform.openai.com/docs/api-reference/responses/create"""
ENCRYPTED = "reasoning.encrypted_content"
"""Of `include`."""

_COPIED = frozenset(
    {
        "access_programs",
        "background_options",
        "image",
        "max_tool_calls",
        "moderation",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "stream_options",
        "truncation",
    }
)
"""Fields of Responses that have no canonical form, or that clients of other dialects add to their requests."""
_TIERS: dict[Tier, str] = knobs.TIERS | {"ultrafast": "ultrafast"}
_ANSWER_JSON = "Answer with one JSON object only."
_ANSWER_SCHEMA = "Answer with one JSON object only, which has to match this JSON Schema:\n"
_JSON = re.compile("json", re.IGNORECASE)
_ENCODER = msgspec.json.Encoder()


def write_request(request: Request, target: TargetModel) -> Encoded:
    """Untranslatable: what Responses, or this model of it, has no way to say."""
    return _Writer(request, target).encoded()


class _Writer:
    def __init__(self, request: Request, target: TargetModel) -> None:
        self._request = request
        self._target = target
        self._quirks = target.quirks
        self._losses = Losses()

    def encoded(self) -> Encoded:
        self._refuse()
        shape = self._text()
        self._settle_tools()
        self._offer()
        request, losses = self._request, self._losses
        binds = request.tool_choice is not None and request.tool_choice.mode == "validated"
        tools = write_tools(request.tools, self._quirks, losses, binds=binds)
        wire: Wire = {"model": self._target.model}
        wire |= write_messages(request, self._target, losses)
        wire |= {"tools": tools} if tools else {}
        wire |= write_choice(request.tool_choice, (*request.tools, *_added(request)), self._quirks, losses)
        wire |= shape | self._limits() | knobs.sampling(request.sampling, self._quirks, losses)
        wire |= self._reasoning() | self._include() | self._cache() | self._account()
        self._drop()
        self._extras(wire)
        if request.stream:
            wire["stream"] = True
        return Encoded(
            body=_ENCODER.encode(wire),
            dropped=losses.dropped,
            approximated=losses.approximated,
            names=losses.names,
            stop=request.stop,
        )

    def _refuse(self) -> None:
        """What changes the meaning of a request, and has no counterpart here."""
        request = self._request
        spoken = [modality for modality in request.modalities if modality != "text"]
        for field, said, why in (
            ("choices", request.choices > 1, "OpenAI Responses gives one answer only"),
            ("modalities", spoken, "OpenAI Responses answers in text only"),
            ("cache.content", request.cache.content, "OpenAI Responses has no resources of cached content"),
            ("container", request.container, "containers of other providers are not known here"),
            ("logprobs", request.logprobs is not None and self._quirks.no_logprobs, "this model tells none"),
        ):
            if said:
                raise Untranslatable(field, why)

    def _drop(self) -> None:
        """Knobs that Responses lacks."""
        request = self._request
        asked = request.sampling
        for field, said in (
            ("sampling.frequency_penalty", asked.frequency_penalty),
            ("sampling.presence_penalty", asked.presence_penalty),
            ("sampling.seed", asked.seed is not None),
            ("sampling.logit_bias", asked.logit_bias),
            ("prediction", request.prediction is not None),
        ):
            if said:
                self._losses.drop(field)

    def _settle_tools(self) -> None:
        """Tools may come in the middle of a conversation, each with its definition; none can go away."""
        request = self._request
        changes = [p for message in request.messages for p in message.parts if isinstance(p, ToolChange)]
        defined = len(settled((), request.messages)) == len(_added(request))
        if defined and not any(change.removed for change in changes):
            return
        self._losses.approximate("messages.tool_change")
        rest = (
            replace(message, parts=tuple(p for p in message.parts if not isinstance(p, ToolChange)))
            for message in request.messages
        )
        self._request = replace(
            request,
            tools=settled(request.tools, request.messages),
            messages=tuple(message for message in rest if message.parts or message.role == "assistant"),
        )

    def _offer(self) -> None:
        """Which tools the model may call."""
        request = self._request
        choice, tools = offered(request.tool_choice, request.tools, self._quirks, self._losses)
        self._request = replace(request, tool_choice=choice, tools=tools)

    # --- the answer --------------------------------------------------------------------------------------------------

    def _text(self) -> Wire:
        """`text`; what the model has to be told of its shape goes to the instructions."""
        request = self._request
        wire: Wire = {}
        match request.format:
            case JsonSchema() as shape if self._quirks.no_json_schema:
                self._losses.approximate("format")
                self._tell(_ANSWER_SCHEMA + bytes(shape.schema).decode())
                wire["format"] = {"type": "json_object"}
            case JsonSchema() as shape:
                wire["format"] = self._schema(shape)
            case JsonObject():
                # OpenAI refuses the format where no message speaks of JSON; `instructions` are none.
                if not any(_JSON.search(text) for text in _texts(request)):
                    self._tell(_ANSWER_JSON)
                wire["format"] = {"type": "json_object"}
            case PlainText():
                wire["format"] = {"type": "text"}
            case None:
                pass
        if request.verbosity is not None:
            wire["verbosity"] = request.verbosity
        return {"text": wire} if wire else {}

    def _schema(self, shape: JsonSchema) -> Wire:
        strict = knobs.bound(shape.strict, shape.schema, self._quirks, self._losses, "format.strict")
        wire: Wire = {"type": "json_schema", "name": knobs.schema_name(shape), "schema": shape.schema}
        if shape.description:
            wire["description"] = shape.description
        return wire if strict is None else wire | {"strict": strict}

    def _tell(self, words: str) -> None:
        """A further instruction of our own."""
        said = Message(role="developer", parts=(Text(words),))
        self._request = replace(self._request, system=(*self._request.system, said))

    def _limits(self) -> Wire:
        request = self._request
        wire: Wire = {}
        tokens = request.output_tokens_max
        # 0 is Anthropic's word for filling a cache without an answer: see `_cache`.
        if tokens:
            if tokens < OUTPUT_TOKENS_MIN:
                self._losses.approximate("output_tokens_max")
            wire["max_output_tokens"] = max(tokens, OUTPUT_TOKENS_MIN)
        if request.server_tool_calls_max is not None:
            wire["max_tool_calls"] = request.server_tool_calls_max
        if request.logprobs:
            wire["top_logprobs"] = request.logprobs
        if request.truncation is not None:
            wire["truncation"] = request.truncation
        if request.compaction_threshold is not None:
            wire["context_management"] = [{"type": "compaction", "compact_threshold": request.compaction_threshold}]
        return wire

    def _reasoning(self) -> Wire:
        asked = self._request.reasoning
        if asked is None:
            return {}
        effort = knobs.accepted(asked, self._quirks, self._losses)
        if self._quirks.thinking_form == "none":
            return {}
        options: Wire = {
            "effort": effort,
            "summary": None if asked.show == "none" else asked.show,
            "context": asked.context,
            "mode": asked.mode or None,
        }
        wire = {name: value for name, value in options.items() if value is not None}
        return {"reasoning": wire} if wire else {}

    def _include(self) -> Wire:
        """Reasoning has to come back in the next turn, and is kept nowhere: its encrypted form is asked for."""
        wanted = dict.fromkeys(self._request.include)
        if self._quirks.thinking_form != "none":
            wanted[ENCRYPTED] = None
        if self._request.logprobs is not None:
            wanted[LOGPROBS] = None
        return {"include": list(wanted)} if wanted else {}

    # --- what is kept ------------------------------------------------------------------------------------------------

    def _cache(self) -> Wire:
        wire = knobs.cache(self._request.cache)
        if self._request.output_tokens_max == 0:
            wire["prompt_cache_options"] = wire.get("prompt_cache_options", {}) | {"prewarm": True}
        return wire

    def _account(self) -> Wire:
        request, storage = self._request, self._request.storage
        # Responses keeps what is not forbidden; no other dialect does.
        wire: Wire = {"store": bool(storage.store)}
        if storage.previous_response_id:
            wire["previous_response_id"] = storage.previous_response_id
        if storage.conversation:
            wire["conversation"] = storage.conversation
        if storage.background is not None:
            wire["background"] = storage.background
        if request.user:
            wire[self._quirks.user_field] = knobs.user(request.user)
        if request.metadata:
            if len(request.metadata) > knobs.METADATA_MAX:
                self._losses.drop("metadata")
            wire["metadata"] = dict(list(request.metadata.items())[: knobs.METADATA_MAX])
        if request.tier in _TIERS:
            wire["service_tier"] = _TIERS[request.tier]
        elif request.tier is not None:
            self._losses.drop("tier")
        return wire

    def _extras(self, wire: Wire) -> None:
        """Fields that the client's dialect does not have."""
        for name, raw in self._request.extra.items():
            if name in _COPIED:
                wire[name] = raw
            else:
                self._losses.drop(name)


def _added(request: Request) -> list[Tool]:
    """Tools that come in the middle of the conversation."""
    parts = (part for message in request.messages for part in message.parts)
    return [tool for part in parts if isinstance(part, ToolChange) for tool in part.added]


def _texts(request: Request) -> Iterable[str]:
    for message in (*request.system[1:], *request.messages):
        yield from (part.text for part in message.parts if isinstance(part, Text))
