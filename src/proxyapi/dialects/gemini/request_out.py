"""Gemini generateContent: a canonical request for a provider. https://ai.google.dev/api/generate-content

The model stands in the path, and so does whether the reply is a stream.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Raw

from proxyapi.dialects.codec import Encoded, TargetModel, Untranslatable
from proxyapi.dialects.effort import budget_of, level_of, nearest
from proxyapi.dialects.gemini.contents_out import LEVELS, ContentWriter
from proxyapi.dialects.gemini.schema import for_gemini
from proxyapi.dialects.gemini.tools_out import ToolWriter
from proxyapi.dialects.losses import Losses
from proxyapi.dialects.model import (
    ABSENT,
    Effort,
    JsonObject,
    JsonSchema,
    PlainText,
    Reasoning,
    Request,
    given,
)
from proxyapi.dialects.schema import enumerates_numbers
from proxyapi.dialects.toolset import settled
from proxyapi.dialects.voices import google_voice
from proxyapi.dialects.wording import answer_in_json

STOP_MAX = 5
CHOICES_MAX = 8
LOGPROBS_MAX = 20
SEED_MAX = 2**31 - 1
_NAME_REFUSED = re.compile(r"^[^A-Za-z_]|[^A-Za-z0-9_.:-]")
"""https://ai.google.dev/api/caching#FunctionDeclaration"""
_NAME_CHARACTERS_MAX = 128
_RANGES = {
    "temperature": ("temperature", 0.0, 2.0),
    "top_p": ("topP", 0.0, 1.0),
    "frequency_penalty": ("frequencyPenalty", -2.0, 2.0),
    "presence_penalty": ("presencePenalty", -2.0, 2.0),
}
_TIERS = ("flex", "standard", "priority")
_SOUNDS = ("", "wav", "pcm16", "pcm")
"""Formats that the raw samples of an answer can be told in without converting them."""
_COPIED = frozenset({"safetySettings", "modelArmorConfig"})
"""Fields of Gemini that clients of other dialects add to their requests."""

_ENCODER = msgspec.json.Encoder()
Wire = dict[str, Any]


def encode_request(request: Request, target: TargetModel) -> Encoded:
    """Untranslatable: what Gemini, or this model of it, has no way to say."""
    return _Writer(request, target).encoded()


class _Writer:
    def __init__(self, request: Request, target: TargetModel) -> None:
        self._request = request
        self._target = target
        self._quirks = target.quirks
        self._losses = Losses(refused=_NAME_REFUSED, characters_max=_NAME_CHARACTERS_MAX)
        self._stop: tuple[str, ...] = ()

    def encoded(self) -> Encoded:
        request = self._request
        self._refuse()
        self._drop()
        form, sentences = self._format()
        content = ContentWriter(self._target, self._losses)
        system, contents = content.write(request.system, request.messages, sentences)
        tools = ToolWriter(self._quirks, self._losses)
        declared = tools.write(
            settled(request.tools, request.messages), request, tells_invocations=content.tells_invocations
        )
        if form and self._quirks.no_schema_with_tools and "tools" in declared and "responseMimeType" in form:
            raise Untranslatable("format", "this model answers in a format or calls tools, not both")
        wire: Wire = {"systemInstruction": {"parts": system}} if system else {}
        wire |= {"contents": contents} | declared | self._account()
        if config := self._output() | self._sampling() | self._thinking() | form:
            wire["generationConfig"] = config
        self._extras(wire)
        rewritten = dict(tools.rewritten)
        if isinstance(request.format, JsonSchema) and self._is_rewritten(request.format.schema):
            rewritten[""] = request.format.schema
        return Encoded(
            body=_ENCODER.encode(wire),
            dropped=self._losses.dropped,
            approximated=self._losses.approximated,
            names=self._losses.names,
            stop=self._stop,
            rewritten=rewritten,
        )

    def _refuse(self) -> None:
        """What changes the meaning of a request, and has no counterpart here."""
        request = self._request
        for field, said, why in (
            ("storage.previous_response_id", request.storage.previous_response_id, "Gemini keeps no conversations"),
            ("storage.conversation", request.storage.conversation, "Gemini keeps no conversations"),
            ("storage.background", request.storage.background, "Gemini answers at once"),
            ("container", request.container, "Gemini has no containers"),
            ("reasoning.mode", request.reasoning and request.reasoning.mode == "pro", "Gemini has no such mode"),
            ("output_tokens_max", request.output_tokens_max == 0, "Gemini can't fill a cache without an answer"),
            ("choices", request.choices > CHOICES_MAX, f"Gemini gives at most {CHOICES_MAX} answers"),
            ("logprobs", request.logprobs is not None and self._quirks.no_logprobs, "this model tells none"),
        ):
            if said:
                raise Untranslatable(field, why)

    def _drop(self) -> None:
        """Knobs that this dialect lacks."""
        request = self._request
        cache, sampling = request.cache, request.sampling
        for field, said in (
            ("server_tool_calls_max", request.server_tool_calls_max is not None),
            ("sampling.logit_bias", sampling.logit_bias),
            ("verbosity", request.verbosity),
            ("prediction", request.prediction is not None),
            ("cache.key", cache.key),
            ("cache.explicit", cache.explicit is not None),
            ("cache.lifetime", cache.lifetime),
            ("cache.automatic", cache.automatic),
            ("storage.store", request.storage.store is not None),
            ("truncation", request.truncation == "auto"),
            ("compaction_threshold", request.compaction_threshold is not None),
            ("user", request.user),
            ("metadata", request.metadata and not self._quirks.labels),
            ("reasoning.context", request.reasoning and request.reasoning.context),
        ):
            if said:
                self._losses.drop(field)

    # --- the answer ----------------------------------------------------------------------------------------------

    def _format(self) -> tuple[Wire, list[str]]:
        """Settings of the answer's form, and what the model has to be told of it in words."""
        shape = self._request.format
        match shape:
            case JsonSchema() | JsonObject() if self._quirks.no_json_schema:
                self._losses.approximate("format")
                return {}, [answer_in_json(shape.schema if isinstance(shape, JsonSchema) else ABSENT)]
            case JsonSchema():
                openapi = self._quirks.openapi_schema
                field = "responseSchema" if openapi else "responseJsonSchema"
                return {"responseMimeType": shape.media_type, field: for_gemini(shape.schema, openapi=openapi)}, []
            case JsonObject():
                return {"responseMimeType": "application/json"}, []
            case PlainText():
                return {"responseMimeType": shape.media_type}, []
            case None:
                return {}, []

    def _is_rewritten(self, schema: Raw) -> bool:
        sent = for_gemini(schema, openapi=self._quirks.openapi_schema)
        return not self._quirks.no_json_schema and sent != schema and enumerates_numbers(schema)

    def _output(self) -> Wire:
        request = self._request
        wire: Wire = {}
        if request.output_tokens_max is not None:
            wire["maxOutputTokens"] = request.output_tokens_max
        if request.choices > 1:
            wire["candidateCount"] = request.choices
        known = () if self._quirks.no_stop else request.stop[:STOP_MAX]
        self._stop = request.stop[len(known) :]
        if known:
            wire["stopSequences"] = known
        if request.logprobs is not None:
            wire["responseLogprobs"] = True
            if request.logprobs:
                wire["logprobs"] = min(request.logprobs, LOGPROBS_MAX)
        if request.media_detail is not None and request.media_detail in LEVELS:
            # Of a whole request, high is the most.
            wire["mediaResolution"] = LEVELS["high" if request.media_detail == "original" else request.media_detail]
        return wire | self._modalities()

    def _modalities(self) -> Wire:
        asked, audio = self._request.modalities, self._request.audio
        wire: Wire = {}
        if "audio" in asked and len(asked) > 1:
            # Models that speak do nothing else.
            self._losses.approximate("modalities")
            asked = ("audio",)
        if asked and asked != ("text",):
            wire["responseModalities"] = [word.upper() for word in asked]
        if audio is None or "audio" not in asked:
            return wire | ({"speechConfig": audio.native} if audio is not None and given(audio.native) else {})
        if audio.format not in _SOUNDS:
            raise Untranslatable("audio.format", f"Gemini answers in raw samples, which can't become {audio.format}")
        if given(audio.native):
            return wire | {"speechConfig": audio.native}
        if audio.voice:
            self._losses.approximate("audio.voice")
            voice = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": google_voice(audio.voice)}}}
            wire["speechConfig"] = voice
        return wire

    # --- knobs ---------------------------------------------------------------------------------------------------

    def _sampling(self) -> Wire:
        asked = self._request.sampling
        wire: Wire = {}
        for field, (name, least, most) in _RANGES.items():
            value = getattr(asked, field)
            if value is None:
                continue
            if self._quirks.no_sampling and field in ("temperature", "top_p"):
                self._losses.drop(f"sampling.{field}")
                continue
            wire[name] = min(max(value, least), most)
            if wire[name] != value:
                self._losses.approximate(f"sampling.{field}")
        if asked.top_k is not None:
            if self._quirks.no_sampling:
                self._losses.drop("sampling.top_k")
            else:
                wire["topK"] = asked.top_k
        if asked.seed is not None:
            if self._quirks.no_seed:
                self._losses.drop("sampling.seed")
            else:
                wire["seed"] = min(max(asked.seed, -SEED_MAX - 1), SEED_MAX)
        return wire

    def _thinking(self) -> Wire:
        asked = self._request.reasoning
        if asked is None:
            return {}
        if self._quirks.thinking_form == "none":
            if asked.effort not in (None, "none") or asked.budget_tokens:
                self._losses.drop("reasoning")
            return {}
        wire = self._budget(asked) if self._quirks.thinking_form == "gemini_budget" else self._level(asked)
        if asked.show is not None:
            wire["includeThoughts"] = asked.show != "none"
        elif asked.effort not in (None, "none") or asked.budget_tokens or asked.adaptive:
            # Gemini shows no thought unasked; who asks other models to think gets to see what they think.
            wire["includeThoughts"] = True
        return {"thinkingConfig": wire} if wire else {}

    def _level(self, asked: Reasoning) -> Wire:
        effort = _effort(asked)
        if effort is None and asked.budget_tokens is not None:
            effort = level_of(asked.budget_tokens)
        if effort is None:
            return {}
        level = nearest(effort, self._quirks.efforts)
        if level != effort:
            self._losses.approximate("reasoning.effort")
        elif asked.effort is None:
            self._losses.approximate("reasoning.budget_tokens")
        return {"thinkingLevel": level.upper()} if level != "none" else {}

    def _budget(self, asked: Reasoning) -> Wire:
        quirks = self._quirks
        effort, budget = _effort(asked), asked.budget_tokens
        if budget is None:
            if effort is None:
                return {}
            budget = budget_of(effort, ceiling=quirks.thinking_budget_max)
        if budget < 0:
            return {"thinkingBudget": -1}
        least = 0 if budget == 0 and quirks.thinking_can_be_off else quirks.thinking_budget_min
        clamped = min(max(budget, least), quirks.thinking_budget_max)
        if asked.budget_tokens is None and (clamped or effort != "none"):
            self._losses.approximate("reasoning.effort")
        elif asked.budget_tokens not in (None, clamped):
            self._losses.approximate("reasoning.budget_tokens")
        return {"thinkingBudget": clamped}

    # --- beside the conversation ---------------------------------------------------------------------------------

    def _account(self) -> Wire:
        request = self._request
        wire: Wire = {}
        if request.cache.content:
            wire["cachedContent"] = request.cache.content
        if request.metadata and self._quirks.labels:
            wire["labels"] = dict(request.metadata)
        if request.tier in _TIERS:
            wire["serviceTier"] = request.tier
        elif request.tier not in (None, "auto"):
            self._losses.drop("tier")
        return wire

    def _extras(self, wire: Wire) -> None:
        """Fields that the client's dialect does not have. Those that only Gemini has are named by their path."""
        for name, raw in self._request.extra.items():
            parent, dot, field = name.partition(".")
            if dot and parent in ("generationConfig", "toolConfig"):
                wire.setdefault(parent, {}).setdefault(field, raw)
            elif name in _COPIED:
                wire[name] = raw
            else:
                self._losses.drop(name)


def _effort(asked: Reasoning) -> Effort | None:
    """The level that was asked for, in whichever words."""
    if asked.effort is not None or asked.budget_tokens is not None:
        return asked.effort
    if asked.adaptive is False:
        return "none"
    return "minimal" if asked.between_tools else None
