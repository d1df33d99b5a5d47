"""OpenAI Chat Completions: a canonical request as a provider takes it, as its quirks demand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec.structs import replace

from proxyapi.dialects import openai_knobs as knobs
from proxyapi.dialects.codec import Encoded, TargetModel, Untranslatable
from proxyapi.dialects.effort import nearest
from proxyapi.dialects.losses import Losses
from proxyapi.dialects.model import (
    NO_CACHE,
    NO_SAMPLING,
    JsonObject,
    JsonSchema,
    Message,
    PlainText,
    Reasoning,
    Request,
    Text,
    ToolChange,
)
from proxyapi.dialects.openai_chat.marks import Marks
from proxyapi.dialects.openai_chat.messages_out import MessageWriter
from proxyapi.dialects.openai_chat.tools_out import WireTools
from proxyapi.dialects.voices import openai_voice

Wire = dict[str, Any]

STOP_MAX = 4

_ENCODER = msgspec.json.Encoder()
_KNOBS: dict[str, str] = {
    "frequency_penalty": "sampling.frequency_penalty",
    "logit_bias": "sampling.logit_bias",
    "metadata": "metadata",
    "parallel_tool_calls": "tool_choice.parallel",
    "prediction": "prediction",
    "presence_penalty": "sampling.presence_penalty",
    "prompt_cache_key": "cache.key",
    "prompt_cache_options": "cache.lifetime",
    "prompt_cache_retention": "cache.lifetime",
    "safety_identifier": "user",
    "seed": "sampling.seed",
    "service_tier": "tier",
    "store": "storage.store",
    "temperature": "sampling.temperature",
    "top_p": "sampling.top_p",
    "user": "user",
    "verbosity": "verbosity",
}
"""Fields that a provider may refuse without the request losing its meaning, and what they are called here."""
_COPIED = frozenset({"frequency_penalty", "logit_bias", "presence_penalty", "prompt_cache_key", "seed", "verbosity"})
"""Fields of Chat that clients of other dialects add to their requests. None of them changes what a request costs."""
_ANSWER_JSON = "Answer with one JSON object only."
_ANSWER_SCHEMA = "Answer with one JSON object only, which has to match this JSON Schema:\n"
_JSON = re.compile("json", re.IGNORECASE)


def encode_request(request: Request, target: TargetModel) -> Encoded:
    """Untranslatable: what Chat, or this model of it, has no way to say."""
    return _Writer(request, target).encoded()


class _Writer:
    def __init__(self, request: Request, target: TargetModel) -> None:
        self._request = request
        self._target = target
        self._quirks = target.quirks
        self._losses = Losses()
        self._marks = Marks(target.quirks, self._losses)

    def encoded(self) -> Encoded:
        request, losses = self._request, self._losses
        self._refuse()
        shape, system = self._format()
        kinds = {type(part) for message in request.messages for part in message.parts}
        wire: Wire = {"model": self._target.model, "messages": ()}
        # The order of the prompt: of many cache marks the last ones stay.
        if request.tools or request.tool_choice is not None or ToolChange in kinds:
            tools = WireTools(self._quirks, losses, self._marks)
            wire |= tools.fields(request.tools, request.tool_choice, request.messages)
        writer = MessageWriter(self._target, losses, self._marks, detail=request.media_detail)
        wire["messages"] = writer.write(system, request.messages, kinds)
        self._marks.limit()
        wire |= shape
        cut = self._stop(wire)
        if request.sampling is not NO_SAMPLING:
            self._sampling(wire)
        if request.reasoning is not None:
            wire |= self._reasoning(request.reasoning, has_tools="tools" in wire)
        self._output(wire)
        if request.cache is not NO_CACHE:
            wire |= self._cache()
        self._account(wire)
        self._extras(wire)
        for field in self._quirks.refused_fields:
            if field in _KNOBS and wire.pop(field, None) is not None:
                losses.drop(_KNOBS[field])
        if request.stream:
            wire |= {"stream": True, "stream_options": {"include_usage": True}}
        return Encoded(
            body=_ENCODER.encode(wire),
            dropped=losses.dropped,
            approximated=losses.approximated,
            names=losses.names,
            stop=cut,
        )

    def _refuse(self) -> None:
        """What changes the meaning of a request, and has no counterpart here."""
        request, reasoning = self._request, self._request.reasoning
        storage = request.storage
        if storage.previous_response_id:
            raise Untranslatable("storage.previous_response_id", "Chat keeps no conversations")
        if storage.conversation:
            raise Untranslatable("storage.conversation", "Chat keeps no conversations")
        if storage.background:
            raise Untranslatable("storage.background", "Chat answers at once")
        if request.cache.content:
            raise Untranslatable("cache.content", "Chat has no resources of cached content")
        if request.container:
            raise Untranslatable("container", "Chat has no containers")
        if reasoning is not None and reasoning.mode == "pro":
            raise Untranslatable("reasoning.mode", "Chat has no such mode")
        if request.output_tokens_max == 0:
            raise Untranslatable("output_tokens_max", "Chat can't fill a cache without an answer")
        if request.logprobs is not None and self._quirks.no_logprobs:
            raise Untranslatable("logprobs", "this model tells none")
        if request.truncation == "auto":
            self._losses.drop("truncation")
        if request.compaction_threshold is not None:
            self._losses.drop("compaction_threshold")
        if request.server_tool_calls_max is not None:
            self._losses.drop("server_tool_calls_max")
        if reasoning is not None and reasoning.context:
            self._losses.drop("reasoning.context")

    # --- the answer ----------------------------------------------------------------------------------------------

    def _format(self) -> tuple[Wire, tuple[Message, ...]]:
        """`response_format`, and the instructions with what the model has to be told of it."""
        request = self._request
        if request.format is None:
            return {}, request.system
        match request.format:
            case JsonSchema() as shape if self._quirks.no_json_schema:
                self._losses.approximate("format")
                words = _ANSWER_SCHEMA + bytes(shape.schema).decode()
                return {"response_format": {"type": "json_object"}}, _told(request.system, words)
            case JsonSchema() as shape:
                return {"response_format": {"type": "json_schema", "json_schema": self._schema(shape)}}, request.system
            case JsonObject():
                # OpenAI refuses the format where nobody speaks of JSON.
                spoken = any(_JSON.search(text) for text in _texts(request))
                system = request.system if spoken else _told(request.system, _ANSWER_JSON)
                return {"response_format": {"type": "json_object"}}, system
            case PlainText():
                return {"response_format": {"type": "text"}}, request.system

    def _schema(self, shape: JsonSchema) -> Wire:
        wire: Wire = {"name": knobs.schema_name(shape), "schema": shape.schema}
        if shape.description:
            wire["description"] = shape.description
        strict = knobs.bound(shape.strict, shape.schema, self._quirks, self._losses, "format.strict")
        return wire if strict is None else wire | {"strict": strict}

    def _output(self, wire: Wire) -> None:
        request = self._request
        if request.output_tokens_max is not None:
            wire[self._quirks.max_tokens_field] = request.output_tokens_max
        if request.choices > 1:
            wire["n"] = request.choices
        if request.logprobs is not None:
            wire["logprobs"] = True
            if request.logprobs:
                wire["top_logprobs"] = request.logprobs
        if request.verbosity is not None:
            wire["verbosity"] = request.verbosity
        if request.prediction is not None:
            wire["prediction"] = {"type": "content", "content": request.prediction}
        if request.modalities:
            wire |= self._modalities()

    def _modalities(self) -> Wire:
        modalities = list(self._request.modalities)
        if "audio" not in modalities:
            return {"modalities": modalities}
        if "text" not in modalities:
            modalities.insert(0, "text")
        return {"modalities": modalities, "audio": self._audio()}

    def _audio(self) -> Wire:
        """OpenAI wants a voice and a format, and streams only raw samples."""
        asked = self._request.audio
        voice = openai_voice(asked.voice if asked else "")
        form = asked.format if asked else ""
        return {"voice": voice, "format": form or ("pcm16" if self._request.stream else "wav")}

    # --- knobs ---------------------------------------------------------------------------------------------------

    def _stop(self, wire: Wire) -> tuple[str, ...]:
        """Tells the provider, and returns what the gateway has to cut itself."""
        stop = self._request.stop
        if not stop or self._quirks.no_stop:
            return stop
        wire["stop"] = list(stop[:STOP_MAX])
        return stop[STOP_MAX:]

    def _sampling(self, wire: Wire) -> None:
        asked = self._request.sampling
        quirks = self._quirks
        wire |= knobs.sampling(asked, quirks, self._losses)
        if asked.frequency_penalty is not None:
            wire["frequency_penalty"] = asked.frequency_penalty
        if asked.presence_penalty is not None:
            wire["presence_penalty"] = asked.presence_penalty
        if asked.seed is not None:
            if quirks.no_seed:
                self._losses.drop("sampling.seed")
            else:
                wire[quirks.seed_field] = asked.seed
        if asked.logit_bias:
            wire["logit_bias"] = asked.logit_bias

    def _reasoning(self, asked: Reasoning, *, has_tools: bool) -> Wire:
        effort = knobs.effort(asked)
        if effort is None and not asked.adaptive:
            return {}
        quirks = self._quirks
        if quirks.thinking_form == "none":
            knobs.unaccepted(effort, self._losses)
            return {}
        if quirks.thinking_switch and effort == "none" and quirks.thinking_can_be_off:
            return {"thinking": {"type": "disabled"}}
        wire: Wire = {"thinking": {"type": "enabled"}} if quirks.thinking_switch else {}
        if effort is None:
            return wire
        if has_tools and quirks.chat_tools_no_effort and nearest(effort, quirks.efforts) != "none":
            knobs.unaccepted(effort, self._losses)
            return wire
        return wire | {"reasoning_effort": knobs.accepted(asked, quirks, self._losses)}

    def _cache(self) -> Wire:
        asked = self._request.cache
        wire = knobs.cache(asked)
        if asked.automatic is not None and self._quirks.cache_mark_field == "cache_control":
            wire["cache_control"] = self._marks.spelled(asked.automatic)
        return wire

    def _account(self, wire: Wire) -> None:
        request = self._request
        if request.storage.store is not None:
            wire["store"] = request.storage.store
        if request.metadata:
            # OpenAI refuses metadata of what it does not keep.
            if request.storage.store:
                wire["metadata"] = dict(list(request.metadata.items())[: knobs.METADATA_MAX])
            else:
                self._losses.drop("metadata")
        if request.user:
            wire[self._quirks.user_field] = knobs.user(request.user)
        if request.tier is not None:
            if request.tier in knobs.TIERS:
                wire["service_tier"] = knobs.TIERS[request.tier]
            else:
                self._losses.drop("tier")

    def _extras(self, wire: Wire) -> None:
        """Fields that the client's dialect does not have."""
        for name, raw in self._request.extra.items():
            if name in _COPIED and name not in wire:
                wire[name] = raw
            else:
                self._losses.drop(name)


def _told(system: tuple[Message, ...], words: str) -> tuple[Message, ...]:
    """The instructions with a further sentence; one text where they are one."""
    if system and len(system[-1].parts) == 1 and isinstance(part := system[-1].parts[0], Text) and not part.cache:
        told = replace(part, text=f"{part.text}\n\n{words}")
        return (*system[:-1], replace(system[-1], parts=(told,)))
    return (*system, Message(role="system", parts=(Text(text=words),)))


def _texts(request: Request) -> Iterator[str]:
    return (
        part.text
        for message in (*request.system, *request.messages)
        for part in message.parts
        if isinstance(part, Text)
    )
